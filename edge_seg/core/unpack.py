"""JPEG and PNG files from memory: recognised by their bytes, measured before they are unpacked."""

import cv2
from edge_seg.core.frame_limits import check_size, quoted
from edge_seg.core.values import AnyArray, ColorOrder, DecodedImage, Size, UInt8Array
from edge_seg.errors import DropReason, FrameRejected
import numpy as np

_JPEG_START = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
_PNG_START = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND'
_PNG_HEADER_BYTES = 33
_START_OF_SCAN = 0xDA
_NO_FRAME_MARKERS = (0xC4, 0xC8, 0xCC)  # tables and extensions between the SOF markers
_ORDERS: dict[int, ColorOrder] = {3: 'bgr', 4: 'bgra'}


def unpack(declared: str, data: UInt8Array) -> DecodedImage:
    """Decompress one image.

    Args:
        declared: the message's ``format``, for the error text.
        data: the file, (n,) uint8.

    Returns:
        Gray, bgr or bgra; gray with alpha comes as bgra.

    Raises:
        FrameRejected: UNSUPPORTED_ENCODING, ZERO_SIZE, ABSURD_SIZE, TRUNCATED_DATA, UNDECODABLE.
    """
    if 'compressedDepth' in declared:
        raise FrameRejected(
            DropReason.UNSUPPORTED_ENCODING,
            f'format {quoted(declared)}, a depth image',
            expected='a colour or gray JPEG or PNG',
            remedy='subscribe to the camera image, not to its depth',
        )
    file, declared = data.tobytes(), quoted(declared)
    size = measure(declared, file)
    try:
        # UNCHANGED keeps gray gray, 16 bits 16 bits, and does not turn the image by its EXIF tag.
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(declared, len(file)) from error
    if pixels is None or pixels.shape[:2] != (size.height, size.width):
        raise _damaged(declared, len(file))
    return _eight_bit(np.asarray(pixels))


def measure(declared: str, file: bytes) -> Size:
    """Read the size from the header, and see that the file has an end; unpacks nothing.

    Args:
        declared: what the file is called, for the error text.
        file: a JPEG or a PNG.

    Raises:
        FrameRejected: as ``unpack``.
    """
    if file.startswith(_JPEG_START):
        size = _measure_jpeg(declared, file)
    elif file.startswith(_PNG_START):
        size = _measure_png(declared, file)
    else:
        raise _unknown(declared, file)
    check_size(*size)
    return size


def _unknown(declared: str, file: bytes) -> FrameRejected:
    if not file:
        return FrameRejected(DropReason.TRUNCATED_DATA, f'an empty {declared} image')
    return FrameRejected(
        DropReason.UNSUPPORTED_ENCODING,
        f'format {declared} with data that starts with {file[:4].hex(" ")}',
        expected='a JPEG (ff d8 ff) or a PNG (89 50 4e 47)',
        remedy='set the compressed transport to jpeg or png',
    )


def _measure_png(declared: str, file: bytes) -> Size:
    # IHDR is always first: length, name, then width and height.
    if len(file) < _PNG_HEADER_BYTES or file.rfind(_PNG_END, _PNG_HEADER_BYTES) < 0:
        raise _truncated(declared, len(file))
    if file[12:16] != b'IHDR':
        raise _damaged(declared, len(file))
    return Size(int.from_bytes(file[16:20], 'big'), int.from_bytes(file[20:24], 'big'))


def _measure_jpeg(declared: str, file: bytes) -> Size:
    """Walk the segments to the start-of-frame, which holds the size."""
    at = 2
    while at + 9 <= len(file):
        if file[at] != 0xFF:
            raise _damaged(declared, len(file))
        marker = file[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_MARKERS:
            # libjpeg fills a cut image with gray and calls that a warning.
            if file.rfind(_JPEG_END, at) < 0:
                raise _truncated(declared, len(file))
            height, width = file[at + 5 : at + 7], file[at + 7 : at + 9]
            return Size(int.from_bytes(width, 'big'), int.from_bytes(height, 'big'))
        if marker == _START_OF_SCAN:
            raise _damaged(declared, len(file))
        at += 2 + int.from_bytes(file[at + 2 : at + 4], 'big')
    raise _truncated(declared, len(file))


def _eight_bit(pixels: AnyArray) -> DecodedImage:
    if pixels.dtype == np.uint16:
        pixels = pixels.view(np.uint16) >> 8
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    order = 'gray' if pixels.ndim == 2 else _ORDERS[pixels.shape[2]]
    return DecodedImage(pixels.astype(np.uint8, copy=False), order)


def _truncated(declared: str, size: int) -> FrameRejected:
    return FrameRejected(
        DropReason.TRUNCATED_DATA,
        f'a {declared} image that breaks off after {size} bytes',
        expected='the whole file, end marker included',
    )


def _damaged(declared: str, size: int) -> FrameRejected:
    return FrameRejected(
        DropReason.UNDECODABLE,
        f'a {declared} image of {size} bytes that cannot be decompressed',
        expected='an intact JPEG or PNG',
    )
