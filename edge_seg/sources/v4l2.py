"""Frames from a camera of the Linux kernel (Video4Linux2)."""

from __future__ import annotations

from collections.abc import Callable
import math
import os
from pathlib import Path
import stat
import time

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.base import FrameSource, SourceFrame
from edge_seg.sources.capture import Capture

_FOURCC_MJPG = cv2.VideoWriter_fourcc(*'MJPG')  # type: ignore[attr-defined,unused-ignore]

_LEFT_ALONE_S = 0.5
_BUFFERS = 4
"""What V4L2 devices fill when they do not say how many."""


class V4l2Source(FrameSource):
    """A live camera; it gives the newest picture and decides the pace."""

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate_hz: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open device `path` and ask for size and rate; the camera may choose near ones.

        Raises:
            SourceUnavailable: no such device, no permission, no camera, or OpenCV without V4L2.
        """
        check_device(path)
        self._path = path
        self._clock = clock
        self._last_read_s = math.inf
        self._closed = False
        self._capture = Capture(str(path), cv2.CAP_V4L2)
        if not self._capture.opened:
            raise SourceUnavailable(
                f'{path} cannot be opened as a camera',
                expected='a V4L2 capture device that no other program uses, and OpenCV with V4L2',
                remedy='see `v4l2-ctl --list-devices` and `fuser -v` for who holds it',
            )
        # Uncompressed pictures above 640x480 do not fit through USB 2 at full rate.
        self._capture.set(cv2.CAP_PROP_FOURCC, _FOURCC_MJPG)
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._capture.set(cv2.CAP_PROP_FPS, rate_hz)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> SourceFrame | None:
        """Wait for the next picture; None only after `close`.

        Raises:
            SourceUnavailable: the camera stopped giving pictures.
        """
        if self._closed:
            return None
        # While nobody reads, the device stops at full buffers: what is in them is from then.
        if self._clock() - self._last_read_s > _LEFT_ALONE_S:
            self._capture.skip(int(self._capture.get(cv2.CAP_PROP_BUFFERSIZE)) or _BUFFERS)
        image = self._capture.read_rgb()
        self._last_read_s = self._clock()
        if image is None:
            raise SourceUnavailable(
                f'{self._path} gave no picture',
                expected='a camera that streams',
                remedy='check the cable, and that the camera offers this size and rate',
            )
        return SourceFrame(image=image)

    def close(self) -> None:
        """Give the device back."""
        self._closed = True
        self._capture.release()


def check_device(path: Path) -> None:
    """See whether `path` can be a camera, without opening it.

    Raises:
        SourceUnavailable: no such device, or no permission.
    """
    if not path.exists():
        present = ', '.join(sorted(str(device) for device in Path('/dev').glob('video*')))
        raise SourceUnavailable(
            f'{path} does not exist',
            expected=f'one of the cameras that are there: {present or "none"}',
            remedy='plug the camera in; in a container pass it on with --device',
        )
    if not stat.S_ISCHR(path.stat().st_mode):
        raise SourceUnavailable(
            f'{path} is not a device',
            expected='a character device such as /dev/video0',
            remedy='correct the path',
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceUnavailable(
            f'{path} may not be opened by this user',
            expected='permission to read and write',
            remedy='add the user to group video and log in again',
        )
