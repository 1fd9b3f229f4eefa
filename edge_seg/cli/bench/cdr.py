"""The stamp of a serialised message, which comes first in every message that has a header.

CDR as ROS 2 writes it: four bytes that name the encoding, then ``header.stamp`` as int32 seconds
and uint32 nanoseconds, in the byte order that the second byte tells (OMG DDSI-RTPS 10.5).
"""

import struct

STAMP_END = 12
_HEAD = {0: struct.Struct('>4siI'), 1: struct.Struct('<4siI')}
_LITTLE = b'\x00\x01\x00\x00'
NANOSECONDS = 1_000_000_000


def stamp_of(message: bytes) -> int:
    """Read ``header.stamp`` of a serialised message, in nanoseconds."""
    _, seconds, nanoseconds = _HEAD[message[1] & 1].unpack_from(message)
    return int(seconds * NANOSECONDS + nanoseconds)


def stamp_head(stamp_ns: int) -> bytes:
    """Write the first STAMP_END bytes of a message, for a little-endian machine."""
    return _HEAD[1].pack(_LITTLE, *divmod(stamp_ns, NANOSECONDS))
