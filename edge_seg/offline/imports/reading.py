"""Reading a network of any known kind into the form in which networks are imported."""

from dataclasses import dataclass, replace
import hashlib
from pathlib import Path
import re

from edge_seg.errors import CompileFailed, ModelError, ModelNotFound, UnsupportedNetwork
from edge_seg.offline.imports import pytorch
from edge_seg.offline.imports.factories import is_factory
from edge_seg.offline.imports.metadata import written_in_onnx
from edge_seg.offline.imports.network import Ending, NetworkFacts, Wish
from edge_seg.offline.imports.onnx_files import append_cast_to_labels, prepare_onnx
from edge_seg.offline.imports.openvino_files import prepare_with_openvino, read_facts

ONNX = '.onnx'
OPENVINO = ('.xml', '.tflite')
NO_OPERATOR = re.compile(
    r'No (?:conversion rule found for operations:|translator found for) ([\w.-]+(?:, [\w.-]+)*)'
)
SUFFIXES = (ONNX, *OPENVINO, *pytorch.SUFFIXES)


@dataclass(frozen=True, slots=True)
class ReadNetwork:
    """A network that was read.

    Attributes:
        facts: what is known of it.
        source_sha256: of the original file; '' for a factory.
        sample: what the original computed, when it was exported here.
    """

    facts: NetworkFacts
    source_sha256: str = ''
    sample: pytorch.Sample | None = None


def read_network(source: str, folder: Path, name: str, wish: Wish) -> ReadNetwork:
    """Read a network and write its imported form.

    Args:
        source: a file, or 'module:factory'.
        folder: where to write.
        name: of the files to write, without suffix.
        wish: which output, which size.

    Raises:
        ModelNotFound: there is no such file.
        BackendUnavailable, CompileFailed, OptionInvalid, UnsupportedNetwork: as the readers say.
    """
    if is_factory(source):
        return _from_pytorch(source, folder, name, wish)
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CompileFailed(
            f'{path.name} is of no kind that can be imported',
            expected=f'{", ".join(SUFFIXES)}, or module:factory',
            remedy='publish engines and folders with edge_seg model add',
        )
    if not path.is_file():
        raise ModelNotFound(f'there is no file {path}')
    if suffix in pytorch.SUFFIXES:
        return replace(_from_pytorch(source, folder, name, wish), source_sha256=_sha256(path))
    if suffix == ONNX:
        return replace(
            _from_onnx(path, folder / f'{name}.onnx', wish), source_sha256=_sha256(path)
        )
    try:
        facts = prepare_with_openvino(path, folder / f'{name}.xml', wish)
    except CompileFailed as error:
        raise _about_operators(error, path, ()) from error
    return ReadNetwork(facts, _sha256(path))


def _from_onnx(path: Path, target: Path, wish: Wish) -> ReadNetwork:
    prepared = prepare_onnx(path, target, wish)
    try:
        facts = read_facts(target, prepared.input_name, prepared.output_name)
    except CompileFailed as error:
        raise _about_operators(error, path, prepared.custom) from error
    changes = prepared.changes
    if facts.ending in (Ending.ARGMAX, Ending.THRESHOLD) and 'float' in facts.output.dtype:
        append_cast_to_labels(target, prepared.output_name)
        changes = (*changes, f'the labels come as int32, not {facts.output.dtype}')
        facts = read_facts(target, prepared.input_name, prepared.output_name)
    written = written_in_onnx(prepared.metadata)
    return ReadNetwork(replace(facts, changes=changes, written=written))


def _about_operators(error: CompileFailed, path: Path, custom: tuple[str, ...]) -> ModelError:
    """Name the operators that are at fault, when it is operators."""
    if custom:
        return UnsupportedNetwork(
            f'{path.name} has operators that ONNX does not define: {", ".join(custom)}',
            remedy='export it without them, e.g. without a deployment plug-in',
        )
    missing = NO_OPERATOR.search(str(error))
    if missing is None:
        return error
    return UnsupportedNetwork(
        f'{path.name} has operators that OpenVINO does not know: {missing[1]}',
        remedy='export it without them, or publish it with edge_seg model add for TensorRT'
        if path.suffix.lower() == ONNX
        else 'export it without them, or to ONNX',
    )


def _from_pytorch(source: str, folder: Path, name: str, wish: Wish) -> ReadNetwork:
    exported = folder / 'exported.onnx'
    sample = pytorch.export_onnx(source, exported, wish)
    read = _from_onnx(exported, folder / f'{name}.onnx', wish)
    exported.unlink()
    changes = ('exported from PyTorch to ONNX', *read.facts.changes)
    return replace(read, facts=replace(read.facts, changes=changes), sample=sample)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
