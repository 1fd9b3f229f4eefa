"""The file that holds a model compiled earlier: a described, checksummed OpenVINO blob."""

from dataclasses import asdict, dataclass
import hashlib
import json
import os
from pathlib import Path
import tempfile

from edge_seg.core.values import ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import PrebuiltUnusable

PREBUILT_SUFFIX = '.ovbuilt'
_MAGIC = b'edge_seg openvino 1\n'
_MAX_HEADER_BYTES = 65536


@dataclass(frozen=True, slots=True)
class PrebuiltHeader:
    """What a prebuilt file is made from and for.

    Attributes:
        openvino: full OpenVINO version that exported it; no other imports it.
        device: device name it was compiled for, e.g. 'CPU'.
        device_name: the same with the product's name; another processor compiles differently.
        declared: digest of the part of the specification that is compiled in.
        options: digest of the compile options.
        output_kind: value of OutputKind.
        fused: what was built into the graph.
        inputs: as the caller fills them.
        outputs: as the caller reads them.
    """

    openvino: str
    device: str
    device_name: str
    declared: str
    options: str
    output_kind: OutputKind
    fused: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def declared_digest(spec: ModelSpec) -> str:
    """Digest of everything in ``spec`` that ends up in the compiled graph."""
    text = repr((spec.input, spec.output, len(spec.classes)))
    return hashlib.sha256(text.encode()).hexdigest()


def write_prebuilt(path: Path, header: PrebuiltHeader, blob: bytes) -> None:
    """Write header and blob; ``path`` exists only once it is whole and on disk.

    Raises:
        OSError: the directory cannot be written or is full.
    """
    described = asdict(header)
    described['output_kind'] = header.output_kind.value
    described['sha256'] = hashlib.sha256(blob).hexdigest()
    text = json.dumps(described).encode() + b'\n'
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(_MAGIC + text)
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_prebuilt(path: Path) -> tuple[PrebuiltHeader, bytes]:
    """Read a prebuilt file.

    The digest only finds accidents. A blob is trusted like the library itself: load one only
    from a directory that others cannot write to.

    Raises:
        PrebuiltUnusable: missing, cut short, changed, or not such a file.
    """
    try:
        with path.open('rb') as file:
            magic = file.readline(len(_MAGIC))
            line = file.readline(_MAX_HEADER_BYTES) if magic == _MAGIC else b''
            blob = file.read() if line.endswith(b'\n') else b''
    except OSError as error:
        raise PrebuiltUnusable(f'{path} cannot be read: {error.strerror}') from error
    if not blob:
        raise _damaged(path, 'it is no prebuilt model, or cut short')
    try:
        header, digest = _parse(line)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f'its header is damaged ({error})') from error
    if hashlib.sha256(blob).hexdigest() != digest:
        raise _damaged(path, 'its content is not what was written')
    return header, blob


def _parse(line: bytes) -> tuple[PrebuiltHeader, str]:
    fields = json.loads(line)
    header = PrebuiltHeader(
        openvino=str(fields['openvino']),
        device=str(fields['device']),
        device_name=str(fields['device_name']),
        declared=str(fields['declared']),
        options=str(fields['options']),
        output_kind=OutputKind(fields['output_kind']),
        fused=tuple(fields['fused']),
        inputs=tuple(_tensor_spec(each) for each in fields['inputs']),
        outputs=tuple(_tensor_spec(each) for each in fields['outputs']),
    )
    return header, str(fields['sha256'])


def _tensor_spec(fields: dict[str, object]) -> TensorSpec:
    shape = fields['shape']
    if not isinstance(shape, list):
        raise TypeError('shape is no list')
    layout = fields['layout']
    if layout not in ('NCHW', 'NHWC', 'NHW', 'HW'):
        raise ValueError(f'layout {layout}')
    return TensorSpec(str(fields['name']), tuple(shape), str(fields['dtype']), layout)


def _damaged(path: Path, reason: str) -> PrebuiltUnusable:
    return PrebuiltUnusable(f'{path.name} cannot be loaded: {reason}', remedy='build it again')
