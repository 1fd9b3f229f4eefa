"""OpenVINO IR and TFLite files, imported and computing what they computed before."""

from pathlib import Path
from typing import Any

from edge_seg.core.values import ArtifactFormat, OutputKind, ResizeMode, Size
from edge_seg.errors import CompileFailed, OptionInvalid, UnsupportedNetwork
from edge_seg.offline.imports.openvino_files import run_once
from imported_models import assert_computes, Import, options_for, package_of, said
import numpy as np
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_custom_tflite, save_tflite

ov = pytest.importorskip('openvino', reason='writes the files that are read')


def save_ir(model: TinyModel, folder: Path, **model_info: str) -> Path:
    """Write a tiny network as IR."""
    network = ov.Core().read_model(str(model.save(folder / 'tiny.onnx')))
    for name, value in model_info.items():
        network.set_rt_info(value, ['model_info', name])
    ov.save_model(network, str(folder / 'net.xml'), compress_to_fp16=False)
    return folder / 'net.xml'


MODELS = {
    'logits': TinyModel(),
    'softmax inside': TinyModel(kind=OutputKind.PROBABILITIES),
    'sigmoid inside': TinyModel(kind=OutputKind.SIGMOID, classes=2),
    'argmax inside': TinyModel(kind=OutputKind.LABELS),
    'nhwc': TinyModel(input_layout='NHWC', output_layout='NHWC'),
    'float16': TinyModel(input_dtype='float16'),
    'no batch': TinyModel(batch=False),
    'no batch labels': TinyModel(batch=False, kind=OutputKind.LABELS, output_layout='HW'),
}


@pytest.mark.parametrize('name', MODELS)
def test_an_ir_computes_what_it_computed(name: str, tmp_path: Path, importing: Import) -> None:
    model = MODELS[name]
    imported = importing(save_ir(model, tmp_path), **options_for(model))
    assert imported.format is ArtifactFormat.OPENVINO_IR
    assert imported.spec.output.kind is model.kind
    files = [file.path for file in package_of(imported).manifest.files()]
    assert files == ['net.xml', 'net.bin']
    assert_computes(imported, model, atol=2e-2 if model.input_dtype == 'float16' else 1e-4)


