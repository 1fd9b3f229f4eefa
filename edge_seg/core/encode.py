"""From RGB pixels to the bytes of a camera message: the inverse of ``edge_seg.core.decode``."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import cv2
from edge_seg.core.encodings import ENCODINGS
from edge_seg.core.values import AnyArray, UInt8Array
import numpy as np

CompressedFormat = Literal['jpeg', 'png']

# ITU-R BT.601 with limited range, 8 bits: rows are Y, U, V; columns R, G, B and the offset.
_YUV_FROM_RGB = np.array(
    [
        [0.256788, 0.504129, 0.097906, 16.0],
        [-0.148223, -0.290993, 0.439216, 128.0],
        [0.439216, -0.367788, -0.071427, 128.0],
    ]
)
_RED, _GREEN, _BLUE = 0, 1, 2
_GRAY_ENCODINGS = frozenset({'mono8', 'mono16', '16UC1'})


class ImageLayout(NamedTuple):
    """How an image without row padding lies in memory.

    Attributes:
        step: bytes from one row to the next.
        size: bytes of the whole image.
    """

    step: int
    size: int


def layout(encoding: str, width: int, height: int) -> ImageLayout:
    """Say how many bytes ``encode`` fills.

    Raises:
        ValueError: an encoding that is not in ``ENCODABLE``, or a size that it cannot have.
    """
    if encoding not in ENCODABLE:
        raise ValueError(f"encoding '{encoding}'; one of {', '.join(ENCODABLE)} is possible")
    rules = ENCODINGS[encoding]
    across, down, least = rules.width_multiple, rules.height_multiple, rules.smallest_side
    if width % across or height % down or min(width, height) < least:
        raise ValueError(
            f'a {width}x{height} {encoding} image; the width must be a multiple of {across}, the '
            f'height of {down}, both at least {least}'
        )
    step = width * rules.row_bytes_per_pixel
    return ImageLayout(step, step * rules.rows(height))


def encode(pixels: UInt8Array, encoding: str, *, out: UInt8Array) -> None:
    """Write an image into the bytes of a message.

    YUV is BT.601 with limited range, its chroma averaged over the pixels that share it. 16-bit
    gray is little endian and spans the full range (257 times the 8-bit gray).

    Args:
        pixels: (H, W, 3) uint8 RGB.
        encoding: one of ``ENCODABLE``.
        out: (n,) uint8, writable and contiguous, n as ``layout`` says.

    Raises:
        ValueError: as ``layout``, or ``out`` has another length.
    """
    height, width = pixels.shape[:2]
    size = layout(encoding, width, height).size
    if out.shape != (size,):
        raise ValueError(f'out has shape {out.shape}; {size} bytes are needed')
    _WRITERS[encoding](pixels, out)


def compress(
    pixels: UInt8Array, encoding: str, *, form: CompressedFormat, quality: int
) -> UInt8Array:
    """Return a JPEG or PNG file.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        encoding: the file is gray for gray encodings, else in colour.
        form: 'jpeg' or 'png'.
        quality: of a JPEG, 1 to 100.
    """
    gray = encoding in _GRAY_ENCODINGS
    code = cv2.COLOR_RGB2GRAY if gray else cv2.COLOR_RGB2BGR  # imencode wants BGR
    options = {
        'jpeg': (cv2.IMWRITE_JPEG_QUALITY, quality),
        'png': (cv2.IMWRITE_PNG_COMPRESSION, 1),
    }[form]
    done, file = cv2.imencode(f'.{form}', cv2.cvtColor(pixels, code), options)
    if not done:
        raise ValueError(f'OpenCV could not write a {form} of {pixels.shape[1]} pixels width')
    return np.asarray(file, np.uint8).reshape(-1)


def compressed_format(encoding: str, form: CompressedFormat) -> str:
    """Return the ``format`` of a CompressedImage as image_transport writes it."""
    stored = 'mono8' if encoding in _GRAY_ENCODINGS else 'bgr8'
    return f'{encoding}; {form} compressed {stored}'


def _converted(code: int, channels: int) -> Callable[[UInt8Array, UInt8Array], None]:
    def write(pixels: UInt8Array, out: UInt8Array) -> None:
        height, width = pixels.shape[:2]
        shape = (height, width) if channels == 1 else (height, width, channels)
        cv2.cvtColor(pixels, code, dst=out.reshape(shape))

    return write


def _write_rgb(pixels: UInt8Array, out: UInt8Array) -> None:
    np.copyto(out.reshape(pixels.shape), pixels)


def _write_sixteen_bit(pixels: UInt8Array, out: UInt8Array) -> None:
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    # Both bytes alike are 257 times the value, in either byte order.
    cv2.merge((gray, gray), dst=out.reshape(*gray.shape, 2))


def _luma_and_chroma(pixels: UInt8Array, *, down: int) -> tuple[Any, Any]:
    """Return Y (H, W) and U, V (H / down, W / 2, 2)."""
    height, width = pixels.shape[:2]
    yuv = cv2.transform(pixels, _YUV_FROM_RGB)
    chroma = cv2.merge((cv2.extractChannel(yuv, 1), cv2.extractChannel(yuv, 2)))
    small = cv2.resize(chroma, (width // 2, height // down), interpolation=cv2.INTER_AREA)
    return cv2.extractChannel(yuv, 0), small


def _yuv422(order: str) -> Callable[[UInt8Array, UInt8Array], None]:
    """Two pixels in four bytes; ``order`` names them: Y and y are the two lumas."""

    def write(pixels: UInt8Array, out: UInt8Array) -> None:
        luma, chroma = _luma_and_chroma(pixels, down=1)
        pairs: AnyArray = out.reshape(luma.shape[0], luma.shape[1] // 2, 4)
        pairs[..., order.index('Y')] = luma[:, 0::2]
        pairs[..., order.index('y')] = luma[:, 1::2]
        pairs[..., order.index('U')] = chroma[..., 0]
        pairs[..., order.index('V')] = chroma[..., 1]

    return write


def _yuv420(order: tuple[int, int]) -> Callable[[UInt8Array, UInt8Array], None]:
    """Luma rows, then half as many rows of chroma pairs; ``order`` says which comes first."""

    def write(pixels: UInt8Array, out: UInt8Array) -> None:
        luma, chroma = _luma_and_chroma(pixels, down=2)
        np.copyto(out[: luma.size], luma.reshape(-1))
        pairs = out[luma.size :].reshape(chroma.shape)
        pairs[..., 0], pairs[..., 1] = chroma[..., order[0]], chroma[..., order[1]]

    return write


def _bayer(pattern: tuple[int, int, int, int]) -> Callable[[UInt8Array, UInt8Array], None]:
    """Keep of each pixel the channel that its place in the 2x2 ``pattern`` has."""

    def write(pixels: UInt8Array, out: UInt8Array) -> None:
        mosaic = out.reshape(pixels.shape[:2])
        for place, channel in enumerate(pattern):
            down, across = divmod(place, 2)
            mosaic[down::2, across::2] = pixels[down::2, across::2, channel]

    return write


_WRITERS: dict[str, Callable[[UInt8Array, UInt8Array], None]] = {
    'rgb8': _write_rgb,
    'bgr8': _converted(cv2.COLOR_RGB2BGR, 3),
    'rgba8': _converted(cv2.COLOR_RGB2RGBA, 4),
    'bgra8': _converted(cv2.COLOR_RGB2BGRA, 4),
    'mono8': _converted(cv2.COLOR_RGB2GRAY, 1),
    'mono16': _write_sixteen_bit,
    '16UC1': _write_sixteen_bit,
    'yuv422': _yuv422('UYVy'),
    'yuv422_yuy2': _yuv422('YUyV'),
    'nv12': _yuv420((0, 1)),
    'nv21': _yuv420((1, 0)),
    'bayer_rggb8': _bayer((_RED, _GREEN, _GREEN, _BLUE)),
    'bayer_bggr8': _bayer((_BLUE, _GREEN, _GREEN, _RED)),
    'bayer_gbrg8': _bayer((_GREEN, _BLUE, _RED, _GREEN)),
    'bayer_grbg8': _bayer((_GREEN, _RED, _BLUE, _GREEN)),
}

ENCODABLE: tuple[str, ...] = tuple(_WRITERS)
"""Encodings of sensor_msgs/Image that ``encode`` writes."""
