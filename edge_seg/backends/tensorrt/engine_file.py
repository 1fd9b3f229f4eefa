"""Reading an engine file that nobody else can have written: engines are executable code."""

from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import stat

from edge_seg.backends.tensorrt.engine_key import BuiltFor, EngineRecord, read_record
from edge_seg.backends.tensorrt.plan_header import PlanHeader, read_plan_header
from edge_seg.errors import CompileFailed

ENGINE_SUFFIXES = ('.plan', '.engine', '.trt')
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


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

    The permissions are those of the open file, so that it cannot be exchanged in between.

    Raises:
        CompileFailed: missing, unreadable, writable by others, no engine, or not the file that
            its record describes.
    """
    _check_writers(path.parent, os.stat(path.parent) if path.parent.is_dir() else None)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise CompileFailed(f'{path} cannot be read: {error.strerror}') from error
    with os.fdopen(handle, 'rb') as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise CompileFailed(f'{path} is not a file', expected='a TensorRT engine')
        _check_writers(path, found)
        blob = file.read()
    header = read_plan_header(blob, path.name)
    record = read_record(path)
    if record is not None and hashlib.sha256(blob).hexdigest() != record.plan_sha256:
        raise CompileFailed(
            f'{path.name} is not the engine that {path.name}.json describes',
            remedy='rebuild it; it was changed or only half copied',
        )
    return EngineFile(path.name, blob, header, record)


def check_machine(engine: EngineFile, here: BuiltFor, *, remedy: str) -> None:
    """Refuse an engine whose record names another machine; without a record TensorRT decides.

    Raises:
        CompileFailed: it was built for something else; the message names what.
    """
    if engine.record is None:
        return
    difference = engine.record.key.machine.difference(here)
    if difference:
        raise CompileFailed(f'{engine.name} was built for {difference}', remedy=remedy)


def _check_writers(path: Path, found: os.stat_result | None) -> None:
    if found is None:
        raise CompileFailed(f'{path} is not a directory', expected='the directory of an engine')
    if found.st_uid not in (0, os.geteuid()):
        raise CompileFailed(
            f'{path} belongs to user {found.st_uid}',
            expected='this user or root: an engine is executable code',
            remedy=f'sudo chown {os.geteuid()} {path}, if you trust what is in it',
        )
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise CompileFailed(
            f'{path} is writable by others (mode {stat.S_IMODE(found.st_mode):04o})',
            expected='an engine that only its owner can write: it is executable code',
            remedy=f'chmod go-w {path}, if you trust what is in it',
        )
