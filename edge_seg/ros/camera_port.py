"""One camera of the segmentation node: its topics, its mailbox, its statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import threading
import time
from typing import cast

from edge_seg.core.values import RawImage, Size
from edge_seg.errors import DropReason
from edge_seg.ros.conversions import seconds
from edge_seg.ros.frame_reader import FrameReader
from edge_seg.ros.image_input import ImageInput
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.runtime.frames.mailbox import NewestFrameMailbox
from edge_seg.runtime.frames.stats import FrameStatistics
from edge_seg.runtime.frames.worker import CameraFrame, FramePort
from edge_seg.runtime.health.health_inputs import HealthInputs
from edge_seg.runtime.parameters.settings import SegmentationSettings
from rclpy.node import Node
from std_msgs.msg import Header


class CameraPort:
    """A camera's outputs, and its input while the node is active.

    Args:
        node: owner.
        name: prefix of its topics; '' for the only camera, which needs none.
        settings: as checked at configure.
    """

    def __init__(self, node: Node, name: str, settings: SegmentationSettings) -> None:
        self.name = name
        self.outputs = MaskOutputs(node, name, settings)
        self.statistics = FrameStatistics()
        self.input: ImageInput | None = None
        self.size: Size | None = None
        """Size of the newest raw image; written by the reader's thread."""
        self._cap_hz = 0.0
        self._frame_bytes = 0  # of the newest frame; written by the reader's thread
        self._node = node
        self._settings = settings
        self._judging: Callable[[], bool] = lambda: False
        self._mailbox: NewestFrameMailbox[CameraFrame[Header]] | None = None

    def connect(
        self,
        changed: threading.Condition,
        clock: Callable[[], float],
        reader: FrameReader,
        *,
        judging: Callable[[], bool],
    ) -> FramePort[Header]:
        """Make mailbox and input, not subscribed yet; gives what the worker needs.

        Args:
            changed: shared by all cameras of the node.
            clock: the node's clock in seconds.
            reader: takes the messages.
            judging: tells whether frames are needed though nobody listens.
        """
        self._judging = judging
        statistics, settings = self.statistics, self._settings
        statistics.reset()
        self._mailbox = NewestFrameMailbox(
            clock,
            on_drop=lambda reason: statistics.frame_dropped(reason, time.monotonic()),
            max_age_s=settings.max_age_s,
            max_rate_hz=settings.camera_rate_hz(self.name),
            changed=changed,
        )
        self.input = ImageInput(
            self._node,
            reader,
            self.name,
            transport=settings.image_transport,
            requested_qos=settings.image_qos,
            wanted=lambda: self.busy,
            on_frame=self._on_frame,
            on_lost=lambda count: statistics.frames_lost(count, time.monotonic()),
            on_failure=self._on_failure,
            on_taken=statistics.frame_taken,
            on_others=statistics.forget_way,
        )
        priority = settings.camera_priority(self.name)
        return FramePort(self._mailbox, self.outputs, statistics, priority, self.name)

    @property
    def busy(self) -> bool:
        """Whether frames are wanted: by a listener, a model on probation, or a node not lazy."""
        return not self._settings.lazy or self.outputs.subscribers() > 0 or self._judging()

    @property
    def settled(self) -> bool:
        """Whether the image topic is subscribed exactly when frames are wanted."""
        return self.input is None or self.input.subscribed == self.busy

    def follow(self) -> None:
        """Subscribe or unsubscribe as is wanted now; see ``ImageInput.follow``."""
        if self.input is not None:
            self.input.follow()

    def disconnect(self) -> None:
        """Unsubscribe for good."""
        if self.input is not None:
            self.input.destroy()
        self.input = self._mailbox = None

    def set_options(self, settings: SegmentationSettings) -> None:
        """Follow changes of live parameters."""
        self._settings = settings
        self.outputs.set_options(settings)
        self._set_limits()

    def cap_rate(self, rate_hz: float) -> None:
        """Answer no more frames a second than this, whatever the parameters say; 0 = no cap."""
        if rate_hz != self._cap_hz:
            self._cap_hz = rate_hz
            self._set_limits()

    def described(self, common: HealthInputs, now_s: float) -> HealthInputs:
        """Add what is known of this camera to what is known of the node.

        Args:
            common: state, model and parameters of the node.
            now_s: ``time.monotonic()``.
        """
        seen = replace(
            common,
            subscribers=self.outputs.subscribers(),
            output_bytes=self.outputs.largest_bytes,
            statistics=self.statistics.snapshot(now_s),
        )
        if self.input is None:
            return seen
        return replace(
            seen,
            topic=self.input.topic,
            frame_bytes=self._frame_bytes,
            listening_for_s=self.input.subscribed_for_s,
            publishers=len(self.input.publishers()),
            twin=self.input.published_twin(),
            reliability=self.input.reliability,
            incompatible_publishers=tuple(self.input.incompatible()),
        )

    def _set_limits(self) -> None:
        if self._mailbox is not None:
            rates = (self._settings.camera_rate_hz(self.name), self._cap_hz)
            self._mailbox.set_limits(
                max_age_s=self._settings.max_age_s,
                max_rate_hz=min((rate for rate in rates if rate > 0.0), default=0.0),
            )

    def _on_frame(self, frame: CameraFrame[Header]) -> None:
        received_s = time.monotonic()
        self.statistics.frame_in(received_s)
        self._frame_bytes = memoryview(cast('bytes', frame.image.data)).nbytes
        if isinstance(frame.image, RawImage):
            self.size = Size(frame.image.width, frame.image.height)
        if self._mailbox is not None:
            self._mailbox.put(frame, stamp_s=seconds(frame.header.stamp), received_s=received_s)

    def _on_failure(self, error: Exception) -> None:
        now_s = time.monotonic()
        self.statistics.frame_in(now_s)
        text = f'it could not be taken: {type(error).__name__}: {error}'
        self.statistics.frame_dropped(DropReason.INTERNAL_ERROR, now_s, error=text)
