"""Reading the inputs and outputs of model files, with and without an SDK."""

from pathlib import Path

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.inspect import inspect_model
from edge_seg.backends.onnx_file import read_onnx_info
from edge_seg.core.values import ArtifactFormat, OutputKind
from edge_seg.errors import CompileFailed
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import onnx
from onnx import helper, TensorProto
import openvino as ov
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_tflite

GOOD = TinyModel().proto().SerializeToString()
READERS = pytest.mark.parametrize('reader', [inspect_model, read_onnx_info])


@READERS
def test_inputs_and_outputs_of_onnx(reader, tmp_path: Path) -> None:
    model = TinyModel(kind=OutputKind.LABELS, output_layout='NHW', input_dtype='uint8')
    info = reader(model.save(tmp_path / 'tiny.onnx'))
    assert info.format is ArtifactFormat.ONNX
    assert info.inputs == (FoundTensor('image', (1, 3, 8, 12), 'uint8'),)
    assert info.outputs == (FoundTensor('scores', (1, 8, 12), 'int64'),)


@READERS
def test_open_axes_are_minus_one(reader, tmp_path: Path) -> None:
    info = reader(TinyModel(dynamic=True).save(tmp_path / 'tiny.onnx'))
    assert info.inputs == (FoundTensor('image', (-1, 3, -1, -1), 'float32'),)
    (scores,) = info.outputs
    assert str(scores).startswith('scores float32 [?,')


@READERS
def test_several_outputs_come_in_the_order_of_the_file(reader, tmp_path: Path) -> None:
    info = reader(TinyModel(extra_outputs=True).save(tmp_path / 'tiny.onnx'))
    assert [each.name for each in info.outputs] == ['features', 'scores']


@READERS
def test_weights_listed_as_inputs_are_left_out(reader, tmp_path: Path) -> None:
    proto = TinyModel().proto()
    weights = helper.make_tensor_value_info('kernel', TensorProto.FLOAT, [3, 3, 1, 1])
    proto.graph.input.append(weights)
    onnx.save(proto, str(tmp_path / 'old.onnx'))
    assert [each.name for each in reader(tmp_path / 'old.onnx').inputs] == ['image']


def test_a_shape_that_does_not_stand_in_the_file_is_unknown(tmp_path: Path) -> None:
    proto = TinyModel().proto()
    proto.graph.output[0].type.tensor_type.ClearField('shape')
    onnx.save(proto, str(tmp_path / 'tiny.onnx'))
    (scores,) = read_onnx_info(tmp_path / 'tiny.onnx').outputs
    assert scores.shape is None
    assert str(scores) == 'scores float32 [...]'
    (inferred,) = inspect_model(tmp_path / 'tiny.onnx').outputs
    assert inferred.shape == (1, 3, 8, 12)


def test_openvino_ir(tmp_path: Path) -> None:
    onnx_file = TinyModel(dynamic=True).save(tmp_path / 'tiny.onnx')
    ov.save_model(ov.Core().read_model(onnx_file), tmp_path / 'tiny.xml')
    info = inspect_model(tmp_path / 'tiny.xml')
    assert info.format is ArtifactFormat.OPENVINO_IR
    assert info.inputs == (FoundTensor('image', (-1, 3, -1, -1), 'float32'),)


def test_tflite(tmp_path: Path) -> None:
    model = TinyModel(input_layout='NHWC', output_layout='NHWC')
    info = inspect_model(save_tflite(model, tmp_path / 'tiny.tflite'))
    assert info.format is ArtifactFormat.TFLITE
    assert info.inputs == (FoundTensor('image', (1, 8, 12, 3), 'float32'),)
    assert info.outputs == (FoundTensor('scores', (1, 8, 12, 3), 'float32'),)


def _read_or_refuse(data: bytes, folder: Path) -> None:
    path = folder / 'mutated.onnx'
    path.write_bytes(data)
    try:
        said = f'{path.name} has {read_onnx_info(path).outputs}'
    except CompileFailed as refusal:
        said = str(refusal)
    assert said.startswith(('mutated.onnx has (F', 'mutated.onnx is not a readable ONNX file ('))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes, tmp_path: Path) -> None:
    _read_or_refuse(data, tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), kept=st.integers(0, len(GOOD))
)
def test_a_damaged_file_is_read_or_refused(
    place: int, byte: int, kept: int, tmp_path: Path
) -> None:
    damaged = bytearray(GOOD)
    damaged[place] = byte
    _read_or_refuse(bytes(damaged), tmp_path)
    _read_or_refuse(GOOD[:kept], tmp_path)
