"""The frame flow of an active node: its cameras and its worker, opened and closed as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import threading

from edge_seg.errors import DropReason, TransitionFailed
from edge_seg.ros.camera_port import CameraPort
from edge_seg.ros.conversions import cv_bridge_decoder
from edge_seg.ros.frame_reader import FrameReader
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.throttle import Throttle
from edge_seg.runtime.frames.worker import FrameObserver, FrameWorker
from edge_seg.runtime.health.thermal import Heat, ThermalZones
from edge_seg.runtime.parameters.settings import SegmentationSettings
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer
from std_msgs.msg import Header

ERROR_LOG_PERIOD_S = 5.0
FOLLOW_PERIOD_S = 0.5
"""How often is looked what the publishers offer, while somebody listens."""
LOOK_PERIOD_S = 0.2
"""How often, at least, is looked whether somebody listens: this delays the first mask."""
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
        self._thermal_rate_hz = settings.thermal_rate_hz
        self._zones = _thermal_zones(node, settings)
        self.heat = ''
        """Why the rate of the cameras is lowered; '' = it is not."""
        self._timer: Timer | None = None
        # Not the node's clock: publishers come and go while a simulation stands still.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._unsettled = node.create_guard_condition(self._follow)
        self._reader = FrameReader(node, look=self._look, look_period_s=LOOK_PERIOD_S)
        self._errors = Throttle(ERROR_LOG_PERIOD_S)
        changed = threading.Condition()
        self._worker: FrameWorker[Header] = FrameWorker(
            [
                camera.connect(
                    changed, self._now_s, self._reader, judging=lambda: observer.needs_frames
                )
                for camera in cameras
            ],
            changed,
            slot,
            observer=observer,
            clock=self._now_s,
            fallback_decoder=cv_bridge_decoder(),
            keep_warm_s=settings.keep_warm_s,
            on_error=self._log_error,
        )

    def open(self) -> None:
        """Start the worker, then subscribe where somebody listens."""
        self._worker.start()
        self._reader.start()
        self._timer = self._node.create_timer(FOLLOW_PERIOD_S, self._follow, clock=self._clock)
        self._follow()

    def close(self) -> None:
        """Unsubscribe, let the current frame finish, end the worker.

        Raises:
            TransitionFailed: the current frame did not finish in time.
        """
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        for camera in self._cameras:
            camera.disconnect()
            camera.cap_rate(0.0)
        self._reader.stop()
        self._node.destroy_guard_condition(self._unsettled)
        if not self._worker.stop(STOP_TIMEOUT_S):
            raise TransitionFailed(
                f'the frame being segmented did not finish within {STOP_TIMEOUT_S:g} s',
                remedy='the device may hang; restart the node',
            )

    def _follow(self) -> None:
        for camera in self._cameras:
            camera.follow()
        if self._zones is not None:
            self._back_off(self._zones.heat())
        if self._timer is None:
            return
        if self._zones is None and not any(camera.busy for camera in self._cameras):
            self._timer.cancel()  # each round of the executor costs an idle node 1 ms
        elif self._timer.is_canceled():
            self._timer.reset()

    def _back_off(self, heat: Heat | None) -> None:
        text = '' if heat is None else str(heat)
        if bool(text) != bool(self.heat):
            self._node.get_logger().warning(text or 'no longer too hot')
        self.heat = text
        for camera in self._cameras:
            camera.cap_rate(self._thermal_rate_hz if text else 0.0)

    def _look(self) -> None:
        """Have the cameras followed by the executor, which alone creates and destroys."""
        if not all(camera.settled for camera in self._cameras):
            self._unsettled.trigger()

    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds / 1e9

    def _log_error(self, camera: str, reason: DropReason, text: str) -> None:
        if self._errors.admits((camera, reason)):
            self._node.get_logger().error(f'{camera}: {text}' if camera else text)


def _thermal_zones(node: Node, settings: SegmentationSettings) -> ThermalZones | None:
    """Give the zones to look at, if any; says so where they cannot tell."""
    if not settings.thermal_rate_hz:
        return None
    zones = ThermalZones(Path(settings.thermal_dir))
    if not zones.can_tell:
        node.get_logger().warning(
            f'thermal_rate_hz has no effect: no zone in {settings.thermal_dir} has a passive '
            'trip point; set thermal_dir, or thermal_rate_hz to 0'
        )
    return zones
