"""Camera images with known masks, in every encoding; written without the code that reads them."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from colour_models import COLOURS
import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

COLUMNS = (0, 1, 2, 3, 4)
GRAY_COLUMNS = (0, 4, 0, 4, 0)


@dataclass(frozen=True)
class Scene:
    """Stripes of colour, in another order below: no mask turned, mirrored or shifted looks right.

    Attributes:
        labels: (H, W) uint8, positions in COLOURS.
        rgb: (H, W, 3) uint8.
    """

    labels: Any
    rgb: Any

    @property
    def gray(self) -> Any:
        """The brightness where the scene has no colour, (H, W) uint8."""
        return self.rgb[:, :, 0]


def scene(width: int = 320, height: int = 240, *, columns: tuple[int, ...] = COLUMNS) -> Scene:
    """Draw a scene with stripes of equal width."""
    upper = np.repeat(np.uint8(columns), -(-width // len(columns)))[:width]
    lower = np.roll(upper, width // len(columns))
    labels = np.where(np.arange(height)[:, None] < height // 2, upper, lower).astype(np.uint8)
    return Scene(labels, np.uint8(COLOURS)[labels])


def gray_scene(width: int = 320, height: int = 240) -> Scene:
    """Draw a scene of dark and bright."""
    return scene(width, height, columns=GRAY_COLUMNS)


def near_edges(labels: Any, distance: int) -> Any:
    """Mark the pixels that have another label within ``distance`` pixels."""
    kernel = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    return cv2.dilate(labels, kernel) != cv2.erode(labels, kernel)


def image_message(
    encoding: str, rows: Any, *, width: int, padding: int = 0, height: int | None = None
) -> Image:
    """Make an Image of (rows, bytes) uint8, each row followed by ``padding`` bytes of noise."""
    lines, row_bytes = rows.shape
    padded = np.full((lines, row_bytes + padding), 0xA5, np.uint8)
    padded[:, :row_bytes] = rows
    return Image(
        encoding=encoding,
        width=width,
        height=lines if height is None else height,
        step=row_bytes + padding,
        data=array('B', padded.tobytes()),
    )


def rgb8(view: Scene, *, padding: int = 0) -> Image:
    """Make the plainest image."""
    return _packed('rgb8', view.rgb, padding)


def _packed(encoding: str, pixels: Any, padding: int = 0) -> Image:
    height, width = pixels.shape[:2]
    return image_message(encoding, pixels.reshape(height, -1), width=width, padding=padding)


def _with_alpha(encoding: str, colors: Any) -> Image:
    alpha = np.full((*colors.shape[:2], 1), 77, np.uint8)
    return _packed(encoding, np.concatenate([colors, alpha], axis=2))


def sixteen_bit(encoding: str, view: Scene, *, big_endian: bool) -> Image:
    """Make a 16-bit image whose low byte is noise."""
    values = view.gray.astype(np.uint16) * 256 + 99
    pixels = values.astype('>u2' if big_endian else '<u2').view(np.uint8)
    message = _packed(encoding, pixels)
    message.width = view.gray.shape[1]
    message.is_bigendian = int(big_endian)
    return message


def _yuv(rgb: Any) -> tuple[Any, Any, Any]:
    """Convert by BT.601, limited range; planes of (H, W) uint8."""
    red, green, blue = (rgb[:, :, channel] / 255.0 for channel in range(3))
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
    v = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
    return tuple(np.uint8(np.round(plane)) for plane in (luma, u, v))  # type: ignore[return-value]


def _yuv422(encoding: str, rgb: Any, order: str) -> Image:
    luma, u, v = _yuv(rgb)
    height, width = luma.shape
    parts = {'y': luma[:, ::2], 'Y': luma[:, 1::2], 'u': u[:, ::2], 'v': v[:, ::2]}
    pixels = np.stack([parts[name] for name in order], axis=2)
    return image_message(encoding, pixels.reshape(height, 2 * width), width=width)


def _yuv420(encoding: str, rgb: Any, order: str) -> Image:
    luma, u, v = _yuv(rgb)
    height, width = luma.shape
    planes = {'u': u[::2, ::2], 'v': v[::2, ::2]}
    chroma = np.stack([planes[name] for name in order], axis=2).reshape(height // 2, width)
    return image_message(encoding, np.concatenate([luma, chroma]), width=width, height=height)


def _bayer(encoding: str, rgb: Any) -> Image:
    """Keep of each pixel the colour that the pattern has there: 'rggb' names its first 2x2."""
    pattern = encoding[len('bayer_') : -1]
    height, width = rgb.shape[:2]
    mosaic = np.empty((height, width), np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, 'rgb'.index(letter)]
    return image_message(encoding, mosaic, width=width)


COLOR_ENCODERS: dict[str, Callable[[Any], Image]] = {
    'rgb8': lambda rgb: _packed('rgb8', rgb),
    'bgr8': lambda rgb: _packed('bgr8', rgb[:, :, ::-1]),
    'rgba8': lambda rgb: _with_alpha('rgba8', rgb),
    'bgra8': lambda rgb: _with_alpha('bgra8', rgb[:, :, ::-1]),
    'yuv422': lambda rgb: _yuv422('yuv422', rgb, 'uyvY'),
    'yuv422_yuy2': lambda rgb: _yuv422('yuv422_yuy2', rgb, 'yuYv'),
    'nv12': lambda rgb: _yuv420('nv12', rgb, 'uv'),
    'nv21': lambda rgb: _yuv420('nv21', rgb, 'vu'),
    'bayer_rggb8': lambda rgb: _bayer('bayer_rggb8', rgb),
    'bayer_bggr8': lambda rgb: _bayer('bayer_bggr8', rgb),
    'bayer_gbrg8': lambda rgb: _bayer('bayer_gbrg8', rgb),
    'bayer_grbg8': lambda rgb: _bayer('bayer_grbg8', rgb),
}
GRAY_ENCODERS: dict[str, Callable[[Scene], Image]] = {
    'mono8': lambda view: _packed('mono8', view.gray),
    'mono16': lambda view: sixteen_bit('mono16', view, big_endian=False),
    '16UC1': lambda view: sixteen_bit('16UC1', view, big_endian=False),
}


def compressed(view: Scene, extension: str, declared: str) -> CompressedImage:
    """Compress a scene as image_transport does."""
    done, data = cv2.imencode(f'.{extension}', view.rgb[:, :, ::-1])
    assert done
    return CompressedImage(format=declared, data=array('B', data.tobytes()))


def pixels_of(message: Image) -> Any:
    """Look at the pixels of a mask, an overlay or the like, without trusting any code of ours."""
    dtype, channels = {'mono8': ('u1', 1), 'mono16': ('<u2', 1), 'rgb8': ('u1', 3)}[
        message.encoding
    ]
    pixels = np.frombuffer(message.data, dtype).reshape(message.height, message.width, channels)
    return pixels[:, :, 0] if channels == 1 else pixels
