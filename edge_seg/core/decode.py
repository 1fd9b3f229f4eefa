"""From a camera message's bytes to pixels: every check that keeps a bad frame from doing harm."""

from typing import Callable, Optional

from edge_seg.core.values import CompressedImage
from edge_seg.core.values import DecodedImage
from edge_seg.core.values import RawImage

MAX_SIDE = 16384
"""Longest side accepted, pixels."""
MAX_PIXELS = 64 * 1024 * 1024
"""Largest image accepted, pixels."""

RawDecoder = Callable[[RawImage], DecodedImage]

SUPPORTED_ENCODINGS: tuple[str, ...]
"""Encodings of sensor_msgs/Image that ``decode`` takes by itself."""


def decode(image: RawImage, *, fallback: Optional[RawDecoder] = None) -> DecodedImage:
    """Check an image and give its pixels as 8-bit gray or colour.

    8-bit gray and colour encodings are views of ``image.data``, row padding included: nothing is
    copied and the result is read-only. Others are converted once, at full size.

    Args:
        image: width, height, encoding, step and data as they came.
        fallback: decoder of the encodings that are not in ``SUPPORTED_ENCODINGS``, for example
            cv_bridge; raises FrameRejected for those that it does not know either.

    Raises:
        FrameRejected: with the reason: unsupported encoding, zero or absurd size, a step shorter
            than a row, data shorter than the image, odd sides of a chroma-subsampled image.
    """


def decode_compressed(image: CompressedImage) -> DecodedImage:
    """Decompress a JPEG or PNG image, whatever its ``format`` text calls it.

    The size is read from the header first: a file that unpacks to something absurd is refused
    before memory is taken for it. 16-bit PNGs are brought to 8 bits by their high byte.

    Raises:
        FrameRejected: with the reason: unsupported format (compressedDepth, video), zero or
            absurd size, truncated or damaged data.
    """
