"""Keeps book of the ports in shared memory: whose reader lives, whose was killed, and when.

Fast DDS tells neither. Of a port there is a segment and, while somebody reads it, a file that he
keeps locked. When he is killed both stay, until somebody who sends there looks. So a process notes
its ports, with hard links to the lock files: a link outlives the file's first name, and tells by
the lock whether the process lives. The link's time says when it was first seen dead,
or last seen to be sent to after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import re
import threading
import time

PORTS = ('fastdds_port{}', 'fastrtps_port{}')
"""A port in shared memory, by Fast DDS 3 and 2."""
LOCKS = tuple(f'{port}_el' for port in PORTS)
"""The file that the reader of a port keeps locked as long as it lives."""
MUTEXES = tuple(f'sem.{port}_mutex' for port in PORTS)
"""What guards a port while it is opened or removed."""
_LOCK_NAME = re.compile(r'(?:fastdds|fastrtps)_port(\d+)_el')
_OPEN_FILES = Path('/proc/self/fd')
_ALIVE_S = 0.0
"""Time of a note until its process is seen dead."""
_YOUNG_S = 0.2
"""A file of this age may be about to be locked by who made it."""
_POLL_S = 0.005
REST_S = 30.0
"""So long who was killed is remembered at least: the others send to it for 20 s."""


class PortNotes:
    """The notes of one user, for all his processes in all domains.

    Args:
        folder: where shared memory shows as files. Where there is none, nothing is noted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes = folder / f'edge_seg-{os.getuid()}'
        with suppress(OSError):
            self._notes.mkdir(mode=0o700, exist_ok=True)

    def note_own(self) -> dict[int, int]:
        """Note the ports that this process reads.

        Returns:
            By port, the inode of its lock.
        """
        found: dict[int, int] = {}
        for entry in names_in(_OPEN_FILES):
            with suppress(OSError):  # that of the listing itself
                lock = Path(os.readlink(_OPEN_FILES / entry))
                if lock.parent == self._folder and (name := _LOCK_NAME.fullmatch(lock.name)):
                    self._note(lock, int(name[1]), _ALIVE_S)
                    found[int(name[1])] = lock.stat().st_ino
        return found

    def forget(self, noted: dict[int, int]) -> None:
        """Remove the notes of a process that ends in order.

        Its numbers are free as soon as it has left the domain: a note may be its successor's.
        """
        for port, inode in noted.items():
            with suppress(OSError):  # there is none any more
                if (self._notes / str(port)).stat().st_ino == inode:
                    self._remove(port)

    def bury(self) -> dict[int, float]:
        """Clear away the locks of the dead.

        Returns:
            By port, when its reader was first seen dead; those that are forgotten by now left out.
        """
        with self.alone('judging'):
            ports = {
                int(name[1]) for name in map(_LOCK_NAME.fullmatch, names_in(self._folder)) if name
            }
            ports |= {int(name) for name in names_in(self._notes) if name.isdecimal()}
            dead_s = {port: self._dead_since(port) for port in ports}
        return {port: time_s for port, time_s in dead_s.items() if time_s is not None}

    @contextmanager
    def alone(self, what: str, *, limit_s: float = 1.0) -> Iterator[bool]:
        """Do something while no other process of this user does; without, when it takes long.

        Gives whether that is so.
        """
        end_s = time.monotonic() + limit_s
        try:
            file = (self._notes / what).open('wb')
        except OSError:  # no such folder, or another user's
            yield False
            return
        with file:
            while not (alone := _locked(file.fileno(), fcntl.LOCK_EX)):
                if time.monotonic() >= end_s:
                    break
                threading.Event().wait(_POLL_S)
            yield alone

    def _dead_since(self, port: int) -> float | None:
        note, now_s = self._notes / str(port), time.time()
        for lock in (self._folder / name.format(port) for name in LOCKS):
            with suppress(OSError):  # no such port, or of another user
                if may_be_locked(lock):
                    return None
                if not (note.exists() and note.samefile(lock)):
                    self._note(lock, port, now_s)  # of a process that made none
                lock.unlink()
        with suppress(OSError):  # there is no note
            dead_s = note.stat().st_mtime
            if _is_locked(note):
                return None
            if dead_s != _ALIVE_S and now_s - dead_s <= REST_S:
                return dead_s
            if dead_s == _ALIVE_S or self._is_open(port, dead_s):
                os.utime(note, (now_s, now_s))
                return now_s
            self._remove(port)
        return None

    def _note(self, lock: Path, port: int, time_s: float) -> None:
        self._remove(port)
        note = self._notes / str(port)
        with suppress(OSError):  # of another user
            os.link(lock, note)
            os.utime(note, (time_s, time_s))

    def _remove(self, port: int) -> None:
        with suppress(OSError):
            (self._notes / str(port)).unlink(missing_ok=True)

    def _is_open(self, port: int, dead_s: float) -> bool:
        """Say whether anybody still sends to the port of who died then; removes it if not.

        Looks at all processes: to be asked rarely.
        """
        for name, mutex in zip(PORTS, MUTEXES, strict=True):
            segment = self._folder / name.format(port)
            with suppress(FileNotFoundError):
                if segment.stat().st_mtime > dead_s:
                    continue  # made since, by who sends to a successor
                if _is_mapped(segment):
                    return True
                segment.unlink()
                (self._folder / mutex.format(port)).unlink()
        return False


def names_in(folder: Path) -> list[str]:
    """List a folder; nothing where there is none, or no way to look into it."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def may_be_locked(lock: Path) -> bool:
    """Say whether who made a file lives, or may be about to lock it.

    With a process the kernel lets go of its locks.

    Raises:
        OSError: there is no such file, or no more, or it is another user's.
    """
    return 0.0 <= time.time() - lock.stat().st_mtime < _YOUNG_S or _is_locked(lock)


def _is_locked(lock: Path) -> bool:
    # Shared and for a moment: of two processes that look, neither takes the other for the owner.
    descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_mapped(segment: Path) -> bool:
    """Say whether a process that may be looked at has a segment open."""
    text = f' {segment}\n'
    for entry in names_in(Path('/proc')):
        if entry.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                if text in Path('/proc', entry, 'maps').read_text('utf-8', 'replace'):
                    return True
    return False
