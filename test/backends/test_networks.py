"""What OpenVINO and OpenCV compute, compared with NumPy."""

from pathlib import Path
from typing import Any

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.values import OutputKind, Size
import numpy as np
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_tflite

MODELS = {
    'logits nchw': TinyModel(),
    'logits nhwc': TinyModel(input_layout='NHWC', output_layout='NHWC'),
    'odd size': TinyModel(size=Size(13, 7)),
    'probabilities': TinyModel(kind=OutputKind.PROBABILITIES),
    'sigmoid': TinyModel(kind=OutputKind.SIGMOID, classes=2),
    'sigmoid logits nhw': TinyModel(
        kind=OutputKind.SIGMOID_LOGITS, classes=2, output_layout='NHW'
    ),
    'sigmoid hw': TinyModel(kind=OutputKind.SIGMOID, classes=2, output_layout='HW'),
    'labels int64 nchw': TinyModel(kind=OutputKind.LABELS),
    'labels int32 nhw': TinyModel(
        kind=OutputKind.LABELS, label_dtype='int32', output_layout='NHW'
    ),
    'labels uint8 hw': TinyModel(kind=OutputKind.LABELS, label_dtype='uint8', output_layout='HW'),
    'gray': TinyModel(color_order='gray'),
    'bgr in 0-255 units': TinyModel(
        color_order='bgr', scale=1.0, mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0)
    ),
    'not normalised': TinyModel(scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    'float16': TinyModel(input_dtype='float16'),
    'uint8 nchw': TinyModel(input_dtype='uint8'),
    'uint8 nhwc': TinyModel(input_dtype='uint8', input_layout='NHWC'),
    'no batch axis': TinyModel(batch=False),
    'no batch axis nhwc': TinyModel(batch=False, input_layout='NHWC', output_layout='NHWC'),
    'no batch axis labels': TinyModel(batch=False, kind=OutputKind.LABELS, output_layout='NHW'),
    'open axes': TinyModel(dynamic=True),
    'open axes nhwc': TinyModel(dynamic=True, input_layout='NHWC', output_layout='NHWC'),
    'several outputs': TinyModel(extra_outputs=True),
}


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
@pytest.mark.parametrize('name', MODELS)
def test_output_is_what_numpy_computes(backend: str, name: str, tmp_path: Path, run: Any) -> None:
    model = MODELS[name]
    artifact = model.save(tmp_path / 'tiny.onnx')
    compiled = create(backend).compile_model(artifact, model.spec, CompileOptions())
    pixels = model.pixels()

    answer = run(compiled, model, pixels)

    tolerance = 2e-2 if model.input_dtype == 'float16' else 1e-5
    np.testing.assert_allclose(answer, model.expected(pixels), rtol=0, atol=tolerance)
    assert compiled.output_kind is model.kind


