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
PARTICIPANTS = 40
"""Numbers that are looked at; Fast DDS takes the lowest one that is free."""
KEPT = 8
"""So many dead numbers are kept taken: others must not grow without end."""

# Section 9.6.2.3 of the RTPS specification 2.5.
_BASE, _PER_DOMAIN, _PER_PARTICIPANT = 7400, 250, 2
_DISCOVERY, _DATA = 10, 11


@contextmanager
def clear_of_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> Iterator[None]:
    """Let a process that joins a domain inside the block not take the place of a killed one.

    Of many dead the one with the oldest files gives its place away. What the dead left stays: who
    sends to a port may have it open, and would go on sending into a file that is gone. Does
    nothing where nobody was killed, and with other middlewares.

    Args:
        domain: its number; None = that of the environment.
        folder: where shared memory shows as files.
    """
    with ExitStack() as end:
        if 'fastrtps' in get_rmw_implementation_identifier():
            base = _BASE + _PER_DOMAIN * (_own_domain() if domain is None else domain)
            for port in _dead(base, folder):
                _keep_taken(port, end)
        yield


def _own_domain() -> int:
    text = os.environ.get('ROS_DOMAIN_ID', '')
    return int(text) if text.isdecimal() else 0


def _dead(base: int, folder: Path) -> list[int]:
    """Give the discovery ports of the participants that died last."""
    found: list[tuple[float, int, list[Path]]] = []
    for participant in range(PARTICIPANTS):
        first = base + _PER_PARTICIPANT * participant
        ports = (first + _DISCOVERY, first + _DATA)
        files = (folder / LOCK.format(name.format(port)) for port in ports for name in NAMES)
        left = [(lock, used_s) for lock in files if (used_s := _left_behind(lock)) is not None]
        if left:
            newest_s = max(used_s for _, used_s in left)
            found.append((newest_s, ports[0], [lock for lock, _ in left]))
    found.sort()
    for _, _, locks in found[:-KEPT][:1]:
        for lock in locks:
            with suppress(OSError):  # of another user
                os.utime(lock)  # whoever takes the place is young when he dies
    return [port for _, port, _ in found[-KEPT:]]


def _left_behind(lock: Path) -> float | None:
    """Give the time of a lock file whose reader is gone: the kernel has then let go of the lock.

    None for the living. Shared, so that of two processes that look at the same moment neither
    takes the other for the reader; and only for that moment.
    """
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # no such port or just removed, locked, or of another user
        return None


def _keep_taken(port: int, end: ExitStack) -> None:
    """Take a UDP port, without which nobody gets the number of its participant."""
    place = end.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with suppress(OSError):  # somebody has the number by now
        place.bind(('', port))
