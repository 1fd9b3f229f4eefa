"""Reads the protobuf wire format, https://protobuf.dev/programming-guides/encoding/."""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10

Value = int | memoryview


class Malformed(Exception):
    """The bytes are not the protobuf message they should be."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field; numbers of fixed length are passed over.

    Raises:
        Malformed: while iterating.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Malformed('field number 0')
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in _FIXED_LENGTHS:
            length = _FIXED_LENGTHS[wire]
        else:
            raise Malformed(f'wire type {wire}')
        if position + length > len(data):
            raise Malformed('it ends in the middle of a field')
        if wire == _BYTES:
            yield number, data[position : position + length]
        position += length


def varints(data: memoryview) -> list[int]:
    """Read a packed field of numbers.

    Raises:
        Malformed: it ends in the middle of one.
    """
    numbers, position = [], 0
    while position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def text(value: memoryview) -> str:
    """Read a field of text."""
    return bytes(value).decode('utf-8', errors='replace')


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= len(data):
            raise Malformed('it ends in the middle of a number')
        byte = data[position + index]
        result |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return result, position + index + 1
    raise Malformed('a number longer than 64 bits')
