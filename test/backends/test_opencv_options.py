"""What the OpenCV backend can and cannot be asked for."""

import logging
from pathlib import Path

import cv2
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.opencv import OpenCvBackend
from edge_seg.errors import BackendUnavailable, CompileFailed, EdgeSegError
import pytest
from tiny_models import TinyModel

MODEL = TinyModel()


@pytest.fixture(name='artifact')
def _artifact(tmp_path: Path) -> Path:
    return MODEL.save(tmp_path / 'tiny.onnx')


def test_the_caller_normalises_in_the_layout_of_the_file(artifact: Path) -> None:
    compiled = OpenCvBackend().compile_model(artifact, MODEL.spec, CompileOptions())
    (image,) = compiled.inputs
    assert (image.dtype, image.layout, image.shape) == ('float32', 'NCHW', (1, 3, 8, 12))
    assert compiled.report.fused == ()
    assert compiled.report.precision == 'fp32'


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        (CompileOptions(device='GPU'), BackendUnavailable, "no device 'GPU'; expected CPU"),
        (CompileOptions(precision='fp16'), CompileFailed, 'does not compute in fp16'),
        (CompileOptions(extra=(('A', '1'), ('B', '2'))), CompileFailed, 'no option A, B'),
    ],
)
def test_what_cannot_be_met_is_refused(
    options: CompileOptions, error: type[EdgeSegError], text: str, artifact: Path
) -> None:
    with pytest.raises(error, match=text):
        OpenCvBackend().compile_model(artifact, MODEL.spec, options)


def test_threads_of_the_process_are_left_alone_and_that_is_said(
    artifact: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = cv2.getNumThreads()
    with caplog.at_level(logging.WARNING):
        options = CompileOptions(threads=before + 1)
        OpenCvBackend().compile_model(artifact, MODEL.spec, options)
    assert cv2.getNumThreads() == before
    assert f'not {before + 1}' in caplog.text


def test_an_opencv_without_dnn_is_a_reason(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, 'dnn')
    found = OpenCvBackend().probe()
    assert not found.available
    assert 'without its dnn module' in found.reason
    with pytest.raises(BackendUnavailable, match='dnn'):
        OpenCvBackend().compile_model(artifact, MODEL.spec, CompileOptions())
