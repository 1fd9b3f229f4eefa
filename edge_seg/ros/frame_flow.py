"""The frame flow of an active node: subscription, mailbox and worker, opened and closed as one."""

import time

from edge_seg.core.values import RawImage, Size
from edge_seg.errors import TransitionFailed
from edge_seg.ros.conversions import cv_bridge_decoder, seconds
from edge_seg.ros.image_input import ImageInput
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.runtime.mailbox import NewestFrameMailbox
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.settings import SegmentationSettings
from edge_seg.runtime.slot import ModelSlot
from edge_seg.runtime.stats import FrameStatistics
from edge_seg.runtime.worker import CameraFrame, FrameObserver, FrameWorker
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
        slot: where the model is.
        outputs: where masks go.
        observer: judges the model by its frames.
        statistics: counts, rates and latencies.
    """

    def __init__(
        self,
        node: Node,
        settings: SegmentationSettings,
        *,
        slot: ModelSlot[ServingModel],
        outputs: MaskOutputs,
        observer: FrameObserver,
        statistics: FrameStatistics,
    ) -> None:
        self._node = node
        self._statistics = statistics
        self._opened_s = time.monotonic()
        self.camera: Size | None = None
        """Size of the newest raw image; written by the executor's thread."""
        self._mailbox: NewestFrameMailbox[CameraFrame[Header]] = NewestFrameMailbox(
            self._now_s,
            on_drop=lambda reason: statistics.frame_dropped(reason, time.monotonic()),
            max_age_s=settings.max_age_s,
            max_rate_hz=settings.max_rate_hz,
        )
        self._worker = FrameWorker(
            self._mailbox,
            slot,
            outputs,
            statistics,
            observer=observer,
            clock=self._now_s,
            fallback_decoder=cv_bridge_decoder(),
            keep_warm_s=settings.keep_warm_s,
            on_error=self._log_error,
        )
        self.input = ImageInput(
            node,
            transport=settings.image_transport,
            requested_qos=settings.image_qos,
            on_frame=self._on_frame,
            on_lost=lambda count: statistics.frames_lost(count, time.monotonic()),
        )

    def open(self) -> None:
        """Start the worker, then subscribe."""
        self._opened_s = time.monotonic()
        self._worker.start()
        self.input.open()

    def close(self) -> None:
        """Unsubscribe, let the current frame finish, end the worker.

        Raises:
            TransitionFailed: the current frame did not finish in time.
        """
        self.input.destroy()
        if not self._worker.stop(STOP_TIMEOUT_S):
            raise TransitionFailed(
                f'the frame being segmented did not finish within {STOP_TIMEOUT_S:g} s',
                remedy='the device may hang; restart the node',
            )

    def set_limits(self, settings: SegmentationSettings) -> None:
        """Follow changes of max_age_s and max_rate_hz."""
        self._mailbox.set_limits(max_age_s=settings.max_age_s, max_rate_hz=settings.max_rate_hz)

    @property
    def open_for_s(self) -> float:
        """Seconds since ``open``."""
        return time.monotonic() - self._opened_s

    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds / 1e9

    def _on_frame(self, frame: CameraFrame[Header]) -> None:
        received_s = time.monotonic()
        self._statistics.frame_in(received_s)
        if isinstance(frame.image, RawImage):
            self.camera = Size(frame.image.width, frame.image.height)
        self._mailbox.put(frame, stamp_s=seconds(frame.header.stamp), received_s=received_s)

    def _log_error(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=ERROR_LOG_PERIOD_S)
