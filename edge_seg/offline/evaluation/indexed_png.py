"""PNG files with a colour table, as label maps often are: the indices in place of the colours."""

from collections.abc import Iterator
import struct
import zlib

SIGNATURE = b'\x89PNG\r\n\x1a\n'
HEADER = struct.Struct('>IIBBBBB')  # width, height, depth, colour type, three methods
INDEXED, GRAY = 3, 0
OF_THE_TABLE = (b'PLTE', b'tRNS', b'bKGD', b'hIST', b'sBIT')


def as_gray(content: bytes) -> bytes:
    """Turn an 8-bit indexed PNG into a gray one whose values are the indices.

    Decoders replace indices by colours, which are no class ids; the pixel data of both kinds of
    file are the same, so only the header changes and the table goes. Anything else, damaged files
    too, comes back as it is.
    """
    if not content.startswith(SIGNATURE):
        return content
    parts = [SIGNATURE]
    for kind, data, whole in _chunks(content):
        if not whole:  # a right checksum must not be put on wrong data
            return content
        if kind == b'IHDR':
            if len(data) != HEADER.size:
                return content
            width, height, depth, colour, *methods = HEADER.unpack(data)
            if (depth, colour) != (8, INDEXED):
                return content
            data = HEADER.pack(width, height, depth, GRAY, *methods)
        if kind not in OF_THE_TABLE:
            parts.append(_chunk(kind, data))
    return b''.join(parts)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Give kind and data of each chunk, and whether its checksum is right."""
    at = len(SIGNATURE)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], 'big')
        body, checksum = content[at + 4 : at + 8 + length], content[at + 8 + length :][:4]
        whole = len(body) == 4 + length and checksum == _checksum(body)
        yield body[:4], body[4:], whole
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, 'big') + kind + data + _checksum(kind + data)


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, 'big')
