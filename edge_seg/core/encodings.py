"""The encodings of sensor_msgs/Image: how many bytes, what they mean, how to read them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
from edge_seg.core.values import ColorOrder, DecodedImage, UInt8Array
import numpy as np


@dataclass(frozen=True, slots=True)
class RawRows:
    """The checked bytes of one image.

    Attributes:
        data: all bytes, (n,) uint8, read-only.
        width: pixels in a row.
        height: rows.
        step: bytes from one row to the next, at least as many as a row has.
        is_bigendian: byte order of 16-bit values.
    """

    data: UInt8Array
    width: int
    height: int
    step: int
    is_bigendian: bool

    def pixels(self, channels: int) -> UInt8Array:
        """Return a view of bytes as (height, width, channels), or (height, width) for one."""
        shape: tuple[int, ...] = (self.height, self.width, channels)
        strides: tuple[int, ...] = (self.step, channels, 1)
        if channels == 1:
            shape, strides = shape[:2], strides[:2]
        view = np.ndarray(shape, np.uint8, self.data, 0, strides)
        view.flags.writeable = False
        return view


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one encoding lies in memory.

    Attributes:
        row_bytes_per_pixel: bytes of a row divided by its width.
        read: makes an image of the bytes.
        width_multiple: the width must be a multiple of this.
        height_multiple: the height must be a multiple of this.
        smallest_side: the shortest side that can be read.
        half_planes: planes of half height that follow the image, of the same step.
    """

    row_bytes_per_pixel: int
    read: Callable[[RawRows], DecodedImage]
    width_multiple: int = 1
    height_multiple: int = 1
    smallest_side: int = 1
    half_planes: int = 0

    def rows(self, height: int) -> int:
        """Return the rows in memory of an image of ``height``."""
        return height + self.half_planes * height // 2


def _packed(channels: int, order: ColorOrder) -> Encoding:
    """8-bit channels side by side: read without a copy."""
    return Encoding(channels, lambda rows: DecodedImage(rows.pixels(channels), order))


def _sixteen_bit(rows: RawRows) -> DecodedImage:
    """Keep the high byte.

    For mono16 that is brightness / 256. For 16UC1, which usually is depth in millimetres, it is
    depth in steps of 256 mm: gray levels to look at, not to measure with.
    """
    high = 0 if rows.is_bigendian else 1
    return DecodedImage(_channel(rows.pixels(2), high), 'gray')


def _channel(pixels: UInt8Array, position: int) -> UInt8Array:
    return np.asarray(cv2.extractChannel(pixels, position), np.uint8)


def _yuv422(code: int) -> Encoding:
    def read(rows: RawRows) -> DecodedImage:
        return _converted(rows.pixels(2), code)

    return Encoding(2, read, width_multiple=2)


def _yuv420(code: int) -> Encoding:
    """Luma rows, then half as many rows of interleaved chroma, as NV12 and NV21 have it."""

    def read(rows: RawRows) -> DecodedImage:
        height = rows.height * 3 // 2
        tall = RawRows(rows.data, rows.width, height, rows.step, rows.is_bigendian)
        return _converted(tall.pixels(1), code)

    return Encoding(1, read, width_multiple=2, height_multiple=2, half_planes=1)


def _bayer(code: int) -> Encoding:
    def read(rows: RawRows) -> DecodedImage:
        return _converted(rows.pixels(1), code)

    # Below 3 pixels cv2's demosaicing leaves the image black.
    return Encoding(1, read, smallest_side=3)


def _converted(pixels: UInt8Array, code: int) -> DecodedImage:
    return DecodedImage(np.asarray(cv2.cvtColor(pixels, code), np.uint8), 'rgb')


# ROS names a bayer pattern by its first two rows (rggb: red at 0,0). OpenCV's old names go by the
# second row's second and third pixel, so bayer_rggb8 is OpenCV's BG.
# https://docs.opencv.org/4.x/de/d25/imgproc_color_conversions.html (Bayer -> RGB)
ENCODINGS: dict[str, Encoding] = {
    'rgb8': _packed(3, 'rgb'),
    'bgr8': _packed(3, 'bgr'),
    'rgba8': _packed(4, 'rgba'),
    'bgra8': _packed(4, 'bgra'),
    'mono8': _packed(1, 'gray'),
    '8UC1': _packed(1, 'gray'),
    '8UC3': _packed(3, 'bgr'),
    '8UC4': _packed(4, 'bgra'),
    'mono16': Encoding(2, _sixteen_bit),
    '16UC1': Encoding(2, _sixteen_bit),
    'yuv422': _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    'nv12': _yuv420(cv2.COLOR_YUV2RGB_NV12),
    'nv21': _yuv420(cv2.COLOR_YUV2RGB_NV21),
    'bayer_rggb8': _bayer(cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': _bayer(cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': _bayer(cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': _bayer(cv2.COLOR_BayerGB2RGB),
}
