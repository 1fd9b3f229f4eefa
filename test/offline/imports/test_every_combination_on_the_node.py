"""A running node against an independent path, for every rule, layout, kind and resampling."""

from collections.abc import Iterator
from dataclasses import replace
import hashlib
from itertools import count
from pathlib import Path

from camera_frames import image_message
from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.core.values import ArtifactFormat, LabelArray, ModelSpec, UInt8Array
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.publication import Submission
from edge_seg.models.store import ModelStore
from independent_path import (
    KINDS,
    NEEDED,
    NETWORKS,
    pictures,
    resamplings,
    RULES,
    slow_masks,
    with_rule,
)
import numpy as np
from operator_node import LATCHED, Operator, report_of
import pytest
from segmentation_nodes import segmentation_nodes
from segmentation_process import dds_environment
from sensor_msgs.msg import Image

NAME = 'tiny'
RATE_HZ = 200.0


class Station:
    """One active node, which is given one model after the other."""

    def __init__(self, operator: Operator, store: ModelStore) -> None:
        self._operator = operator
        self._store = store
        self._versions = count(2)
        self._masks, self._camera = operator.listen('mask'), operator.settled_camera()
        self._statuses = operator.listen('model_status', DiagnosticStatus, LATCHED)

    def masks_of(self, spec: ModelSpec, file: Path) -> list[LabelArray]:
        """Let the node serve a network, and give the mask that it makes of each picture."""
        model = publish(self._store, spec, next(self._versions), file)
        frames = [frame_of(picture.pixels) for picture in pictures()]
        with self._camera.streaming(frames[0], RATE_HZ):  # the node loads in between two frames
            self._operator.change_settings(model=model)
            self._operator.until(lambda: self._served() == model, f'{model} to serve')
        return [self._mask(frame) for frame in frames]

    def _served(self) -> str:
        if not self._statuses.messages:
            return ''
        values = report_of(self._statuses.messages[-1]).values
        return values['model'] if values['stage'] == 'serving' else ''

    def _mask(self, frame: Image) -> LabelArray:
        mask = self._camera.ask(frame, self._masks)
        size = (frame.height, frame.width)
        assert (mask.encoding, mask.height, mask.width) == ('mono8', *size)
        return np.frombuffer(mask.data, np.uint8).reshape(size)


def frame_of(pixels: UInt8Array) -> Image:
    """Put a picture into a message."""
    height, width = pixels.shape[:2]
    return image_message('rgb8', pixels.reshape(height, -1), width=width)


def publish(store: ModelStore, spec: ModelSpec, version: int, file: Path) -> str:
    """Publish a network; gives name@version."""
    content = file.read_bytes()
    entry = ArtifactFile(file.name, hashlib.sha256(content).hexdigest(), len(content))
    spec = replace(spec, name=NAME, version=str(version))
    manifest = Manifest(spec, (Artifact(ArtifactFormat.ONNX, (entry,)),), licence='MIT')
    submission = Submission(dump_manifest(manifest), file.parent, {})
    return store.publish(submission).identity


@pytest.fixture(scope='module')
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp('combinations')
    store = ModelStore(folder / 'store')
    first = KINDS['logits']
    model = publish(store, first.spec, 1, first.save(folder / 'first.onnx'))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dds_environment().items():  # read once a process, at its first node
            patch.setenv(name, value)
        with segmentation_nodes(folder, store) as start:
            _, operator = start(model=model, probation_frames=0)
            operator.start()
            yield Station(operator, store)


@pytest.mark.parametrize('rule', RULES)
def test_the_node_gives_the_masks_of_an_independent_path(
    rule: str, station: Station, tmp_path: Path
) -> None:
    agreements = {}
    for kind, image, output in NETWORKS:
        model = KINDS[kind].but(input_layout=image, output_layout=output)
        file = model.save(tmp_path / 'tiny.onnx')
        for resample in resamplings(kind):
            masks = station.masks_of(with_rule(model, rule, resample), file)
            expected = list(slow_masks(file, model, rule, resample))
            assert len(np.unique(expected)) > 1
            share = float(np.mean(np.stack(masks) == np.stack(expected)))
            agreements[kind, image, output, resample] = share
    assert len(agreements) == sum(len(resamplings(kind)) for kind, *_ in NETWORKS)
    assert {at: share for at, share in agreements.items() if share < NEEDED} == {}