def test_open_axes_of_an_ir_are_fixed(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(dynamic=True)
    source = save_ir(model, tmp_path)
    with pytest.raises(OptionInvalid, match='leaves its size open; pass --input-size'):
        importing(source)
    imported = importing(source, input_size='12x8', **options_for(model))
    written = ov.Core().read_model(str(package_of(imported).path / 'net.xml'))
    assert list(written.input(0).shape) == [1, 3, 8, 12]
    assert_computes(imported, model)


def test_one_output_of_an_ir_is_kept(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(extra_outputs=True)
    source = save_ir(model, tmp_path)
    with pytest.raises(OptionInvalid, match=r'2 outputs: features .*, scores .*--output'):
        importing(source)
    imported = importing(source, output_name='scores', **options_for(model))
    written = ov.Core().read_model(str(package_of(imported).path / 'net.xml'))
    assert [port.get_any_name() for port in written.outputs] == ['scores']
    assert_computes(imported, model)


def test_what_model_api_wrote_into_an_ir_is_taken(tmp_path: Path, importing: Import) -> None:
    source = save_ir(
        TinyModel(),
        tmp_path,
        labels='floor wall person_sitting',
        mean_values='123.675 116.28 103.53',
        scale_values='58.395 57.12 57.375',
        reverse_input_channels='NO',
        resize_type='fit_to_window_letterbox',
    )
    imported = importing(source, publish=False)
    spec = imported.spec
    assert [info.name for info in spec.classes] == ['floor', 'wall', 'person_sitting']
    assert (spec.input.mean, spec.input.scale) == ((123.675, 116.28, 103.53), 1.0)
    assert (spec.input.color_order, spec.input.resize.mode) == ('bgr', ResizeMode.LETTERBOX)
    assert not any(said(imported)[o].assumed for o in ('--classes', '--normalise', '--resize'))


TFLITE = TinyModel(input_layout='NHWC', output_layout='NHWC', size=Size(12, 8))
TFLITE_MODELS = {
    'logits': TFLITE,
    'softmax inside': TFLITE.but(kind=OutputKind.PROBABILITIES),
    'sigmoid inside': TFLITE.but(kind=OutputKind.SIGMOID, classes=2),
    'argmax inside': TFLITE.but(kind=OutputKind.LABELS, output_layout='NHW'),
    'gray': TFLITE.but(color_order='gray'),
    'uint8': TFLITE.but(input_dtype='uint8', mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0),
}


@pytest.mark.parametrize('name', TFLITE_MODELS)
def test_a_tflite_file_becomes_an_ir(name: str, tmp_path: Path, importing: Import) -> None:
    model = TFLITE_MODELS[name]
    known = options_for(model)
    if model.color_order == 'gray':
        del known['color_order']
    imported = importing(save_tflite(model, tmp_path / 'net.tflite'), **known)
    assert imported.format is ArtifactFormat.OPENVINO_IR
    assert imported.spec.output.kind is model.kind
    assert (imported.spec.input.layout, imported.spec.input.dtype) == ('NHWC', model.input_dtype)
    assert_computes(imported, model, atol=1e-3 if model.input_dtype == 'uint8' else 1e-4)


def test_tflite_is_proposed_signed_pixels(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(input_layout='NHWC', output_layout='NHWC')
    imported = importing(save_tflite(model, tmp_path / 'net.tflite'), publish=False)
    assert said(imported)['--normalise'].value == 'signed-unit'
    assert imported.spec.input.std == (0.5, 0.5, 0.5)


def test_tflite_with_weights_in_float16_computes_in_single_precision(
    tmp_path: Path, importing: Import
) -> None:
    model = TinyModel(input_layout='NHWC', output_layout='NHWC', size=Size(12, 8))
    source = save_tflite(model, tmp_path / 'net.tflite', half=True)
    assert_computes(importing(source, **options_for(model)), model, atol=1e-2)


def test_the_operator_that_mediapipe_adds_to_tflite_is_known(
    tmp_path: Path, importing: Import
) -> None:
    random = np.random.default_rng(0)
    kernel = random.normal(size=(2, 2, 2, 3)).astype(np.float32)
    bias = random.normal(size=2).astype(np.float32)
    image = random.normal(size=(1, 8, 12, 3)).astype(np.float32)
    expected = np.empty((1, 16, 24, 2), np.float32)
    for y, x in np.ndindex(2, 2):
        expected[:, y::2, x::2] = image @ kernel[:, y, x].T + bias
    source = save_custom_tflite(
        'Convolution2DTransposeBias', kernel, bias, tmp_path / 'net.tflite'
    )
    imported = importing(source, normalise='raw')
    package = package_of(imported)
    file = package.path / package.manifest.artifacts[0].main.path
    np.testing.assert_allclose(run_once(file, image), expected, atol=1e-4)


def test_a_tflite_operator_that_is_not_known_is_named(tmp_path: Path, importing: Import) -> None:
    kernel, bias = np.ones((2, 2, 2, 3), np.float32), np.ones(2, np.float32)
    source = save_custom_tflite('MaxUnpooling2D', kernel, bias, tmp_path / 'net.tflite')
    with pytest.raises(UnsupportedNetwork, match='OpenVINO does not know: MaxUnpooling2D'):
        importing(source)


def test_an_ir_of_several_inputs_is_refused(tmp_path: Path, importing: Import) -> None:
    opset: Any = pytest.importorskip('openvino.opset13', reason='makes the graph')
    images = [opset.parameter([1, 3, 8, 8], np.float32, name) for name in ('left', 'right')]
    network = ov.Model([opset.add(*images)], images, 'pair')
    ov.save_model(network, str(tmp_path / 'net.xml'))
    with pytest.raises(UnsupportedNetwork, match='from 2 inputs: .*expected one image'):
        importing(tmp_path / 'net.xml')


@pytest.mark.parametrize(('name', 'text'), [('net.xml', b'<net>'), ('net.tflite', b'TFL3 not')])
def test_a_damaged_file_is_refused(
    name: str, text: bytes, tmp_path: Path, importing: Import
) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(CompileFailed, match=name):
        importing(tmp_path / name)
