"""Compressed streams: written with nothing in them that changes, read with a bound on all."""

from pathlib import Path
from typing import BinaryIO
import zlib

from edge_seg.offline.archives.layout import GZIP_SUFFIXES, Limits, refused, ZSTD_SUFFIXES
from edge_seg.offline.archives.with_zstd import (
    Compressor,
    Decompressor,
    zstd_compressor,
    zstd_decompressor,
)

CHUNK = 1 << 16
GZIP_WINDOW = 31  # zlib's way to say: with a gzip header, which then has no time and no name
GZIP_LEVEL = 9
GZIP_MAGIC = b'\x1f\x8b'
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class CompressedFile:
    """A file that takes plain bytes and holds compressed ones.

    Args:
        stream: open for writing; the caller closes it.
        zstd: .tar.zst in place of .tar.gz.

    Raises:
        BackendUnavailable: there is no Zstandard here.
    """

    def __init__(self, stream: BinaryIO, *, zstd: bool) -> None:
        self._stream = stream
        self._compressor: Compressor = (
            zstd_compressor() if zstd else zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
        )

    def write(self, data: bytes) -> int:
        """Take some more."""
        self._stream.write(self._compressor.compress(bytes(data)))
        return len(data)

    def finish(self) -> None:
        """Write what is left."""
        self._stream.write(self._compressor.flush())


class UnpackedStream:
    """The plain bytes of an archive.

    Args:
        stream: open for reading; the caller closes it.
        archive: path for messages.
        limits: what it may unpack to.

    Raises:
        IntegrityError: it is no archive.
        BackendUnavailable: it is .tar.zst and there is no Zstandard here.
    """

    def __init__(self, stream: BinaryIO, archive: Path, limits: Limits) -> None:
        self._stream = stream
        self._archive = archive
        self._limits = limits
        self._head = stream.read(CHUNK)
        self._decompressor = self._of_kind()
        self._taken = len(self._head)
        self._given = 0
        self._ready = b''

    @property
    def taken(self) -> int:
        """Bytes of the archive that were read so far."""
        return self._taken

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            IntegrityError: the archive ends before, is damaged or unpacks to too much.
        """
        parts: list[bytes] = []
        while count:
            if not self._ready:
                self._ready = self._more()
            if not self._ready:
                raise refused(self._archive, 'it ends in the middle', expected='a whole archive')
            parts.append(self._ready[:count])
            self._ready = self._ready[count:]
            count -= len(parts[-1])
        return b''.join(parts)

    def rest(self, at_most: int) -> bytes:
        """Return what is left, and see that nothing follows the compressed stream.

        Raises:
            IntegrityError: more than ``at_most`` bytes are left, or something follows.
        """
        found = self._ready
        while len(found) <= at_most and (more := self._more()):
            found += more
        if len(found) > at_most:
            raise refused(self._archive, 'something follows the last file', expected='its end')
        if self._decompressor.unused_data or self._head or self._stream.read(1):
            raise refused(self._archive, 'something follows the archive', expected='its end')
        return found

    def _more(self) -> bytes:
        while not self._decompressor.eof:
            data = self._input() if self._decompressor.needs_input else b''
            try:
                out = self._decompressor.decompress(data, CHUNK)
            except ValueError as error:
                raise refused(self._archive, f'it is damaged ({error})') from error
            if out:
                self._count(len(out))
                return out
        return b''

    def _input(self) -> bytes:
        data, self._head = self._head, b''
        if not data:
            data = self._stream.read(CHUNK)
            self._taken += len(data)
        if not data:
            raise refused(self._archive, 'it is cut off', expected='a whole archive')
        return data

    def _count(self, count: int) -> None:
        self._given += count
        limits = self._limits
        if self._given > limits.total:
            raise refused(
                self._archive,
                f'it unpacks to more than {limits.total} bytes',
                expected='a model of that size at most',
                remedy='allow more with --max-size if you trust it',
            )
        if self._given > max(limits.ratio_from, limits.ratio * self._taken):
            raise refused(
                self._archive,
                f'it unpacks to more than {limits.ratio} times its size',
                expected='the weights of a network',
            )

    def _of_kind(self) -> Decompressor:
        if self._head.startswith(GZIP_MAGIC):
            return _Gzip()
        if self._head.startswith(ZSTD_MAGIC):
            return zstd_decompressor()
        raise refused(
            self._archive,
            'it is no archive of a model' if self._head else 'it is empty',
            expected=' or '.join([GZIP_SUFFIXES[0], ZSTD_SUFFIXES[0]]),
            remedy='make one with edge_seg model package',
        )


class _Gzip:
    """One gzip member."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(GZIP_WINDOW)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._full

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        # Even with no input left there may be output left.
        self._full = len(out) == max_length or bool(self._inner.unconsumed_tail)
        return out
