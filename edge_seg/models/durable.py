"""Files that are whole or absent after a crash, and advisory locks on folders."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import errno
import fcntl
import hashlib
import os
from pathlib import Path
import secrets
import stat
from typing import Literal

from edge_seg.errors import IntegrityError, StoreError

CHUNK_BYTES = 1 << 20
Advance = Callable[[int], None]
"""Told how many more bytes are done."""


def open_inside(folder: Path, relative: str) -> int:
    """Open a regular file below ``folder`` for reading, following no link on the way.

    Returns:
        A file descriptor; the caller closes it.

    Raises:
        IntegrityError: it is missing, unreadable, not a regular file, or reached by a link.
    """
    *parents, name = relative.split('/')
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parents:
                inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            # O_NONBLOCK: opening a FIFO must not wait for a writer.
            opened = os.open(name, flags | os.O_NONBLOCK, dir_fd=descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise IntegrityError(
            f'{folder / relative} {_why_unopened(error)}', expected='a readable file'
        ) from error
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise IntegrityError(f'{folder / relative} is no regular file', expected='a regular file')
    return opened


def _why_unopened(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return 'is missing'
    # ENOTDIR is what O_DIRECTORY | O_NOFOLLOW gives for a link to a folder.
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return 'is a symbolic link or lies behind one'
    return f'cannot be read ({error.strerror})'


def sha256_of(descriptor: int, advance: Advance | None = None) -> str:
    """Return the digest of an open file, read in chunks from where it stands."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with os.fdopen(os.dup(descriptor), 'rb', buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            if advance is not None:
                advance(count)
    return digest.hexdigest()


def copy_durably(source: int, target: Path, advance: Advance | None = None) -> str:
    """Copy an open file to a new one, flush it to the disk and return its digest.

    Raises:
        OSError: the target exists or cannot be written.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with os.fdopen(os.dup(source), 'rb', buffering=0) as stream, open(target, 'xb') as copy:
        os.fchmod(copy.fileno(), 0o644)  # whatever the umask is: others never write models
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            copy.write(buffer[:count])
            if advance is not None:
                advance(count)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def write_durably(target: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a new file and flush it to the disk.

    Raises:
        FileExistsError: ``target`` exists already.
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, mode), 'wb') as stream:
        os.fchmod(stream.fileno(), mode)  # whatever the umask is
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace_durably(target: Path, content: bytes) -> None:
    """Put a file in place of another in one step: readers see the old or the new one.

    Raises:
        OSError: it cannot be written; the old one still stands.
    """
    temporary = target.with_name(f'.{target.name}.{secrets.token_hex(4)}')
    try:
        write_durably(temporary, content)
        os.replace(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(
    folder: Path, kind: Literal['shared', 'exclusive'], *, wait: bool
) -> Iterator[bool]:
    """Hold an advisory lock on a folder; the kernel drops it when the process dies.

    Yields:
        True with the lock held; False when ``wait`` is off and somebody else holds it.

    Raises:
        StoreError: the folder cannot be opened, or its file system has no locks.
    """
    operation = fcntl.LOCK_SH if kind == 'shared' else fcntl.LOCK_EX
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f'{folder} cannot be opened ({error.strerror})') from error
    try:
        yield _flock(descriptor, operation if wait else operation | fcntl.LOCK_NB, folder)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, operation: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreError(
            f'{folder} cannot be locked ({error.strerror})',
            expected='a file system with flock',
            remedy='keep the store on a local disk',
        ) from error
    return True
