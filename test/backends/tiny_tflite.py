"""A tiny TFLite file, written field by field: the format's own tools need TensorFlow."""

from pathlib import Path

import flatbuffers
import numpy as np
from tiny_models import TinyModel

# Field numbers and codes of
# https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
_CONV_2D = 3
_CONV_2D_OPTIONS = 1
_PADDING_VALID = 1
_SCHEMA_VERSION = 3


def save_tflite(model: TinyModel, path: Path) -> Path:
    """Write a model of NHWC layout and float32 as TFLite."""
    assert model.input_layout == model.output_layout == 'NHWC'
    kernel, bias = model.weights
    height, width, channels = model.size.height, model.size.width, kernel.shape[1]
    builder = flatbuffers.Builder(1024)
    buffers = [
        _table(builder, (0, 'ref', builder.CreateNumpyVector(data.view(np.uint8).ravel())))
        for data in (np.zeros(0, 'f4'), np.ascontiguousarray(kernel), bias)
    ]
    shapes = {
        'image': ([1, height, width, channels], 0),
        'kernel': ([len(bias), 1, 1, channels], 1),
        'bias': ([len(bias)], 2),
        'scores': ([1, height, width, len(bias)], 0),
    }
    tensors = []
    for name, (shape, buffer) in shapes.items():
        axes = builder.CreateNumpyVector(np.array(shape, 'i4'))
        text = builder.CreateString(name)
        tensors.append(_table(builder, (0, 'ref', axes), (2, 'u32', buffer), (3, 'ref', text)))
    subgraph = _subgraph(builder, tensors)
    code = _table(builder, (0, 'i8', _CONV_2D), (2, 'i32', 1), (3, 'i32', _CONV_2D))
    parts = [_vector(builder, each) for each in ([code], [subgraph], buffers)]
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


def _subgraph(builder: flatbuffers.Builder, tensors: list[int]) -> int:
    options = _table(builder, (0, 'i8', _PADDING_VALID), (1, 'i32', 1), (2, 'i32', 1))
    inputs = builder.CreateNumpyVector(np.array([0, 1, 2], 'i4'))
    outputs = builder.CreateNumpyVector(np.array([3], 'i4'))
    operator = _table(
        builder,
        (1, 'ref', inputs),
        (2, 'ref', outputs),
        (3, 'u8', _CONV_2D_OPTIONS),
        (4, 'ref', options),
    )
    graph_inputs = builder.CreateNumpyVector(np.array([0], 'i4'))
    graph_outputs = builder.CreateNumpyVector(np.array([3], 'i4'))
    return _table(
        builder,
        (0, 'ref', _vector(builder, tensors)),
        (1, 'ref', graph_inputs),
        (2, 'ref', graph_outputs),
        (3, 'ref', _vector(builder, [operator])),
    )


def _table(builder: flatbuffers.Builder, *fields: tuple[int, str, int]) -> int:
    add = {
        'ref': builder.PrependUOffsetTRelativeSlot,
        'u32': builder.PrependUint32Slot,
        'i32': builder.PrependInt32Slot,
        'i8': builder.PrependInt8Slot,
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
