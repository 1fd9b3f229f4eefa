"""Keeps ports in shared memory shut while a process joins, so that nobody opens them.

Who opens a port, to read it or to send there, locks its mutex first. A folder in place of that can
neither be opened nor be removed as a mutex is, and at its usual log level Fast DDS says nothing:
a reader goes on to the next number, a message to the dead is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import os
from pathlib import Path
import re
import threading

from edge_seg.ros.port_notes import LOCKS, MUTEXES

_MUTEX_NAME = re.compile(r'sem\.(?:fastdds|fastrtps)_port\d+_mutex')
LOOKS = 5
"""So often a lock is looked at: who looks whether the reader lives has one for a moment."""
_LOOK_S = 0.002


@contextmanager
def kept_shut(port: int, folder: Path) -> Iterator[None]:
    """Let nobody open a port of somebody dead, unless somebody else has its number by now.

    Args:
        port: its number.
        folder: where shared memory shows as files.
    """
    with ExitStack() as kept:
        for lock_name, mutex_name in zip(LOCKS, MUTEXES, strict=True):
            lock, mutex = (folder / name.format(port) for name in (lock_name, mutex_name))
            with suppress(OSError):  # another user's, or somebody is at it, too
                inode = _shut(mutex)
                if _is_read(lock):
                    _open(mutex, inode)
                else:
                    kept.callback(_open, mutex, inode)
        yield


def open_all(folder: Path) -> None:
    """Open what somebody has kept shut who was killed meanwhile. To be done while nobody joins."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _MUTEX_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.geteuid():
                    _open(folder / entry.name, status.st_ino)


def _shut(mutex: Path) -> int:
    if mutex.is_dir():
        raise FileExistsError(f'{mutex}: somebody else keeps it shut')
    with suppress(FileNotFoundError):
        mutex.rename(_aside(mutex))
    try:
        mutex.mkdir(mode=0o700)
    except OSError:
        _aside(mutex).unlink(missing_ok=True)
        raise
    return mutex.stat().st_ino


def _open(mutex: Path, inode: int) -> None:
    """Remove the folder, if it still is this one, and put the mutex back."""
    with suppress(OSError):
        if mutex.lstat().st_ino == inode:
            mutex.rmdir()  # fails for a mutex
            with suppress(FileExistsError):  # somebody has made a new one
                os.link(_aside(mutex), mutex)
            _aside(mutex).unlink()


def _aside(mutex: Path) -> Path:
    return mutex.with_name(f'{mutex.name}.edge_seg')


def _is_read(lock: Path) -> bool:
    for _ in range(LOOKS):
        if not lock.exists():
            return False
        threading.Event().wait(_LOOK_S)
    return True
