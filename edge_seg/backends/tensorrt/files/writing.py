"""Writes what a build gives so that it is whole or absent after a crash, for its owner only."""

import hashlib
import os
from pathlib import Path
import tempfile

from edge_seg.backends.tensorrt.files.key import EngineKey, EngineRecord, record_path
from edge_seg.errors import CompileFailed


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears under its name by one rename, mode 0600.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_engine(path: Path, plan: bytes, key: EngineKey, *, request: str) -> None:
    """Write an engine and its record.

    The record goes first: an engine is never there without the record of what it was built for,
    and one beside the record of another is refused.

    Args:
        path: the engine.
        plan: its content.
        key: what it was built from and for.
        request: digest of the key that was asked for.

    Raises:
        CompileFailed: the folder cannot be written or is full.
    """
    record = EngineRecord(key, hashlib.sha256(plan).hexdigest(), request)
    try:
        write_whole(record_path(path), record.to_json().encode())
        write_whole(path, plan)
    except OSError as error:
        raise CompileFailed(
            f'{path} cannot be written: {error.strerror}',
            remedy='free some space, or choose a folder that this user owns',
        ) from error


def read_or_empty(path: Path) -> bytes:
    """Read a file; gives nothing when it is absent or unreadable."""
    try:
        return path.read_bytes()
    except OSError:
        return b''
