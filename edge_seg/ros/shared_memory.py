"""Looks after what killed processes leave in shared memory.

What Fast DDS 2.14 to 3.6 does after a kill, and what is done about it here (ADR 8):

- A process that starts gets the numbers of the dead one, and with them the names of its ports,
  while the others still send there: until they find that nobody reads, for up to 2 s, or for ever
  when the kill came at a moment at which they cannot tell; and until the lease of the dead ends,
  20 s after its last word, making the port anew and removing it, and the mutex that guards it as
  well, with every message (``SharedMemTransport::cleanup_output_ports``,
  ``SharedMemGlobal::Port::~Port``). Now and then that is the port of the new process. It is
  deaf then, for good. So the numbers of the dead are kept taken until it has numbers of its own.
- Who was killed while it read a message leaves a note of that in the port. Who finds the port dead
  and sees the lock file that the reader kept locked, clears the note in a loop that never ends
  (``recover_blocked_processing``, issue 6484): a camera driver hangs for good. Without the file
  there is no loop. So the file goes before anybody looks, which is after 1 s at the earliest.
- Who was killed while it made a port leaves one that is never finished. Who opens it waits for
  good. They are told to make it anew (`unfinished_ports`).
- What the dead sent with stays, 64 MiB a kill with the profile of this package. It is freed.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import os
from pathlib import Path
import re
import socket
import threading
import time

from edge_seg.ros.port_notes import may_be_locked, names_in, PortNotes
from edge_seg.ros.shut_ports import kept_shut, open_all
from edge_seg.ros.unfinished_ports import free_unfinished_ports, YOUNG_S
from rclpy.utilities import get_rmw_implementation_identifier

FOLDER = Path('/dev/shm')
KEPT = 24
"""So many are kept: the numbers of who is killed over and over must not grow without end."""
START_LIMIT_S = 3.0
"""So long a process waits for another one that is joining."""
_MAKING_LIMIT_S = YOUNG_S + 0.5
"""So long it waits for ports that are being made."""
_POLL_S = 0.02

# Section 9.6.2.3 of the RTPS specification 2.5.
_BASE, _PER_DOMAIN, _DISCOVERY = 7400, 250, 10
_OF_READERS = range(_BASE - 400, _BASE)
"""Ports of readers that have one of their own, in all domains: that of ros_discovery_info."""
_SEGMENT = re.compile(r'((?:fastdds|fastrtps)_[0-9a-f]{16})_el')
"""The lock of what a participant sends with."""


@contextmanager
def clear_of_the_dead(domain: int | None = None, *, folder: Path = FOLDER) -> Iterator[None]:
    """Let a process that joins a domain inside the block not take the place of a killed one.

    One process of a user at a time. Does nothing with other middlewares.

    Args:
        domain: its number; None = that of the environment.
        folder: where shared memory shows as files.
    """
    if not _is_fast_dds():
        yield
        return
    notes = PortNotes(folder)
    with notes.alone('joining', limit_s=START_LIMIT_S) as alone:
        if alone:
            open_all(folder)
        _await_finished_ports(notes, folder)
        dead_s = notes.bury()
        with ExitStack() as places:
            for port in _newest(dead_s, _participants(domain)):
                _keep_participant(port, places)
            for port in _newest(dead_s, _OF_READERS):
                # A UDP port alone keeps nobody from one of these.
                places.enter_context(kept_shut(port, folder))
            yield
        # Who ends in order leaves nothing behind.
        atexit.register(notes.forget, notes.note_own())


def bury_the_dead(*, folder: Path = FOLDER) -> None:
    """Free what the dead sent with, and see to it that nobody hangs because of them.

    In all domains. To be called several times a second. A port of the dead stays as long as
    anybody has it open, who would go on sending into a file that is gone.

    Args:
        folder: see `clear_of_the_dead`.
    """
    if not _is_fast_dds():
        return
    notes = PortNotes(folder)
    _free_unfinished_ports(notes, folder)
    notes.bury()
    with notes.alone('joining', limit_s=0.0) as nobody_joins:
        if nobody_joins:
            open_all(folder)
    for name in names_in(folder):
        if segment := _SEGMENT.fullmatch(name):
            with suppress(OSError):  # gone by now, or of another user
                if not may_be_locked(folder / name):
                    (folder / segment[1]).unlink(missing_ok=True)
                    (folder / name).unlink()


def _free_unfinished_ports(notes: PortNotes, folder: Path) -> int:
    # Alone: of two, the second could remove what has been made anew after the first.
    with notes.alone('judging'):
        return free_unfinished_ports(folder)


def _await_finished_ports(notes: PortNotes, folder: Path) -> None:
    """Wait until no port may still be being made, or turns out to be left unfinished."""
    end_s = time.monotonic() + _MAKING_LIMIT_S
    while _free_unfinished_ports(notes, folder) and time.monotonic() < end_s:
        threading.Event().wait(_POLL_S)


def _is_fast_dds() -> bool:
    return 'fastrtps' in get_rmw_implementation_identifier()


def _participants(domain: int | None) -> range:
    """Give the ports that the participants of a domain get: for discovery, for data, and so on."""
    text = os.environ.get('ROS_DOMAIN_ID', '')
    own = int(text) if text.isdecimal() else 0
    first = _BASE + _PER_DOMAIN * (own if domain is None else domain)
    return range(first + _DISCOVERY, first + _PER_DOMAIN)


def _newest(dead_s: dict[int, float], ports: range) -> list[int]:
    return sorted(dead_s.keys() & set(ports), key=lambda port: dead_s[port])[-KEPT:]


def _keep_participant(port: int, places: ExitStack) -> None:
    """Take the UDP port for discovery, without which nobody gets the number of a participant."""
    place = places.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with suppress(OSError):  # somebody has the number by now
        place.bind(('', port - port % 2))
