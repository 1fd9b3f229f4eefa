"""The committed demo models on scenes that they were not trained on, without ROS."""

import hashlib
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.opencv import OpenCvBackend
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import DecodedImage
from edge_seg.models.manifest import load_manifest
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.sources.scene_classes import SCENE_CLASS_COLORS, SCENE_CLASS_NAMES
from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import pytest

FLOOR = Path(__file__).parents[2] / 'models' / 'floor'
HELD_OUT_SEED = 2_000_000
VERSIONS = [('1', 0.64), ('2', 0.88)]


@pytest.fixture(params=VERSIONS, ids=[f'floor@{version}' for version, _ in VERSIONS])
def model(request):
    """Give the manifest, the model in OpenCV DNN, and the mIoU that it must reach."""
    version, least = request.param
    folder = FLOOR / version
    manifest = load_manifest(folder / 'manifest.yaml')
    weights = folder / manifest.artifacts[0].main.path
    compiled = OpenCvBackend().compile_model(weights, manifest.spec, CompileOptions())
    serving = ServingModel(manifest.spec, compiled, sha256='')
    yield manifest, serving, least
    serving.close()


def test_masks_of_held_out_scenes_are_right(model):
    _, serving, least = model
    confusion = ConfusionMatrix(len(SCENE_CLASS_NAMES))
    for offset in range(40):
        sequence = SceneSequence(HELD_OUT_SEED + offset, width=640, height=480)
        frame = sequence.render((offset % 5) * SCENE_PERIOD_S + 1.0)
        image = DecodedImage(frame.image, 'rgb')
        found = serving.segment(image, confidence=False, watch=Stopwatch())
        confusion.add(found.labels, frame.labels)
    assert np.nanmean(confusion.iou()) >= least, confusion.iou()


def test_the_manifest_names_the_renderers_classes_and_what_was_measured(model):
    manifest, _, least = model
    assert tuple(entry.name for entry in manifest.spec.classes) == SCENE_CLASS_NAMES
    assert tuple(entry.color for entry in manifest.spec.classes) == SCENE_CLASS_COLORS
    assert dict(manifest.provenance.metrics)['miou'] >= least
    assert manifest.licence == 'Apache-2.0'
    assert manifest.golden is not None


def test_files_are_those_of_the_manifest_and_small(model):
    manifest, _, _ = model
    folder = FLOOR / manifest.spec.version
    listed = {entry.path for entry in manifest.files()} | {'manifest.yaml'}
    assert {file.name for file in folder.iterdir()} == listed
    for entry in manifest.files():
        content = (folder / entry.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert len(content) == entry.size
    assert manifest.artifacts[0].main.size <= 4_000_000
