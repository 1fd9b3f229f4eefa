"""Inputs, outputs and weight files of an ONNX file, read from its bytes without any SDK."""

from collections.abc import Iterator
from contextlib import contextmanager
import mmap
import os
from pathlib import Path

from edge_seg.backends.file_info import FoundTensor, ModelFileInfo
from edge_seg.core.onnx_files import files_of, leads_outside
from edge_seg.core.protobuf_wire import fields, Malformed, text
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import CompileFailed

# Field numbers of onnx.proto3: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR = 1
_TENSOR_TYPE_ELEM, _TENSOR_TYPE_SHAPE = 1, 2
_SHAPE_DIM = 1
_DIM_VALUE = 1
_ELEM_TYPES = {
    1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64',
    9: 'bool', 10: 'float16', 11: 'float64', 12: 'uint32', 13: 'uint64', 16: 'bfloat16',
}  # fmt: skip


def read_onnx_info(path: Path) -> ModelFileInfo:
    """Read the inputs and outputs of an ONNX file.

    The weights are skipped, not read. Shapes are those that stand in the file.

    Args:
        path: the .onnx file.

    Raises:
        CompileFailed: the file cannot be read, is cut short, is not ONNX, or takes weights from
            outside its folder.
    """
    with _reading(path) as data:
        inputs, outputs = _read_model(data)
        _refuse_outside(path, data)
    return ModelFileInfo(ArtifactFormat.ONNX, inputs, outputs, 'edge_seg')


def check_weight_files(path: Path) -> None:
    """Refuse an ONNX file that takes weights from outside its folder; not every SDK does.

    Raises:
        CompileFailed: it does, or it cannot be read.
    """
    with _reading(path) as data:
        _refuse_outside(path, data)


@contextmanager
def _reading(path: Path) -> Iterator[memoryview]:
    try:
        with path.open('rb') as file:
            if not os.fstat(file.fileno()).st_size:
                raise Malformed('it is empty')
            # Not closed by hand: the views of a traceback may still point into it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield memoryview(data)
    except (Malformed, OSError) as error:
        raise CompileFailed(
            f'{path.name} is not a readable ONNX file ({error})',
            remedy='check that it was copied whole, or export it again',
        ) from error


def _refuse_outside(path: Path, data: memoryview) -> None:
    for location in sorted(files_of(data)):
        if leads_outside(location):
            raise CompileFailed(
                f'{path.name} takes weights from {location!r}',
                expected='a file in its folder',
                remedy='put the weights beside the .onnx file and export it again',
            )


def _read_model(data: memoryview) -> tuple[tuple[FoundTensor, ...], tuple[FoundTensor, ...]]:
    graph = _last_message(data, _MODEL_GRAPH)
    if graph is None:
        raise Malformed('it holds no graph')
    weights: set[str] = set()
    inputs: list[FoundTensor] = []
    outputs: list[FoundTensor] = []
    has_nodes = False
    for number, value in fields(graph):
        has_nodes = has_nodes or number == _GRAPH_NODE
        if isinstance(value, int):
            continue
        if number == _GRAPH_INITIALIZER:
            weights.add(_name(value, _TENSOR_NAME))
        elif number == _GRAPH_INPUT:
            inputs.append(_tensor(value))
        elif number == _GRAPH_OUTPUT:
            outputs.append(_tensor(value))
    if not has_nodes or not outputs:
        raise Malformed('its graph has no operations or no outputs')
    # Before IR version 4 the weights were listed among the inputs.
    return tuple(each for each in inputs if each.name not in weights), tuple(outputs)


def _tensor(value_info: memoryview) -> FoundTensor:
    name = _name(value_info, _VALUE_NAME)
    of_type = _last_message(value_info, _VALUE_TYPE)
    tensor_type = _last_message(of_type, _TYPE_TENSOR) if of_type is not None else None
    if tensor_type is None:
        return FoundTensor(name, None, 'unknown')
    elem = _last_int(tensor_type, _TENSOR_TYPE_ELEM)
    shape = _last_message(tensor_type, _TENSOR_TYPE_SHAPE)
    return FoundTensor(name, _shape(shape), _ELEM_TYPES.get(elem or 0, f'type {elem}'))


def _shape(shape: memoryview | None) -> tuple[int, ...] | None:
    if shape is None:
        return None
    axes = []
    for number, value in fields(shape):
        if number == _SHAPE_DIM and not isinstance(value, int):
            size = _last_int(value, _DIM_VALUE)
            axes.append(size if size is not None and 0 < size < 2**31 else -1)
    return tuple(axes)


def _name(message: memoryview, field: int) -> str:
    value = _last_message(message, field)
    return '' if value is None else text(value)


def _last_message(data: memoryview, wanted: int) -> memoryview | None:
    found = None
    for number, value in fields(data):
        if number == wanted and not isinstance(value, int):
            found = value
    return found


def _last_int(data: memoryview, wanted: int) -> int | None:
    found = None
    for number, value in fields(data):
        if number == wanted and isinstance(value, int):
            found = value
    return found
