"""The frame flow of an active node: its cameras and its worker, opened and closed as one."""

from __future__ import annotations

from collections.abc import Sequence
import threading
import time

from edge_seg.errors import TransitionFailed
from edge_seg.ros.camera_port import CameraPort
from edge_seg.ros.conversions import cv_bridge_decoder
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.settings import SegmentationSettings
from edge_seg.runtime.slot import ModelSlot
from edge_seg.runtime.worker import FrameObserver, FrameWorker
from rclpy.node import Node
from std_msgs.msg import Header

ERROR_LOG_PERIOD_S = 5.0
STOP_TIMEOUT_S = 5.0
"""How long ``close`` waits for the frame that is being segmented."""


class FrameFlow:
    """Turns camera messages into masks between ``open`` and ``close``.

    Args:
        node: owner.
        settings: as checked at configure.
        cameras: whose frames are segmented, with one model, in turn.
        slot: where the model is.
        observer: judges the model by its frames.
    """

    def __init__(
        self,
        node: Node,
        settings: SegmentationSettings,
        *,
        cameras: Sequence[CameraPort],
        slot: ModelSlot[ServingModel],
        observer: FrameObserver,
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._opened_s = time.monotonic()
        changed = threading.Condition()
        self._worker: FrameWorker[Header] = FrameWorker(
            [camera.connect(changed, self._now_s) for camera in cameras],
            changed,
            slot,
            observer=observer,
            clock=self._now_s,
            fallback_decoder=cv_bridge_decoder(),
            keep_warm_s=settings.keep_warm_s,
            on_error=self._log_error,
        )

    def open(self) -> None:
        """Start the worker, then subscribe."""
        self._opened_s = time.monotonic()
        self._worker.start()
        for camera in self._cameras:
            camera.open()

    def close(self) -> None:
        """Unsubscribe, let the current frame finish, end the worker.

        Raises:
            TransitionFailed: the current frame did not finish in time.
        """
        for camera in self._cameras:
            camera.disconnect()
        if not self._worker.stop(STOP_TIMEOUT_S):
            raise TransitionFailed(
                f'the frame being segmented did not finish within {STOP_TIMEOUT_S:g} s',
                remedy='the device may hang; restart the node',
            )

    @property
    def open_for_s(self) -> float:
        """Seconds since ``open``."""
        return time.monotonic() - self._opened_s

    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds / 1e9

    def _log_error(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=ERROR_LOG_PERIOD_S)
