"""Looks at the demo's source before anything is started: is it there, how large, which form."""

from dataclasses import dataclass
from pathlib import Path

from edge_seg.core.values import CompressedImage, RawImage, Size
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.opening import is_device, open_source, SYNTHETIC
from edge_seg.sources.v4l2 import check_device

DEFAULT_SIZE = Size(640, 480)
LONGEST_SIDE = 1280
"""Larger pictures are made smaller, their shape kept: the demo is to run on two cores."""


@dataclass(frozen=True, slots=True)
class DemoSource:
    """What the camera node shall publish.

    Attributes:
        uri: for the camera's parameter ``source``.
        size: of the published image; recorded messages keep their own.
        transport: 'raw' or 'compressed', for the segmentation's parameter ``image_transport``.
        truth: whether it knows the right masks.
    """

    uri: str
    size: Size = DEFAULT_SIZE
    transport: str = 'raw'
    truth: bool = False


def look_at(source: str, *, topic: str = '') -> DemoSource:
    """Find out what a source offers.

    Raises:
        SourceUnavailable: nothing there, nothing that can be read, or no frame in it. Whether a
            device is a camera is left to the camera node.
    """
    if source in ('', SYNTHETIC):
        return DemoSource(SYNTHETIC, truth=True)
    path = Path(source).expanduser().absolute()
    uri = str(path)
    if is_device(path):  # opening a device twice in a row is slow, and fails with some
        check_device(path)
        return DemoSource(uri)
    with open_source(uri, loop=False, topic=topic) as opened:
        frame = opened.read()
    if frame is None:
        raise SourceUnavailable(f'{source} has no frame', remedy='name another source')
    if isinstance(frame.image, CompressedImage):
        return DemoSource(uri, transport='compressed')
    if isinstance(frame.image, RawImage):
        return DemoSource(uri)
    return DemoSource(uri, fitted(Size(frame.image.shape[1], frame.image.shape[0])))


def fitted(size: Size) -> Size:
    """Make a size smaller until it fits, with even sides and its shape kept."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    return Size(*(max(2, 2 * round(side * scale / 2)) for side in size))
