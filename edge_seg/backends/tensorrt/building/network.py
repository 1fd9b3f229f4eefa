"""What a build has to know of an ONNX file beforehand: its number types, files and digest."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import hashlib
import math
import mmap
import os
from pathlib import Path

from edge_seg.core.onnx_files import files_of, leads_outside
from edge_seg.core.protobuf_wire import fields, Malformed, text, varints
from edge_seg.errors import CompileFailed

# Field numbers of onnx.proto3: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 5, 6
_TENSOR_DIMS, _TENSOR_TYPE = 1, 2
_FLOATS = {1: 'fp32', 10: 'fp16', 16: 'bf16'}
_QUANTISING = ('QuantizeLinear', 'DequantizeLinear')
_DOMINANT = 0.9
"""Share of the weights that gives a network its type: a few constants stay fp32 in fp16 ones."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """An ONNX file as a builder sees it.

    Attributes:
        path: the file.
        precision: what it computes in as it is typed: fp32, fp16, bf16, int8 (it is quantised
            explicitly, with Q/DQ nodes) or mixed.
        sha256: digest of the file and of its external data.
    """

    path: Path
    precision: str
    sha256: str


class _Census:
    """Counts while a graph is walked."""

    def __init__(self) -> None:
        self.weights: Counter[str] = Counter()
        self.quantised = False


def read_network(path: Path) -> NetworkFacts:
    """Read types and digest of an ONNX file and its external data.

    Raises:
        CompileFailed: it cannot be read, is no ONNX, or names a file outside its folder.
    """
    census = _Census()
    try:
        with path.open('rb') as file:
            if not os.fstat(file.fileno()).st_size:
                raise Malformed('it is empty')
            # Not closed by hand: the views of a traceback may still point into it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _walk_model(memoryview(data), census)
        digest = _digest(path, files_of(memoryview(data)))
    except (Malformed, OSError) as error:
        raise CompileFailed(
            f'{path.name} is not a readable ONNX file ({error})',
            remedy='check that it and its external data were copied whole, or export it again',
        ) from error
    return NetworkFacts(path, _precision(census), digest)


def check_unchanged(network: NetworkFacts) -> None:
    """Make sure that what TensorRT has just read is what the engine will be named after.

    Raises:
        CompileFailed: the file or its external data are others than before.
    """
    if read_network(network.path).sha256 != network.sha256:
        raise CompileFailed(
            f'{network.path.name} was changed while it was read',
            expected='the same file from the start of a build',
            remedy='build again; publish a changed network as a new version',
        )


def _precision(census: _Census) -> str:
    if census.quantised:
        return 'int8'
    total = sum(census.weights.values())
    if not total:
        return 'fp32'
    name, count = census.weights.most_common(1)[0]
    return name if count >= _DOMINANT * total else 'mixed'


def _digest(path: Path, external: frozenset[str]) -> str:
    total = hashlib.sha256()
    for name in ('', *sorted(external)):
        if name and leads_outside(name):
            raise Malformed(f'its external data {name!r} lies outside its folder')
        digest = hashlib.sha256()
        with (path.parent / name if name else path).open('rb') as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        total.update(f'{name}\0{digest.hexdigest()}\0'.encode())
    return total.hexdigest()


def _walk_model(data: memoryview, census: _Census) -> None:
    graphs = list(_messages(data, _MODEL_GRAPH))
    if not graphs:
        raise Malformed('it holds no graph')
    while graphs:  # no recursion: a file decides how deep it nests
        for number, value in fields(graphs.pop()):
            if isinstance(value, int):
                continue
            if number == _GRAPH_INITIALIZER:
                _count(value, census)
            elif number == _GRAPH_NODE:
                graphs += _walk_node(value, census)


def _walk_node(node: memoryview, census: _Census) -> list[memoryview]:
    """Count a node and its constants; gives the graphs inside it."""
    if any(text(name) in _QUANTISING for name in _messages(node, _NODE_OPERATOR)):
        census.quantised = True
    inner: list[memoryview] = []
    for attribute in _messages(node, _NODE_ATTRIBUTE):
        for tensor in _messages(attribute, _ATTRIBUTE_TENSOR):
            _count(tensor, census)
        inner += _messages(attribute, _ATTRIBUTE_GRAPH)
    return inner


def _count(tensor: memoryview, census: _Census) -> None:
    dims: list[int] = []
    kind = 0
    for number, value in fields(tensor):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else varints(value)
        elif number == _TENSOR_TYPE and isinstance(value, int):
            kind = value
    if kind in _FLOATS:
        census.weights[_FLOATS[kind]] += math.prod(dims)


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in fields(data):
        if number == wanted and not isinstance(value, int):
            yield value
