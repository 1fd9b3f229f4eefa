"""Zstandard: that of Python 3.14, its backport, or the package zstandard; imported on demand."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from edge_seg.backends.sdk import sdk_import
from edge_seg.errors import BackendUnavailable

LEVEL = 10
WINDOW_BYTES = 128 << 20
"""More memory is not given to whoever made an archive."""
_HINT = 'pip install zstandard, or package it as .tar.gz'
# Modules with the interface of Python 3.14.
_STANDARD = ('compression.zstd', 'backports.zstd')
# 1 KiB of zstd unpacks to some 32 MiB at most: blocks of 128 KiB, each of 4 bytes.
_SIP = 1 << 10


class Compressor(Protocol):
    """Compresses a stream of bytes."""

    def compress(self, data: bytes, /) -> bytes:
        """Take some more; gives what is ready."""

    def flush(self) -> bytes:
        """End the stream."""


class Decompressor(Protocol):
    """Unpacks one stream of bytes, never much more at once than is asked for."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether only more input can give more output."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take some more, which may be nothing.

        Raises:
            ValueError: the data is damaged.
        """


def zstd_compressor() -> Compressor:
    """Return a compressor.

    Raises:
        BackendUnavailable: there is no Zstandard here.
    """
    for name in _STANDARD:
        module = _imported(name)
        if module is not None:
            made: Compressor = module.ZstdCompressor(LEVEL)
            return made
    with sdk_import('zstandard', _HINT):
        import zstandard
    other: Compressor = zstandard.ZstdCompressor(level=LEVEL).compressobj()
    return other


def zstd_decompressor() -> Decompressor:
    """Return a decompressor of one frame.

    Raises:
        BackendUnavailable: there is no Zstandard here.
    """
    for name in _STANDARD:
        module = _imported(name)
        if module is not None:
            options = {module.DecompressionParameter.window_log_max: WINDOW_BYTES.bit_length() - 1}
            return _Checked(module.ZstdDecompressor(options=options), module.ZstdError)
    with sdk_import('zstandard', _HINT):
        import zstandard
    inner = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
    return _Sipping(inner.decompressobj, zstandard.ZstdError)


def has_zstd() -> bool:
    """Say whether archives can be .tar.zst here."""
    try:
        zstd_compressor()
    except BackendUnavailable:
        return False
    return True


class _Checked:
    """The decompressor of Python, with its errors made ValueError."""

    def __init__(self, inner: Any, failure: type[Exception]) -> None:
        self._inner, self._failure = inner, failure

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._inner.needs_input)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return bytes(self._inner.decompress(data, max_length))
        except self._failure as error:
            raise ValueError(str(error)) from error


class _Sipping:
    """The decompressor of zstandard, which knows no bound: it gets little at once."""

    def __init__(self, make: Callable[[], Any], failure: type[Exception]) -> None:
        self._inner, self._failure = make(), failure
        self._waiting = b''

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data) + self._waiting

    def decompress(self, data: bytes, max_length: int) -> bytes:
        del max_length  # bounded by the sip
        self._waiting += data
        sip, self._waiting = self._waiting[:_SIP], self._waiting[_SIP:]
        try:
            return bytes(self._inner.decompress(sip)) if sip else b''
        except self._failure as error:
            raise ValueError(str(error)) from error


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
