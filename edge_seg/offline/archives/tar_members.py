"""Reads the tar format as strictly as it is written here: regular files, plain names, no more."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_seg.models.guarded_yaml import shown
from edge_seg.offline.archives.layout import BLOCK, RECORD, refused
from edge_seg.offline.archives.streams import UnpackedStream

MAX_NAME_RECORD = 4 * BLOCK
MAX_SIZE = (8 << 30) - 1  # what twelve octal digits hold
_ZEROS = bytes(BLOCK)
_FILE, _NAME_RECORD = b'0', b'x'
_MAGIC = b'ustar\x0000'
_KINDS = {
    b'1': 'a hard link',
    b'2': 'a symbolic link',
    b'3': 'a character device',
    b'4': 'a block device',
    b'5': 'a folder',
    b'6': 'a FIFO',
    b'7': 'a contiguous file',
    b'S': 'a sparse file',
    b'L': 'a long name of GNU tar',
    b'K': 'a long link of GNU tar',
    b'g': 'a global header',
}
_REMEDY = 'it was not made by edge_seg model package: do not use it'


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive; its name is not checked yet."""

    name: str
    size: int


class TarMembers:
    """The members of an archive, one after the other.

    Args:
        stream: the plain bytes.
        archive: path for messages.
    """

    def __init__(self, stream: UnpackedStream, archive: Path) -> None:
        self._stream = stream
        self._archive = archive

    def next(self) -> Member | None:
        """Go to the next member, the content of the last one having been read; None at the end.

        Raises:
            IntegrityError: what stands there is no regular file, or is damaged, or something
                follows the end.
        """
        header = self._stream.read(BLOCK)
        if header == _ZEROS:
            self._end()
            return None
        kind, name, size = self._parsed(header)
        if kind == _NAME_RECORD:
            long_name = self._name_record(size)
            header = self._stream.read(BLOCK)
            if header == _ZEROS:
                raise self._damaged('a name stands at its end')
            kind, name, size = self._parsed(header)
            name = long_name
        if kind != _FILE:
            what = _KINDS.get(kind, f'of the kind {kind!r}')
            raise refused(
                self._archive,
                f'{shown(name)} is {what}',
                expected='regular files only',
                remedy=_REMEDY,
            )
        return Member(name, size)

    def content(self, member: Member, *, chunk: int = 1 << 16) -> Iterator[bytes]:
        """Yield the content of the member that ``next`` gave.

        Raises:
            IntegrityError: the archive ends before, or is damaged.
        """
        left = member.size
        while left:
            data = self._stream.read(min(left, chunk))
            left -= len(data)
            yield data
        padding = self._stream.read(-member.size % BLOCK)
        if padding.strip(b'\0'):
            raise self._damaged(f'something is hidden behind {shown(member.name)}')

    def _end(self) -> None:
        rest = self._stream.rest(RECORD)
        if len(rest) < BLOCK or rest.strip(b'\0'):
            raise self._damaged('something stands where it should end')

    def _parsed(self, header: bytes) -> tuple[bytes, str, int]:
        total = sum(header[:148]) + sum(header[156:]) + 8 * ord(' ')
        if total != self._octal(header[148:156]):
            raise self._damaged('the checksum of a header is wrong')
        if header[257:265] != _MAGIC:
            raise self._damaged('a header is not of the format POSIX tar')
        try:
            name = _text(header[:100])
            prefix = _text(header[345:500])
        except UnicodeDecodeError as error:
            raise self._damaged('a name is not UTF-8') from error
        return header[156:157], f'{prefix}/{name}' if prefix else name, self._size(header)

    def _size(self, header: bytes) -> int:
        size = self._octal(header[124:136])
        if size > MAX_SIZE:
            raise self._damaged('a file has 8 GiB or more')
        return size

    def _octal(self, field: bytes) -> int:
        digits = field.strip(b'\0 ')
        if not digits or digits.strip(b'01234567'):
            raise self._damaged('a number in a header is none')
        return int(digits, 8)

    def _name_record(self, size: int) -> str:
        """Read a pax header, which may hold nothing but a name."""
        if not 0 < size <= MAX_NAME_RECORD:
            raise self._damaged(f'a name has {size} bytes')
        record = b''.join(self.content(Member('a long name', size)))
        length, _, pair = record.partition(b' ')
        keyword, _, value = pair.partition(b'=')
        if not length.isdigit() or int(length) != len(record) or not value.endswith(b'\n'):
            raise self._damaged('a name is not written as pax has it')
        if keyword != b'path' or b'\0' in value:
            raise self._damaged(f'a header has {shown(keyword.decode("utf-8", "replace"))}')
        try:
            return value[:-1].decode('utf-8')
        except UnicodeDecodeError as error:
            raise self._damaged('a name is not UTF-8') from error

    def _damaged(self, met: str) -> Exception:
        return refused(self._archive, met, expected='an archive as edge_seg model package writes')


def _text(field: bytes) -> str:
    return field.partition(b'\0')[0].decode('utf-8')
