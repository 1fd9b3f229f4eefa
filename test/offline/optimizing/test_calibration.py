"""What the network is calibrated on is what the node would give it."""

from dataclasses import replace
from pathlib import Path
import tracemalloc

from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import ResizeMode, ResizeRule, Size, TensorSpec
from edge_seg.errors import SourceUnavailable
from edge_seg.offline.evaluation.frames import Frame, FrameRequest, open_frames
from edge_seg.offline.optimizing.calibration import calibrate, file_tensor
from measured_models import labelled_folder, network, SPEC
import numpy as np
import pytest

INPUT = replace(SPEC.input, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'uint8'])
@pytest.mark.parametrize('mode', list(ResizeMode))
def test_tensors_are_those_of_the_node(layout: str, dtype: str, mode: ResizeMode) -> None:
    spec = replace(INPUT, layout=layout, dtype=dtype, resize=ResizeRule(mode))
    frames = open_frames(FrameRequest(count=2, size=Size(160, 90)))
    calibration = calibrate(spec, frames)
    shape = (1, 3, 48, 64) if layout == 'NCHW' else (1, 48, 64, 3)
    preprocess = Preprocessor(spec, TensorSpec('image', shape, dtype, layout))
    plan = plan_geometry(Size(160, 90), spec.size, spec.resize)
    for pixels, frame in zip(calibration.pixels, frames.read(0), strict=True):
        assert isinstance(frame, Frame)
        tensor = file_tensor(pixels, calibration.spec, rank=4)
        expected = preprocess(frame.image, plan)
        assert (tensor.shape, tensor.dtype) == (expected.shape, expected.dtype)
        tolerance = 0 if dtype == 'uint8' else 1e-6 if dtype == 'float32' else 2e-3
        np.testing.assert_allclose(
            tensor.astype(np.float64), expected.astype(np.float64), atol=tolerance
        )


def test_a_file_without_batch_gets_tensors_without_batch() -> None:
    calibration = calibrate(INPUT, open_frames(FrameRequest(count=1)))
    assert file_tensor(calibration.pixels[0], INPUT, rank=3).shape == (3, 48, 64)


def test_few_bad_frames_are_named_and_left_out(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=12)
    (folder / 'images' / '5.png').write_bytes(b'cut short')
    calibration = calibrate(INPUT, open_frames(FrameRequest(str(folder))))
    assert len(calibration.pixels) == 11
    assert len(calibration.bad) == 1
    assert 'images/5.png' in calibration.bad[0]


def test_many_bad_frames_are_refused(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=12)
    for number in (5, 6):
        (folder / 'images' / f'{number}.png').write_bytes(b'cut short')
    with pytest.raises(SourceUnavailable, match=r'2 of 12 .*/6\.png.*expected at most 10%'):
        calibrate(INPUT, open_frames(FrameRequest(str(folder))))


def test_frames_become_tensors_one_after_the_other() -> None:
    """300 frames of 2048x1024 in float32 are 7.5 GB, which nobody has."""
    pytest.importorskip('nncf', reason='INT8 is made with NNCF')
    from edge_seg.offline.optimizing.with_nncf import quantise_onnx

    size = Size(320, 240)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    spec = replace(SPEC, input=replace(SPEC.input, size=size))
    calibration = calibrate(spec.input, open_frames(FrameRequest(count=40, size=Size(64, 48))))
    all_of_them = sum(4 * pixels.nbytes for pixels in calibration.pixels)
    model = network(('only', kernel), size=size)
    quantise_onnx(model, spec, calibrate(spec.input, open_frames(FrameRequest(count=1))))
    tracemalloc.start()
    try:
        quantise_onnx(model, spec, calibration)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < all_of_them / 2