@pytest.mark.parametrize('name', MODELS)
def test_openvino_takes_raw_pixels_channels_last(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    artifact = model.save(tmp_path / 'tiny.onnx')
    compiled = create('openvino').compile_model(artifact, model.spec, CompileOptions())

    (image,) = compiled.inputs

    assert (image.dtype, image.layout) == ('uint8', 'NHWC')
    assert image.shape == model.pixels().shape


def test_a_network_that_normalises_by_itself_is_not_normalised_again(tmp_path: Path) -> None:
    model = TinyModel(input_dtype='uint8', input_layout='NHWC')
    artifact = model.save(tmp_path / 'tiny.onnx')

    compiled = create('openvino').compile_model(artifact, model.spec, CompileOptions())

    assert compiled.report.fused == ()


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('batch', [True, False])
@pytest.mark.parametrize('classes', [3, 300])
def test_argmax_in_the_graph_gives_the_winning_class(
    layout: str, batch: bool, classes: int, tmp_path: Path, run: Any
) -> None:
    model = TinyModel(output_layout=layout, batch=batch, classes=classes)
    artifact = model.save(tmp_path / 'tiny.onnx')
    options = CompileOptions(argmax_in_graph=True)
    compiled = create('openvino').compile_model(artifact, model.spec, options)
    pixels = model.pixels()

    labels = run(compiled, model, pixels)

    axis = layout.index('C')
    scores = model.expected(pixels)
    winning = np.take_along_axis(scores, labels.astype(np.intp), axis)
    # Equal scores have no winner; the score of the one taken must still be the highest.
    np.testing.assert_allclose(winning, scores.max(axis, keepdims=True), rtol=0, atol=1e-5)
    assert labels.dtype == (np.uint8 if classes == 3 else np.int32)
    assert compiled.output_kind is OutputKind.LABELS
    assert 'argmax' in compiled.report.fused


def test_argmax_is_not_built_into_a_network_without_one_score_per_class(tmp_path: Path) -> None:
    model = TinyModel(kind=OutputKind.SIGMOID, classes=2)
    artifact = model.save(tmp_path / 'tiny.onnx')
    options = CompileOptions(argmax_in_graph=True)

    compiled = create('openvino').compile_model(artifact, model.spec, options)

    assert compiled.output_kind is OutputKind.SIGMOID
    assert 'argmax' not in compiled.report.fused


def test_openvino_runs_its_own_format(tmp_path: Path, run: Any) -> None:
    ov = pytest.importorskip('openvino', reason='writes the file that is read')
    model = TinyModel()
    onnx_file = model.save(tmp_path / 'tiny.onnx')
    ov.save_model(ov.Core().read_model(onnx_file), tmp_path / 'tiny.xml')
    backend = create('openvino')
    compiled = backend.compile_model(tmp_path / 'tiny.xml', model.spec, CompileOptions())
    pixels = model.pixels()

    answer = run(compiled, model, pixels)

    # save_model stores the weights in half precision; these are exact in it.
    np.testing.assert_allclose(answer, model.expected(pixels), rtol=0, atol=1e-5)


def test_openvino_runs_tflite(tmp_path: Path, run: Any) -> None:
    model = TinyModel(input_layout='NHWC', output_layout='NHWC')
    artifact = save_tflite(model, tmp_path / 'tiny.tflite')
    compiled = create('openvino').compile_model(artifact, model.spec, CompileOptions())
    pixels = model.pixels()

    answer = run(compiled, model, pixels)

    np.testing.assert_allclose(answer, model.expected(pixels), rtol=0, atol=1e-5)


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
def test_each_frame_gets_its_own_answer(backend: str, tmp_path: Path, run: Any) -> None:
    model = TinyModel()
    artifact = model.save(tmp_path / 'tiny.onnx')
    compiled = create(backend).compile_model(artifact, model.spec, CompileOptions())
    frames = [model.pixels(seed) for seed in range(4)]

    for pixels in (*frames, *reversed(frames)):
        answer = run(compiled, model, pixels)
        np.testing.assert_allclose(answer, model.expected(pixels), rtol=0, atol=1e-5)


def test_openvino_reads_a_buffer_that_is_written_again(tmp_path: Path) -> None:
    model = TinyModel()
    artifact = model.save(tmp_path / 'tiny.onnx')
    compiled = create('openvino').compile_model(artifact, model.spec, CompileOptions())
    buffer = np.empty_like(model.pixels())

    for seed in range(3):
        buffer[:] = model.pixels(seed)
        (answer,) = compiled.infer([buffer])
        np.testing.assert_allclose(answer, model.expected(buffer), rtol=0, atol=1e-5)


def test_openvino_takes_a_read_only_image(tmp_path: Path) -> None:
    model = TinyModel()
    artifact = model.save(tmp_path / 'tiny.onnx')
    compiled = create('openvino').compile_model(artifact, model.spec, CompileOptions())

    for seed in range(2):
        pixels = model.pixels(seed)
        pixels.flags.writeable = False
        (answer,) = compiled.infer([pixels])
        np.testing.assert_allclose(answer, model.expected(pixels), rtol=0, atol=1e-5)
