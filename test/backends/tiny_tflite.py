"""Tiny TFLite files, written field by field: the format's own tools need TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_seg.core.values import OutputKind
import flatbuffers
import numpy as np
from tiny_models import TinyModel

# Field numbers and codes of
# https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
_CONV_2D = 3
_DEQUANTIZE = 6
_CUSTOM = 32
_CAST = 53
_ARG_MAX = 56
_ENDINGS = {
    OutputKind.SIGMOID: 14,  # LOGISTIC
    OutputKind.PROBABILITIES: 25,  # SOFTMAX
    OutputKind.LABELS: _ARG_MAX,
}
_PADDING_VALID = 1
_SCHEMA_VERSION = 3
_TYPES = {'float32': 0, 'float16': 1, 'int32': 2, 'uint8': 3, 'int64': 4}
# By operator: what kind of options it has, and which.
_OPTIONS = {
    _CONV_2D: (1, [(0, 'i8', _PADDING_VALID), (1, 'i32', 1), (2, 'i32', 1)]),
    _ENDINGS[OutputKind.PROBABILITIES]: (9, [(0, 'f32', 1.0)]),
    _CAST: (37, [(0, 'i8', _TYPES['uint8']), (1, 'i8', _TYPES['float32'])]),
    _ARG_MAX: (40, [(0, 'i8', _TYPES['int64'])]),
}
_FIRST_WITH_HALVES = 3  # versions of DEQUANTIZE


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: Sequence[int]
    data: np.ndarray | None = None
    dtype: str = 'float32'


@dataclass(frozen=True)
class _Operator:
    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    custom: str = ''


def save_tflite(model: TinyModel, path: Path, *, half: bool = False) -> Path:
    """Write a model of NHWC layout as TFLite.

    Args:
        model: the model; with uint8 its pixels are only cast, and labels are int64.
        path: the file.
        half: store the weights in float16, as TFLite's post-training quantisation does.
    """
    assert model.input_layout == 'NHWC'
    assert model.output_layout == ('NHW' if model.kind is OutputKind.LABELS else 'NHWC')
    kernel, bias = model.weights
    height, width, channels = model.size.height, model.size.width, kernel.shape[1]
    weights = [len(bias), 1, 1, channels]
    tensors = [
        _Tensor('image', [1, height, width, channels], dtype=model.input_dtype),
        _Tensor('kernel', weights, None if half else np.ascontiguousarray(kernel)),
        _Tensor('bias', [len(bias)], bias),
        _Tensor('logits', [1, height, width, len(bias)]),
    ]
    operators = [_Operator(_CONV_2D, [0, 1, 2], [3])]
    if half:
        tensors.append(_Tensor('halves', weights, kernel.astype(np.float16), 'float16'))
        operators.insert(0, _Operator(_DEQUANTIZE, [4], [1]))
    if model.input_dtype == 'uint8':
        tensors.append(replace(tensors[0], name='pixels', dtype='float32'))
        operators = [_Operator(_CAST, [0], [4]), _Operator(_CONV_2D, [4, 1, 2], [3])]
    _append_ending(model, tensors, operators)
    return _save(tensors, operators, path)


def _append_ending(model: TinyModel, tensors: list[_Tensor], operators: list[_Operator]) -> None:
    """Make scores of the logits, the fourth tensor."""
    if model.kind not in _ENDINGS:
        tensors[3] = replace(tensors[3], name='scores')
        return
    inputs, dtype = [3], 'float32'
    if model.kind is OutputKind.LABELS:
        inputs, dtype = [3, len(tensors)], 'int64'
        tensors.append(_Tensor('axis', [1], np.array([3], 'i4'), 'int32'))
    shape = model.expected(model.pixels()).shape
    operators.append(_Operator(_ENDINGS[model.kind], inputs, [len(tensors)]))
    tensors.append(_Tensor('scores', shape, dtype=dtype))


def save_custom_tflite(name: str, kernel: np.ndarray, bias: np.ndarray, path: Path) -> Path:
    """Write a file with one custom operator, which makes a 12x8 image twice as large.

    Args:
        name: of the operator.
        kernel: float32, shape (channels out, 2, 2, channels in).
        bias: float32, shape (channels out,).
        path: the file.
    """
    tensors = [
        _Tensor('image', [1, 8, 12, kernel.shape[3]]),
        _Tensor('kernel', kernel.shape, kernel),
        _Tensor('bias', bias.shape, bias),
        _Tensor('scores', [1, 16, 24, len(bias)]),
    ]
    return _save(tensors, [_Operator(_CUSTOM, [0, 1, 2], [3], name)], path)


def _save(tensors: Sequence[_Tensor], operators: Sequence[_Operator], path: Path) -> Path:
    """Write a graph from the first tensor to the one called scores."""
    builder = flatbuffers.Builder(1024)
    contents = [np.zeros(0, 'f4'), *(each.data for each in tensors if each.data is not None)]
    buffers = [
        _table(builder, (0, 'ref', builder.CreateNumpyVector(data.view(np.uint8).ravel())))
        for data in (np.ascontiguousarray(each) for each in contents)
    ]
    codes = [_code(builder, each) for each in operators]
    subgraph = _subgraph(builder, tensors, operators)
    parts = [_vector(builder, each) for each in (codes, [subgraph], buffers)]
    root = _table(
        builder,
        (0, 'u32', _SCHEMA_VERSION),
        (1, 'ref', parts[0]),
        (2, 'ref', parts[1]),
        (4, 'ref', parts[2]),
    )
    builder.Finish(root, file_identifier=b'TFL3')
    path.write_bytes(builder.Output())
    return path


def _code(builder: flatbuffers.Builder, operator: _Operator) -> int:
    fields = [(0, 'i8', operator.code), (2, 'i32', 1), (3, 'i32', operator.code)]
    if operator.custom:
        fields.append((1, 'ref', builder.CreateString(operator.custom)))
    if operator.code == _DEQUANTIZE:
        fields[1] = (2, 'i32', _FIRST_WITH_HALVES)
    return _table(builder, *fields)


def _subgraph(
    builder: flatbuffers.Builder, tensors: Sequence[_Tensor], operators: Sequence[_Operator]
) -> int:
    filled = [each.name for each in tensors if each.data is not None]
    described = []
    for each in tensors:
        axes = builder.CreateNumpyVector(np.array(each.shape, 'i4'))
        buffer = filled.index(each.name) + 1 if each.name in filled else 0
        text = builder.CreateString(each.name)
        kind = (1, 'i8', _TYPES[each.dtype])
        described.append(
            _table(builder, (0, 'ref', axes), kind, (2, 'u32', buffer), (3, 'ref', text))
        )
    steps = [_step(builder, index, each) for index, each in enumerate(operators)]
    result = next(index for index, each in enumerate(tensors) if each.name == 'scores')
    ends = [builder.CreateNumpyVector(np.array([index], 'i4')) for index in (0, result)]
    return _table(
        builder,
        (0, 'ref', _vector(builder, described)),
        (1, 'ref', ends[0]),
        (2, 'ref', ends[1]),
        (3, 'ref', _vector(builder, steps)),
    )


def _step(builder: flatbuffers.Builder, index: int, operator: _Operator) -> int:
    fields = [(0, 'u32', index)] + [
        (slot, 'ref', builder.CreateNumpyVector(np.array(indices, 'i4')))
        for slot, indices in ((1, operator.inputs), (2, operator.outputs))
    ]
    if operator.code in _OPTIONS:
        kind, options = _OPTIONS[operator.code]
        fields += [(3, 'u8', kind), (4, 'ref', _table(builder, *options))]
    return _table(builder, *fields)


def _table(builder: flatbuffers.Builder, *fields: tuple[int, str, float]) -> int:
    add = {
        'ref': builder.PrependUOffsetTRelativeSlot,
        'u32': builder.PrependUint32Slot,
        'i32': builder.PrependInt32Slot,
        'i8': builder.PrependInt8Slot,
        'f32': builder.PrependFloat32Slot,
        'u8': builder.PrependUint8Slot,
    }
    builder.StartObject(6)
    for slot, kind, value in fields:
        add[kind](slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
