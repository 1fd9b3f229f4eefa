"""Looks after what killed processes leave in shared memory.

What Fast DDS 2.14 to 3.6 does after a kill (class ``Port`` of SharedMemGlobal and of its manager),
and what is done about it here:

- A process that starts gets the numbers of the dead one, and with them the names of its ports,
  while the others still send there: until they find that nobody reads, for up to 2 s, or for ever
  when the kill came at a moment at which they cannot tell; and until the lease of the dead ends,
  20 s after its last word, making the port anew and removing it, and the lock that guards it as
  well, with every message. In one of 20 starts that is the port of the new process. It is deaf
  then, for good. So the numbers of the dead are kept taken until it has numbers of its own.
- Who was killed while it read a message leaves a note of that in the port. Who finds the port dead
  and sees the lock file that the reader kept locked, clears the note in a loop that never ends
  (issue 6484 of Fast DDS): a camera driver hangs for good. Without the file there is no loop. So
  the file goes before anybody looks, which is after 1 s at the earliest.
- What the dead sent with stays, 64 MiB a kill with the profile of this package. It is freed.
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
PORTS = ('fastdds_port{}', 'fastrtps_port{}')
"""A port in shared memory, by Fast DDS 3 and 2."""
LOCKS = tuple(f'{port}_el' for port in PORTS)
"""The file that the reader of a port keeps locked as long as it lives."""
NOTE = 'edge_seg_port{}_el'
"""A second name of that file, which outlives the first."""
ALIVE_S = 0.0
"""Time of a note when the process was last seen alive; else when it was first seen dead."""
YOUNG_S = 0.2
"""A file of this age may be about to be locked by who made it."""
REST_S = 30.0
"""So long a number is kept at least, more than the lease."""
KEPT = 24
"""So many are kept: the numbers of who is killed over and over must not grow without end."""

# Section 9.6.2.3 of the RTPS specification 2.5.
_BASE, _PER_DOMAIN, _DISCOVERY = 7400, 250, 10
_PORT = re.compile(r'(?:fastdds|fastrtps|edge_seg)_port(\d+)_el')
_SEGMENT = re.compile(r'((?:fastdds|fastrtps)_[0-9a-f]{16})_el')
"""The lock of what a participant sends with."""


@contextmanager
def clear_of_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> Iterator[None]:
    """Let a process that joins a domain inside the block not take the place of a killed one.

    Does nothing with other middlewares.

    Args:
        domain: its number; None = that of the environment.
        folder: where shared memory shows as files.
    """
    with ExitStack() as places:
        if _is_fast_dds():
            places.callback(_note_own, folder)
            for place in _resting(domain, folder):
                _keep_taken(place, places)
        yield


def bury_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> None:
    """Free what the dead sent with, and see to it that nobody hangs who sends to them.

    To be called several times a second. The ports of the dead stay: who has one open would go on
    sending into a file that is gone.

    Args:
        domain: see `clear_of_the_dead`; segments have none, those of all domains are freed.
        folder: see `clear_of_the_dead`.
    """
    if _is_fast_dds():
        _resting(domain, folder)
        for name in os.listdir(folder):
            if segment := _SEGMENT.fullmatch(name):
                with suppress(OSError):  # gone by now, or of another user
                    if not _may_be_locked(folder / name):
                        (folder / segment[1]).unlink(missing_ok=True)
                        (folder / name).unlink()


def _is_fast_dds() -> bool:
    return 'fastrtps' in get_rmw_implementation_identifier()


def _own_domain() -> int:
    text = os.environ.get('ROS_DOMAIN_ID', '')
    return int(text) if text.isdecimal() else 0


def _resting(domain: int | None, folder: Path) -> list[int]:
    """Give the discovery ports of the participants that died last."""
    number = _own_domain() if domain is None else domain
    first = _BASE + _PER_DOMAIN * number + _DISCOVERY
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
            if _may_be_locked(lock):
                return None
            if not (note.exists() and note.samefile(lock)):
                _note(lock, note, now_s)  # of a process that made none
            lock.unlink()
    with suppress(OSError):  # there is no note, or no more
        dead_s = note.stat().st_mtime
        if _is_locked(note):
            return None
        if dead_s == ALIVE_S:
            os.utime(note, (now_s, now_s))
            return now_s
        if now_s - dead_s <= REST_S or _is_open_still(port, folder, dead_s):
            return dead_s
        note.unlink()
    return None


def _is_open_still(port: int, folder: Path, dead_s: float) -> bool:
    """Say whether a port is the one of who died then: whoever finds that out removes it."""
    for name in PORTS:
        with suppress(FileNotFoundError):
            if (folder / name.format(port)).stat().st_mtime < dead_s:
                return True
    return False


def _may_be_locked(lock: Path) -> bool:
    """Say whether who made a file lives, or may be about to lock it.

    Raises:
        OSError: see `_is_locked`.
    """
    return time.time() - lock.stat().st_mtime < YOUNG_S or _is_locked(lock)


def _is_locked(lock: Path) -> bool:
    """Say whether who made a file lives: with it the kernel lets go of its lock.

    Looks with a shared lock, and for a moment: of two processes that look at the same time neither
    takes the other for the owner.

    Raises:
        OSError: there is no such file, or no more, or it is another user's.
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
