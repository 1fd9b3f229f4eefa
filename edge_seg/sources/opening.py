"""From what a user types to the source that reads it."""

from __future__ import annotations

from pathlib import Path
import stat

from edge_seg.errors import SourceUnavailable
from edge_seg.sources.bag import BagSource
from edge_seg.sources.base import FrameSource
from edge_seg.sources.image_folder import IMAGE_SUFFIXES, ImageFolderSource
from edge_seg.sources.synthetic import SyntheticSource
from edge_seg.sources.v4l2 import V4l2Source
from edge_seg.sources.video import VideoSource

SYNTHETIC = 'synthetic'
"""The name that asks for rendered scenes in place of a path."""

_BAG_SUFFIXES = ('.mcap', '.db3')
_KNOWN = (
    f"'{SYNTHETIC}', a video, a picture or a folder of pictures, /dev/videoN, "
    'or a ROS 2 bag (folder, .mcap, .db3)'
)


def open_source(
    uri: str,
    *,
    width: int = 640,
    height: int = 480,
    rate_hz: float = 30.0,
    seed: int = 0,
    loop: bool = True,
    topic: str = '',
) -> FrameSource:
    """Open what `uri` names; what it is is told by what lies there, not by a prefix.

    Args:
        uri: 'synthetic' or a path ('~' is expanded).
        width: of rendered pictures; asked of a device; other sources keep their own size.
        height: likewise.
        rate_hz: rendered frames a second of scene time; asked of a device.
        seed: of the rendered scenes.
        loop: start videos, folders and bags again at their end.
        topic: of a bag; '' takes its only image topic.

    Raises:
        SourceUnavailable: nothing there, or nothing that can be read.
        ValueError: a size, rate or seed that cannot be rendered.
    """
    if uri == SYNTHETIC:
        return SyntheticSource(seed, width=width, height=height, rate_hz=rate_hz)
    path = Path(uri).expanduser()
    if not uri or not (path.exists() or is_device(path)):
        raise SourceUnavailable(
            f'source {uri!r} does not exist', expected=_KNOWN, remedy='correct the path'
        )
    if is_device(path):
        return V4l2Source(path, width=width, height=height, rate_hz=rate_hz)
    if path.is_dir():
        return _open_folder(path, topic=topic, loop=loop)
    return _open_file(path, topic=topic, loop=loop)


def is_device(path: Path) -> bool:
    """Say whether a path is a device, or would be one if it were there: /dev/video7."""
    if path.exists():
        return stat.S_ISCHR(path.stat().st_mode)
    return path.parent == Path('/dev')


def is_bag(folder: Path) -> bool:
    """Say whether a folder is a bag, whole or not."""
    return (folder / 'metadata.yaml').is_file() or any(
        file.suffix in _BAG_SUFFIXES for file in folder.iterdir()
    )


def _open_folder(path: Path, *, topic: str, loop: bool) -> FrameSource:
    if (path / 'metadata.yaml').is_file():
        return BagSource(path, topic=topic, loop=loop)
    parts = sorted(file for file in path.iterdir() if file.suffix in _BAG_SUFFIXES)
    if len(parts) == 1:
        return BagSource(parts[0], topic=topic, loop=loop)
    if parts:
        raise SourceUnavailable(
            f'{path} has {len(parts)} bag files and no metadata.yaml',
            expected='a whole bag, or one of its files',
            remedy=f'run `ros2 bag reindex {path}`, or name one file',
        )
    return ImageFolderSource(path, loop=loop)


def _open_file(path: Path, *, topic: str, loop: bool) -> FrameSource:
    suffix = path.suffix.lower()
    if suffix in _BAG_SUFFIXES:
        return BagSource(path, topic=topic, loop=loop)
    if suffix == '.bag':
        raise SourceUnavailable(
            f'{path} is a ROS 1 bag',
            expected='a ROS 2 bag',
            remedy=f'convert it: rosbags-convert --src {path} --dst {path.stem}',
        )
    if path.name == 'metadata.yaml':
        return BagSource(path.parent, topic=topic, loop=loop)
    if suffix in IMAGE_SUFFIXES:
        return ImageFolderSource(path, loop=loop)
    return VideoSource(path, loop=loop)
