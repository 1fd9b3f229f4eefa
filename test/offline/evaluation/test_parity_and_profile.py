"""Two models on the same frames, and where a model's time goes."""

from pathlib import Path

import cv2
from edge_seg.backends.base import CompileOptions
from edge_seg.errors import SourceUnavailable
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frames import FrameRequest, open_frames
from edge_seg.offline.evaluation.parity import compare_masks, Side
from edge_seg.offline.evaluation.profiling import profile
from edge_seg.offline.evaluation.running import RunOptions
from measured_models import labelled_folder, network, publish
import numpy as np
import onnx
import pytest

OPENVINO, OPENCV = RunOptions('openvino'), RunOptions('opencv')


def swapped() -> onnx.ModelProto:
    """Give the colour model that takes green for blue and blue for green."""
    return network(('only', np.eye(3)[[0, 2, 1]][:, :, None, None]))


def test_one_model_on_two_backends_agrees(stores: LayeredStore) -> None:
    sides = Side('colours', OPENVINO), Side('colours', OPENCV)
    result = compare_masks(stores, sides, open_frames(FrameRequest(count=3)), worst=2)
    assert (result.a.backend, result.b.backend) == ('openvino', 'opencv')
    assert result.agreement > 0.999
    assert len(result.worst) == 2
    assert result.pictures == ()


def test_the_worst_frames_come_first_and_are_drawn(stores: LayeredStore, tmp_path: Path) -> None:
    publish(stores, tmp_path / 'swapped', swapped(), version='2')
    folder = labelled_folder(tmp_path / 'data', count=3)
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :, 2] = 200
    assert cv2.imwrite(str(folder / 'images' / '1.png'), red)
    sides = Side('colours@1', OPENVINO), Side('colours@2', OPENVINO)
    frames = open_frames(FrameRequest(str(folder)))
    result = compare_masks(stores, sides, frames, pictures=tmp_path / 'pictures', worst=3)
    assert [each.agreement for each in result.worst] == sorted(
        each.agreement for each in result.worst
    )
    assert (result.worst[2].frame, result.worst[2].agreement) == ('images/1.png', 1.0)
    assert result.agreement < 0.7
    drawn = cv2.imread(result.pictures[0])
    assert drawn is not None
    assert drawn.shape[1] > 4 * 400
    difference = drawn[30:, -400:]
    assert (difference[:, :, 2] == 255).mean() > 0.3  # the differences, in red


def test_a_folder_that_cannot_be_written_to_is_named(stores: LayeredStore, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    sides = Side('colours', OPENVINO), Side('colours', OPENCV)
    frames = open_frames(FrameRequest(count=1))
    with pytest.raises(SourceUnavailable, match='file/01_.* cannot be written'):
        compare_masks(stores, sides, frames, pictures=tmp_path / 'file')


def test_a_profile_has_stages_layers_and_memory(stores: LayeredStore) -> None:
    options = RunOptions('openvino', CompileOptions(threads=1))
    result = profile(stores, 'colours', open_frames(FrameRequest(count=3)), options=options)
    assert [each.stage for each in result.stages] == [
        'decode', 'preprocess', 'infer', 'postprocess', 'total',
    ]  # fmt: skip
    assert result.stages[-1].latency.p50_ms >= result.stages[2].latency.p50_ms > 0
    assert 0 < result.total.p50_ms <= result.stages[-1].latency.p50_ms  # without decoding
    times = [layer.mean_ms or 0.0 for layer in result.layers]
    assert times == sorted(times, reverse=True)
    assert any(layer.kind == 'Convolution' for layer in result.layers)
    assert result.layers_note == ''
    assert result.memory.running >= result.memory.before > 0


def test_a_backend_without_layers_says_so(stores: LayeredStore) -> None:
    result = profile(stores, 'colours', open_frames(FrameRequest(count=1)), options=OPENCV)
    assert (result.layers, result.layers_note) == ((), 'opencv does not tell its layers')
