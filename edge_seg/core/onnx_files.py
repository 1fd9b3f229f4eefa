"""Names the files beside an ONNX file in which its weights lie, read from its protobuf bytes."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from edge_seg.core.protobuf_wire import fields, text

_LOCATION = 'location'
_KEY, _VALUE = 1, 2
# Messages that may hold a tensor somewhere, and in which fields, by the numbers of onnx.proto3:
# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL, _TENSOR, _ENTRY = 'ModelProto', 'TensorProto', 'StringStringEntryProto'
_PARTS: Mapping[str, Mapping[int, str]] = {
    _MODEL: {7: 'GraphProto', 20: 'TrainingInfoProto', 25: 'FunctionProto'},
    'TrainingInfoProto': {1: 'GraphProto', 2: 'GraphProto'},
    'GraphProto': {1: 'NodeProto', 5: _TENSOR, 15: 'SparseTensorProto'},
    'FunctionProto': {7: 'NodeProto', 11: 'AttributeProto'},
    'NodeProto': {5: 'AttributeProto'},
    'AttributeProto': {
        5: _TENSOR,
        6: 'GraphProto',
        10: _TENSOR,
        11: 'GraphProto',
        22: 'SparseTensorProto',
        23: 'SparseTensorProto',
    },
    'SparseTensorProto': {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}


def files_of(model: memoryview) -> frozenset[str]:
    """Find the files that an ONNX model takes weights from.

    Args:
        model: the bytes of the .onnx file; weights are passed over, not read.

    Returns:
        The names as they stand there: relative to the folder of the model, or malicious.

    Raises:
        Malformed: the bytes are no ONNX model, or cut short.
    """
    found: set[str] = set()
    left = [(_MODEL, model)]  # no recursion: a file decides how deep it nests
    while left:
        kind, message = left.pop()
        if kind == _ENTRY:
            found |= _location(message)
            continue
        parts = _PARTS[kind]
        left += [
            (parts[number], value)
            for number, value in fields(message)
            if number in parts and not isinstance(value, int)
        ]
    return frozenset(found)


def leads_outside(location: str) -> bool:
    """Say whether a name may mean something else than a file in or below the model's folder."""
    path = PurePosixPath(location)
    return path.is_absolute() or '..' in path.parts or not path.parts


def _location(entry: memoryview) -> set[str]:
    # All of them: readers differ on which one counts where a field stands twice.
    texts = [
        (number, text(value)) for number, value in fields(entry) if not isinstance(value, int)
    ]
    if (_KEY, _LOCATION) not in texts:
        return set()
    return {value for number, value in texts if number == _VALUE}
