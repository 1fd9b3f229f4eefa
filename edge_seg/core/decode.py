"""From a camera message's bytes to pixels: every check that keeps a bad frame from doing harm."""

from collections.abc import Callable
from typing import cast

from edge_seg.core.encodings import Encoding, ENCODINGS, RawRows
from edge_seg.core.frame_limits import check_size, quoted
from edge_seg.core.unpack import unpack
from edge_seg.core.values import CompressedImage, DecodedImage, RawImage, UInt8Array
from edge_seg.errors import DropReason, FrameRejected
import numpy as np

RawDecoder = Callable[[RawImage], DecodedImage]

SUPPORTED_ENCODINGS: tuple[str, ...] = tuple(ENCODINGS)
"""Encodings of sensor_msgs/Image that ``decode`` takes by itself."""


def decode(image: RawImage, *, fallback: RawDecoder | None = None) -> DecodedImage:
    """Check an image and give its pixels as 8-bit gray or colour.

    8-bit gray and colour encodings are views of ``image.data``, row padding included: nothing is
    copied and the result is read-only. Others are converted once, at full size: YUV as BT.601
    with limited range, bayer by bilinear interpolation, 16 bits by their high byte (for 16UC1
    that is depth in steps of 256 mm).

    Args:
        image: width, height, encoding, step and data as they came.
        fallback: decoder of the encodings that are not in ``SUPPORTED_ENCODINGS``, for example
            cv_bridge; raises FrameRejected for those that it does not know either.

    Raises:
        FrameRejected: with the reason: unsupported encoding, zero or absurd size, a step shorter
            than a row, data shorter than the image, odd sides of a chroma-subsampled image.
    """
    check_size(image.width, image.height)
    encoding = ENCODINGS.get(image.encoding)
    if encoding is None:
        if fallback is None:
            raise unsupported_encoding(image.encoding)
        return _checked(fallback(image), image)
    _check_sides(image, encoding)
    row_bytes = image.width * encoding.row_bytes_per_pixel
    if image.step < row_bytes:
        raise FrameRejected(
            DropReason.WRONG_STEP,
            f'{_named(image)} has a step of {image.step} bytes',
            expected=f'at least {row_bytes}, one row',
        )
    data = _bytes(image.data)
    # The padding of the last row may be missing: some drivers leave it out.
    needed = (encoding.rows(image.height) - 1) * image.step + row_bytes
    if data.size < needed:
        raise FrameRejected(
            DropReason.TRUNCATED_DATA,
            f'{_named(image)} with a step of {image.step} has {data.size} bytes of data',
            expected=f'at least {needed}',
        )
    rows = RawRows(data, image.width, image.height, image.step, image.is_bigendian)
    return encoding.read(rows)


def decode_compressed(image: CompressedImage) -> DecodedImage:
    """Decompress a JPEG or PNG image, whatever its ``format`` text calls it.

    The size is read from the header first: a file that unpacks to something absurd is refused
    before memory is taken for it. 16-bit PNGs are brought to 8 bits by their high byte. An
    orientation tag is ignored: the mask belongs to the pixels as the camera sent them. A mosaic
    that was compressed as it came ('bayer_rggb8; png compressed') is demosaiced.

    Raises:
        FrameRejected: with the reason: unsupported format (compressedDepth, video), zero or
            absurd size, truncated or damaged data.
    """
    decoded = unpack(image.format, _bytes(image.data))
    source = image.format.split(';')[0].strip()
    if source.startswith('bayer_') and source in ENCODINGS and decoded.order == 'gray':
        width, height = decoded.size
        mosaic = np.ascontiguousarray(decoded.pixels)
        return decode(RawImage(width, height, source, width, mosaic))
    return decoded


def unsupported_encoding(encoding: str) -> FrameRejected:
    """Make the error for an encoding that nothing here can read."""
    return FrameRejected(
        DropReason.UNSUPPORTED_ENCODING,
        f'image encoding {quoted(encoding)}',
        expected='one of ' + ', '.join(SUPPORTED_ENCODINGS),
        remedy='set the camera driver to one of them, or install cv_bridge',
    )


def _check_sides(image: RawImage, encoding: Encoding) -> None:
    odd = image.width % encoding.width_multiple or image.height % encoding.height_multiple
    if odd:
        raise FrameRejected(
            DropReason.UNDECODABLE,
            _named(image),
            expected=f'a width that is a multiple of {encoding.width_multiple} and a height '
            f'that is a multiple of {encoding.height_multiple}',
        )
    if min(image.width, image.height) < encoding.smallest_side:
        raise FrameRejected(
            DropReason.UNDECODABLE,
            _named(image),
            expected=f'at least {encoding.smallest_side} pixels on each side',
        )


def _bytes(data: object) -> UInt8Array:
    """Look at any buffer as read-only bytes, without a copy when it is contiguous."""
    view = memoryview(cast(bytes, data))
    if view.nbytes == 0:  # np.frombuffer refuses an empty buffer
        return np.empty(0, np.uint8)
    array = np.frombuffer(view if view.c_contiguous else view.tobytes(), np.uint8)
    array.flags.writeable = False
    return array


def _checked(decoded: DecodedImage, image: RawImage) -> DecodedImage:
    """Hold the fallback decoder to what the rest of the frame path relies on."""
    if decoded.size != (image.width, image.height) or decoded.pixels.dtype != np.uint8:
        raise FrameRejected(
            DropReason.UNDECODABLE,
            f'the fallback decoder made {decoded.pixels.dtype} {decoded.size} of '
            f'{quoted(image.encoding)}',
            expected=f'uint8 {image.width}x{image.height}',
        )
    return decoded


def _named(image: RawImage) -> str:
    return f'a {image.width}x{image.height} {image.encoding} image'
