"""Keeps a new process clear of the shared memory that a killed one left behind.

Fast DDS gives a process that starts after a kill the numbers of the dead one, and with them the
names of its ports in shared memory, while the others still send there:

- Until they find that nobody reads a port, for up to 2 s; or for ever, when the kill came at a
  moment at which they cannot tell. The lock file of the port is there as long.
- Until the lease of the dead ends, 20 s after its last word. Each of them makes the port anew and
  removes it, with every message, and the lock that guards it as well. In one of 20 starts what
  goes is the port that the new process has just made.

The new process is deaf then, for good (Fast DDS 3.2, ``SharedMemGlobal::Port``: ``WatchTask`` and
``~Port``). So the numbers of the dead are kept taken until it has numbers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import fcntl
import os
from pathlib import Path
import re
import socket
import time

from rclpy.utilities import get_rmw_implementation_identifier

FOLDER = Path('/dev/shm')
OPEN_FILES = Path('/proc/self/fd')
LOCKS = ('fastdds_port{}_el', 'fastrtps_port{}_el')
"""The file that the reader of a port keeps locked as long as it lives, by Fast DDS 3 and 2."""
NOTE = 'edge_seg_port{}_el'
"""A second name of that file. The first one the others clear away when they find the dead."""
ALIVE_S = 0.0
"""Time of a note when the process was last seen alive; else when it was first seen dead."""
REST_S = 30.0
"""So long a number is kept at least, more than the lease."""
KEPT = 24
"""So many are kept: the numbers of who is killed over and over must not grow without end."""

# Section 9.6.2.3 of the RTPS specification 2.5.
_BASE, _PER_DOMAIN, _DISCOVERY = 7400, 250, 10
_PORT = re.compile(r'(?:fastdds|fastrtps|edge_seg)_port(\d+)_el')


@contextmanager
def clear_of_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> Iterator[None]:
    """Let a process that joins a domain inside the block not take the place of a killed one.

    What the dead left stays: who sends to a port may have it open, and would go on sending into a
    file that is gone. Does nothing with other middlewares.

    Args:
        domain: its number; None = that of the environment.
        folder: where shared memory shows as files.
    """
    with ExitStack() as places:
        if 'fastrtps' in get_rmw_implementation_identifier():
            places.callback(_note_own, folder)
            for place in _resting(_own_domain() if domain is None else domain, folder):
                _keep_taken(place, places)
        yield


def _own_domain() -> int:
    text = os.environ.get('ROS_DOMAIN_ID', '')
    return int(text) if text.isdecimal() else 0


def _resting(domain: int, folder: Path) -> list[int]:
    """Give the discovery ports of the participants that died last."""
    first = _BASE + _PER_DOMAIN * domain + _DISCOVERY
    ports = range(first, first + _PER_DOMAIN - _DISCOVERY)
    found = (_PORT.fullmatch(name) for name in os.listdir(folder))
    seen_s: dict[int, float] = {}
    for port in {int(name[1]) for name in found if name} & set(ports):
        if (dead_s := _dead_since(port, folder)) is not None:
            # A participant has one for discovery and then one for data.
            place = port - (port - first) % 2
            seen_s[place] = max(dead_s, seen_s.get(place, dead_s))
    return sorted(seen_s, key=lambda port: seen_s[port])[-KEPT:]


def _dead_since(port: int, folder: Path) -> float | None:
    """Say when the reader of a port was first seen dead; None = it lives, or is forgotten."""
    note = folder / NOTE.format(port)
    now_s = time.time()
    for lock in (folder / name.format(port) for name in LOCKS):
        with suppress(OSError):  # no such port, or of another user
            if _is_read(lock):
                return None
            if not (note.exists() and note.samefile(lock)):
                _note(lock, note, now_s)  # of a process that made none
    try:
        if _is_read(note):
            return None
        found = note.stat()
        if found.st_mtime == ALIVE_S:
            os.utime(note, (now_s, now_s))
            return now_s
        if found.st_nlink > 1 or now_s - found.st_mtime <= REST_S:
            return found.st_mtime
        note.unlink()
    except OSError:  # none, just removed, or of another user
        pass
    return None


def _is_read(lock: Path) -> bool:
    """Say whether the reader of a port lives: with it the kernel lets go of its lock.

    Looks with a shared lock, and for a moment: of two processes that look at the same time neither
    takes the other for the reader.

    Raises:
        OSError: there is no such port, or no more, or it is another user's.
    """
    with lock.open('rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _note_own(folder: Path) -> None:
    """Leave a note for each port that this process reads."""
    with suppress(OSError):  # no /proc
        for entry in os.listdir(OPEN_FILES):
            with suppress(OSError):  # that of the listing itself
                lock = Path(os.readlink(OPEN_FILES / entry))
                if lock.parent == folder and (name := _PORT.fullmatch(lock.name)):
                    _note(lock, folder / NOTE.format(name[1]), ALIVE_S)


def _note(lock: Path, note: Path, time_s: float) -> None:
    with suppress(OSError):  # of another user, or somebody else was first
        note.unlink(missing_ok=True)
        os.link(lock, note)
        os.utime(note, (time_s, time_s))


def _keep_taken(port: int, places: ExitStack) -> None:
    """Take a UDP port, without which nobody gets the number of its participant."""
    place = places.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with suppress(OSError):  # somebody has the number by now
        place.bind(('', port))
