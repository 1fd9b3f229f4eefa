"""Frees who waits for a port in shared memory that its maker, killed in between, never finished.

Who makes a port creates its file, gives it its size, sets the file's first word to
"initializing", lays it out and sets the word to "initialized". Who opens it waits for that without
a limit (``managed_open_or_create_impl`` of the Boost.Interprocess in Fast DDS 2.14 to 3.6): a node
that cannot start, or a camera driver that hangs with its next frame. A process that sends to
somebody dead makes a port with every message, so such a kill is not rare.
"""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path
import re
import struct
import time

from edge_seg.ros.port_notes import names_in

YOUNG_S = 1.0
"""Making a port takes some ten microseconds, but its maker may have to wait for a core."""
_PORT = re.compile(r'(?:fastdds|fastrtps)_port\d+')
_WORD = struct.Struct('=I')
_INITIALIZED = _WORD.pack(2)
_CORRUPTED = _WORD.pack(3)
"""The first word of a file, as Boost sets it when all is done, and when that failed."""


def free_unfinished_ports(folder: Path) -> int:
    """Remove ports that were never finished, and tell who waits for them that making them failed.

    As Boost itself would have told them: they make the port anew.

    Args:
        folder: where shared memory shows as files.

    Returns:
        How many may still be being made: they are younger than `YOUNG_S`.
    """
    young = 0
    # Four times a second for each of perhaps a hundred ports: no Path for each of them.
    for name in names_in(folder):
        if _PORT.fullmatch(name):
            with suppress(OSError):  # gone by now, or of another user
                young += not _is_settled(os.path.join(folder, name))
    return young


def _is_settled(segment: str) -> bool:
    """Say whether a port is finished or removed; False: its maker may be at it."""
    descriptor = os.open(segment, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if os.pread(descriptor, _WORD.size, 0) == _INITIALIZED:
            return True
        status = os.fstat(descriptor)
        if 0.0 <= time.time() - status.st_mtime < YOUNG_S:
            return False
        # The name first: who is told makes the port anew under it.
        if os.path.samestat(os.lstat(segment), status):
            os.unlink(segment)
        # Its maker, if it only stood still, is told as well, unless it is laying it out already.
        os.pwrite(descriptor, _CORRUPTED, 0)
        return True
    finally:
        os.close(descriptor)
