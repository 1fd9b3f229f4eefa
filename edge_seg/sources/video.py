"""Frames from a video file."""

from __future__ import annotations

from pathlib import Path

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.base import FrameSource, SourceFrame
from edge_seg.sources.capture import Capture

_ASSUMED_RATE_HZ = 30.0
_MAX_RATE_HZ = 1000.0
_NS_PER_S = 1_000_000_000


class VideoSource(FrameSource):
    """Every frame of a video that this OpenCV can decode, one after the other."""

    def __init__(self, path: Path, *, loop: bool) -> None:
        """Open `path` and decode its first frame.

        Raises:
            SourceUnavailable: nothing is there, it is no video, or its codec is unknown.
        """
        if not path.is_file():
            raise SourceUnavailable(
                f'{path} is not a file', expected='a video file', remedy='correct the path'
            )
        self._path = path
        self._loop = loop
        self._number = 0
        self._capture = self._open()
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate_hz if 0.0 < rate_hz <= _MAX_RATE_HZ else _ASSUMED_RATE_HZ
        """Frames a second as the file declares them; 30 when it declares none."""
        self._ahead = self._capture.read_rgb()
        if self._ahead is None:
            self.close()
            raise self._undecodable()

    def read(self) -> SourceFrame | None:
        """Return the next frame; at the end start again when looping."""
        image = self._ahead
        if image is None and self._loop:
            self._capture.release()
            self._capture = self._open()
            image = self._capture.read_rgb()
            if image is None:
                raise self._undecodable()
        if image is None:
            return None
        stamp_ns = round(self._number * _NS_PER_S / self.rate_hz)
        self._number += 1
        self._ahead = self._capture.read_rgb()
        return SourceFrame(image=image, stamp_ns=stamp_ns)

    def frame_count(self) -> int | None:
        """Say what the file declares, if the last picture is there and none after it."""
        capture = self._open()
        try:
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
            true = count > 0 and capture.grab() and not capture.grab()
        finally:
            capture.release()
        return count if true else None

    def close(self) -> None:
        """Close the file."""
        self._loop = False
        self._ahead = None
        self._capture.release()

    def _open(self) -> Capture:
        # Looping opens the file again: seeking to frame 0 is not exact for every container.
        capture = Capture(str(self._path), cv2.CAP_ANY)
        if not capture.opened:
            raise self._undecodable()
        return capture

    def _undecodable(self) -> SourceUnavailable:
        return SourceUnavailable(
            f'{self._path} cannot be decoded as a video',
            expected='a container and codec that this OpenCV build knows',
            remedy='convert it, for example with: ffmpeg -i INPUT -c:v mjpeg -q:v 3 OUTPUT.avi',
        )
