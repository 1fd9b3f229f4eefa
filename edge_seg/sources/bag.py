"""Frames from a ROS 2 bag (mcap or sqlite3), read without ROS through the rosbags library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
import importlib
from pathlib import Path
import sqlite3
import struct
from typing import Any

from edge_seg.core.values import CompressedImage, RawImage
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.base import FrameSource, SourceFrame

_IMAGE = 'sensor_msgs/msg/Image'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
_NS_PER_S = 1_000_000_000
_BROKEN = (OSError, ValueError, KeyError, struct.error, sqlite3.Error, AssertionError)


class BagSource(FrameSource):
    """The images of one topic of a bag, in the order and the form in which they were recorded."""

    def __init__(self, path: Path, *, topic: str, loop: bool) -> None:
        """Open the bag folder, .mcap or .db3 file `path`.

        Args:
            path: the bag.
            topic: sensor_msgs/Image or CompressedImage topic; '' takes the only one there is.
            loop: start again at the end.

        Raises:
            SourceUnavailable: no bag, no rosbags library, or no such image topic.
        """
        self._path = path
        self._loop = loop
        self._closing = ExitStack()
        self._typestore = _typestore()
        self._reader = self._open()
        self._connection = self._choose(topic)
        self._messages = self._start()
        self._offset_ns = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._count = 0

    def read(self) -> SourceFrame | None:
        """Return the next image as it was recorded; at the end start again when looping.

        Raises:
            SourceUnavailable: the bag is damaged from here on, or has no image in it.
        """
        frame = self._next()
        if frame is None and self._loop:
            if not self._count:
                raise SourceUnavailable(
                    f'{self._path} has no message on {self._connection.topic}',
                    expected='at least one image',
                    remedy='choose another topic',
                )
            self._rewind()
            frame = self._next()
        return frame

    def frame_count(self) -> int:
        """Say how many messages of the topic were recorded."""
        return int(self._connection.msgcount)

    def close(self) -> None:
        """Close the bag."""
        self._loop = False
        self._messages = iter(())
        self._closing.close()

    def _open(self) -> Any:
        rosbag2 = importlib.import_module('rosbags.rosbag2')
        try:
            return self._closing.enter_context(rosbag2.Reader(self._path))
        except (rosbag2.ReaderError, *_BROKEN) as error:
            raise self._unreadable(error) from error

    def _choose(self, topic: str) -> Any:
        images = {
            connection.topic: connection
            for connection in self._reader.connections
            if connection.msgtype in (_IMAGE, _COMPRESSED)
        }
        listed = ', '.join(sorted(images)) or 'none'
        if topic in images:
            return images[topic]
        if not topic and len(images) == 1:
            return next(iter(images.values()))
        self._closing.close()
        met = f'no image topic {topic}' if topic else f'{len(images)} image topics'
        raise SourceUnavailable(
            f'{self._path} has {met}',
            expected=f'one of its Image and CompressedImage topics: {listed}',
            remedy='set topic to the one to read',
        )

    def _start(self) -> Iterator[Any]:
        messages: Iterator[Any] = self._reader.messages(connections=[self._connection])
        return messages

    def _next(self) -> SourceFrame | None:
        try:
            entry = next(self._messages, None)
            if entry is None:
                return None
            message = self._typestore.deserialize_cdr(entry[2], self._connection.msgtype)
        except _BROKEN as error:
            raise self._unreadable(error) from error
        stamp = message.header.stamp
        # Recorders of raw drivers leave the header empty: then the time of recording counts.
        stamp_ns = stamp.sec * _NS_PER_S + stamp.nanosec or entry[1]
        self._note(stamp_ns)
        return SourceFrame(image=_image(message), stamp_ns=stamp_ns + self._offset_ns)

    def _note(self, stamp_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = stamp_ns
        self._last_ns = max(self._last_ns, stamp_ns)
        self._count += 1

    def _rewind(self) -> None:
        """Begin again, one mean period after the last stamp of the round that has ended."""
        span_ns = self._last_ns - (self._first_ns or 0)
        self._offset_ns += span_ns + max(1, span_ns // max(1, self._count - 1))
        self._first_ns, self._last_ns, self._count = None, 0, 0
        self._messages = self._start()

    def _unreadable(self, error: BaseException) -> SourceUnavailable:
        return SourceUnavailable(
            f'{self._path} cannot be read as a bag: {error}',
            expected='a ROS 2 bag: a folder with metadata.yaml, a .mcap or a .db3 file',
            remedy='try `ros2 bag info`; `ros2 bag reindex` restores a missing metadata.yaml',
        )


def _typestore() -> Any:
    try:
        typesys = importlib.import_module('rosbags.typesys')
    except ImportError as error:
        raise SourceUnavailable(
            'the rosbags library is not installed',
            expected='rosbags, to read bags',
            remedy='pip install rosbags, or rosdep key python3-rosbags-pip',
        ) from error
    # Image and CompressedImage have been the same in every ROS 2 release.
    return typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)


def _image(message: Any) -> RawImage | CompressedImage:
    if message.__msgtype__ == _COMPRESSED:
        return CompressedImage(format=message.format, data=message.data)
    return RawImage(
        width=message.width,
        height=message.height,
        encoding=message.encoding,
        step=message.step,
        data=message.data,
        is_bigendian=bool(message.is_bigendian),
    )
