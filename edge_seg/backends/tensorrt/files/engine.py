"""Reading an engine file that nobody else can have written: engines are executable code."""

from dataclasses import dataclass
import hashlib
import logging
from pathlib import Path

from edge_seg.backends.tensorrt.files.header import HEADER_BYTES, PlanHeader, read_plan_header
from edge_seg.backends.tensorrt.files.key import BuiltFor, EngineRecord, read_record
from edge_seg.backends.tensorrt.files.trusted import read_trusted
from edge_seg.errors import CompileFailed, PrebuiltUnusable

logger = logging.getLogger(__name__)

ENGINE_SUFFIXES = ('.plan', '.engine', '.trt')


@dataclass(frozen=True, slots=True)
class EngineFile:
    """An engine as read from disk.

    Attributes:
        name: file name, for messages.
        blob: the whole plan; immutable, because TensorRT up to 10.12 reads it without the GIL.
        header: its first bytes.
        record: what the builder wrote beside it; None for an engine from elsewhere.
    """

    name: str
    blob: bytes
    header: PlanHeader
    record: EngineRecord | None


def read_engine(path: Path) -> EngineFile:
    """Read an engine after making sure of who can have written it.

    Raises:
        PrebuiltUnusable: missing, unreadable, no engine, or not the file that its record
            describes.
        CompileFailed: others can write it or its record, or could have exchanged them.
    """
    blob = _read(path)
    header = read_plan_header(blob, path.name)
    record = read_record(path)
    if record is not None and hashlib.sha256(blob).hexdigest() != record.plan_sha256:
        raise PrebuiltUnusable(
            f'{path.name} is not the engine that {path.name}.json describes',
            remedy='rebuild it; it was changed or only half copied',
        )
    return EngineFile(path.name, blob, header, record)


def read_known(path: Path) -> EngineRecord | None:
    """Read what an engine was built for, without reading it to its end; None without a record.

    Whether it is the file that its record describes shows when it is loaded, on the very bytes
    that TensorRT is given: an engine is hundreds of megabytes, and once is enough.

    Raises:
        PrebuiltUnusable, CompileFailed: as ``read_engine``, but for that.
    """
    read_plan_header(_read(path, limit=HEADER_BYTES), path.name)
    return read_record(path)


def _read(path: Path, *, limit: int = -1) -> bytes:
    try:
        return read_trusted(path, limit=limit)
    except FileNotFoundError as error:
        raise PrebuiltUnusable(f'{path} cannot be read: {error.strerror}') from error


def check_machine(
    engine: EngineFile, here: BuiltFor, *, remedy: str, unrecorded: bool = False
) -> None:
    """Refuse an engine whose record names another machine, or that has none.

    TensorRT itself only warns of an engine of another device with the same compute capability,
    as one of an Orin NX on an AGX Orin.

    Args:
        engine: read from disk.
        here: this machine.
        remedy: for the message.
        unrecorded: leave one without a record to TensorRT.

    Raises:
        PrebuiltUnusable: it was built for something else; the message names what.
        CompileFailed: it has no record.
    """
    if engine.record is None and not unrecorded:
        raise CompileFailed(
            f'{engine.name} has no record of what it was built for',
            expected='an engine that edge_seg built for this machine',
            remedy=f'{remedy}; or, if it was built on this very machine, set '
            'tensorrt_unrecorded: true',
        )
    if engine.record is None:
        logger.warning(
            '%s has no record: whether it was built for this GPU is left to TensorRT', engine.name
        )
        return
    difference = engine.record.key.machine.difference(here)
    if difference:
        raise PrebuiltUnusable(f'{engine.name} was built for {difference}', remedy=remedy)


def check_core(engine: EngineFile, core: int, *, remedy: str) -> None:
    """Refuse an engine whose record names another DLA core than the one it is loaded for.

    Args:
        engine: read from disk.
        core: deep learning accelerator asked for; -1 for none.
        remedy: for the message.

    Raises:
        CompileFailed: it was built for another one.
    """
    if engine.record is None or engine.record.key.dla_core == core:
        return
    raise CompileFailed(
        f'{engine.name} was built for {_core_name(engine.record.key.dla_core)}',
        expected=_core_name(core),
        remedy=f'set tensorrt_dla_core: {engine.record.key.dla_core}, or {remedy}',
    )


def _core_name(core: int) -> str:
    return 'the GPU' if core < 0 else f'DLA core {core}'
