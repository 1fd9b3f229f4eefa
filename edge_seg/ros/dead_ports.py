"""Keeps a new process clear of the shared memory that a killed one left behind.

Fast DDS gives a process that starts right after a kill the number of the dead one, and with it the
names of its ports in shared memory. The others still send to those, until they find, looking once
a second, that nobody reads there: for up to 2 s a node that was started again is deaf. Here the
number of the dead is kept taken until the new process has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import fcntl
import os
from pathlib import Path
import socket

from rclpy.utilities import get_rmw_implementation_identifier

FOLDER = Path('/dev/shm')
NAMES = ('fastdds_port{}', 'fastrtps_port{}')
"""A port in shared memory, as Fast DDS 3 and 2 call it."""
LOCK = '{}_el'
"""The file that the reader of a port keeps locked as long as it lives."""
MUTEX = 'sem.{}_mutex'
PARTICIPANTS = 40
"""Numbers that are looked at; Fast DDS takes the lowest one that is free."""

# Section 9.6.2.3 of the RTPS specification 2.5.
_BASE, _PER_DOMAIN, _PER_PARTICIPANT = 7400, 250, 2
_DISCOVERY, _DATA = 10, 11


@contextmanager
def clear_of_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> Iterator[None]:
    """Let a process that joins a domain inside the block not take the place of a killed one.

    What the killed processes left is removed at the end. Does nothing where nobody was killed, and
    with other middlewares.

    Args:
        domain: its number; None = that of the environment.
        folder: where shared memory shows as files.
    """
    with ExitStack() as end:
        if 'fastrtps' in get_rmw_implementation_identifier():
            base = _BASE + _PER_DOMAIN * (_own_domain() if domain is None else domain)
            for participant in range(PARTICIPANTS):
                _keep_taken(base, participant, folder, end)
        yield


def _own_domain() -> int:
    text = os.environ.get('ROS_DOMAIN_ID', '')
    return int(text) if text.isdecimal() else 0


def _keep_taken(base: int, participant: int, folder: Path, end: ExitStack) -> None:
    """Take the UDP port of a dead participant, without which nobody gets its number."""
    offset = base + _PER_PARTICIPANT * participant
    ports = (offset + _DISCOVERY, offset + _DATA)
    dead = [
        name
        for port in ports
        for name in (pattern.format(port) for pattern in NAMES)
        if _is_dead(folder / LOCK.format(name))
    ]
    if not dead:
        return
    place = end.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        place.bind(('', ports[0]))
    except OSError:
        return  # somebody has the number already, and these files by now
    for name in dead:
        end.callback(_bury, folder, name)


def _is_dead(lock: Path) -> bool:
    """Whether the reader that made a lock file is gone: the kernel has then let go of the lock."""
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # no such port, locked, or of another user
        return False
    return True


def _bury(folder: Path, name: str) -> None:
    for file in (name, LOCK.format(name), MUTEX.format(name)):
        with suppress(OSError):  # gone already, or of another user
            (folder / file).unlink()
