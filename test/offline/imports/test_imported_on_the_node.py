"""Imported networks on a running node: its masks are those of an independent path."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from camera_frames import image_message
from edge_seg.core.values import OutputKind
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.imports.given import GivenOptions
from edge_seg.offline.imports.importing import import_model, ImportRequest
from imported_models import options_for
from independent_path import KINDS, NEEDED, pictures, slow_masks
import numpy as np
import pytest
from segmentation_nodes import segmentation_nodes, Start
from segmentation_process import dds_environment
from tiny_models import TinyModel
from tiny_tflite import save_tflite

CENTRE_CROP = {'resize': 'center_crop'}
TOP_LEFT = {'resize': 'letterbox', 'anchor': 'top_left'}
CASES = {
    'onnx': (KINDS['probabilities'], 'letterbox', 'logits', {'resize': 'letterbox'}),
    'labels': (
        KINDS['labels uint8'].but(input_layout='NHWC', output_layout='NHWC'),
        'letterbox top left',
        'labels',
        TOP_LEFT,
    ),
    'tflite': (
        KINDS['logits'].but(input_layout='NHWC', output_layout='NHWC'),
        'centre crop',
        'labels',
        CENTRE_CROP,
    ),
}


@pytest.fixture
def start_node(
    tmp_path: Path, stores: LayeredStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    for name, value in dds_environment().items():  # a process reads it once, at its first node
        monkeypatch.setenv(name, value)
    with segmentation_nodes(tmp_path, stores.own) as start:
        yield start


def imported(
    name: str, model: TinyModel, known: dict[str, Any], folder: Path, stores: LayeredStore
) -> Path:
    """Import a network under a name; gives the same network as ONNX."""
    file = model.save(folder / f'{name}.onnx')
    source = save_tflite(model, folder / f'{name}.tflite') if name == 'tflite' else file
    options = GivenOptions(**options_for(model), **known)
    import_model(ImportRequest(str(source), options, name=name), stores)
    return file


def test_the_node_gives_the_masks_of_an_independent_path(
    tmp_path: Path, stores: LayeredStore, start_node: Start
) -> None:
    files = {
        name: imported(name, model, {**known, 'resample': resample}, tmp_path, stores)
        for name, (model, _, resample, known) in CASES.items()
    }
    _, operator = start_node(model='onnx@1', probation_frames=0)
    operator.start()
    masks, camera = operator.listen('mask'), operator.settled_camera()
    agreements = {}
    for name, (model, rule, resample, _) in CASES.items():
        operator.change_settings(model=f'{name}@1')
        identity = f'{name}@1'
        operator.report(lambda each, at=identity: each.values['model'] == at, f'{name} to serve')
        expected = list(slow_masks(files[name], model, rule, resample))
        found = []
        for picture in pictures():
            height, width = picture.pixels.shape[:2]
            frame = image_message('rgb8', picture.pixels.reshape(height, -1), width=width)
            mask = camera.ask(frame, masks)
            found.append(np.frombuffer(mask.data, np.uint8).reshape(height, width))
        agreements[name] = float(np.mean(np.stack(found) == np.stack(expected)))
    assert {name: share for name, share in agreements.items() if share < NEEDED} == {}
    assert OutputKind.LABELS in {model.kind for model, *_ in CASES.values()}
