"""The one place where OpenCV's capture object is opened and read."""

from __future__ import annotations

import os
from typing import cast

import cv2
from edge_seg.core.values import UInt8Array


class Capture:
    """A cv2.VideoCapture that gives RGB pictures or None."""

    def __init__(self, name: str, backend: int) -> None:
        """Open `name` with an OpenCV capture backend such as cv2.CAP_V4L2."""
        # FFmpeg's own complaints would stand beside ours on stderr; it is asked at the first use.
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
        self._capture = cv2.VideoCapture(name, backend)

    @property
    def opened(self) -> bool:
        """Whether the backend could open it."""
        return bool(self._capture.isOpened())

    def get(self, prop: int) -> float:
        """Return a cv2.CAP_PROP_ value; 0.0 when the backend does not know it."""
        return float(self._capture.get(prop))

    def set(self, prop: int, value: float) -> None:
        """Ask for a cv2.CAP_PROP_ value; a backend may choose another."""
        self._capture.set(prop, value)

    def read_rgb(self) -> UInt8Array | None:
        """Return the next picture (H, W, 3) uint8 RGB; None at the end or on failure."""
        read, picture = self._capture.read()
        if not read or picture is None:
            return None
        return cast(UInt8Array, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def grab(self) -> bool:
        """Pass over one picture; False at the end or on failure."""
        return bool(self._capture.grab())

    def skip(self, count: int) -> None:
        """Pass over so many pictures."""
        for _ in range(count):
            self._capture.grab()

    def release(self) -> None:
        """Close it. Twice is fine."""
        self._capture.release()
