"""bf16, which ``precision: auto`` takes on a processor with AMX, gives the masks of fp32."""

from contextlib import closing
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import DecodedImage, LabelArray, UInt8Array
from edge_seg.models.manifest import load_manifest
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.sources.scene_classes import SCENE_CLASS_NAMES
from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import pytest

openvino = pytest.importorskip('openvino')

FLOOR = Path(__file__).parents[2] / 'models' / 'floor'
HELD_OUT_SEED = 3_000_000
SCENES = 24
BF16_HERE = 'BF16' in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')

pytestmark = pytest.mark.skipif(
    not BF16_HERE, reason='this processor has no bf16 (AMX or AVX512-BF16): auto is fp32 here'
)


@pytest.fixture(scope='module')
def scenes() -> list[tuple[DecodedImage, UInt8Array]]:
    made = []
    for index in range(SCENES):
        sequence = SceneSequence(HELD_OUT_SEED + index, width=640, height=480)
        frame = sequence.render((index % 5) * SCENE_PERIOD_S + 1.0)
        made.append((DecodedImage(frame.image, 'rgb'), frame.labels))
    return made


@pytest.fixture(params=['1', '2'], ids='floor@{}'.format)
def folder(request: pytest.FixtureRequest) -> Path:
    return FLOOR / str(request.param)


def masks_of(
    folder: Path, options: CompileOptions, scenes: list[tuple[DecodedImage, UInt8Array]]
) -> tuple[str, list[LabelArray]]:
    """Give the precision that the model computes in, and its masks."""
    manifest = load_manifest(folder / 'manifest.yaml')
    weights = folder / manifest.artifacts[0].main.path
    compiled = OpenVinoBackend().compile_model(weights, manifest.spec, options)
    with closing(ServingModel(manifest.spec, compiled, sha256='')) as model:
        masks = [
            model.segment(image, confidence=False, watch=Stopwatch()).labels for image, _ in scenes
        ]
        return model.report.precision, masks


def test_bf16_gives_the_masks_of_fp32_and_is_as_accurate(
    folder: Path, scenes: list[tuple[DecodedImage, UInt8Array]]
) -> None:
    as_the_node = CompileOptions(device='CPU', device_precision=True)
    precision, found = masks_of(folder, as_the_node, scenes)
    assert precision == 'bf16'
    precision, reference = masks_of(folder, CompileOptions(device='CPU'), scenes)
    assert precision == 'fp32'

    accuracy = []
    for masks in (found, reference):
        matrix = ConfusionMatrix(len(SCENE_CLASS_NAMES))
        for mask, (_, labels) in zip(masks, scenes, strict=True):
            matrix.add(mask, labels)
        accuracy.append(matrix.mean_iou())
    shares = [float(np.mean(a == b)) for a, b in zip(found, reference, strict=True)]
    assert np.mean(shares) >= 0.999
    assert min(shares) >= 0.997
    assert accuracy[0] >= accuracy[1] - 0.002
