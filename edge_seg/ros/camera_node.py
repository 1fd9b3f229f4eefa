"""The camera node: rendered scenes, pictures, videos, devices and bags as a ROS 2 camera."""

from contextlib import ExitStack
import sys

import cv2
from edge_seg.core.values import Size
from edge_seg.errors import SettingsInvalid, SourceUnavailable, TransitionFailed
from edge_seg.ros.camera_topics import CameraTopics
from edge_seg.ros.diagnostics import Diagnostics
from edge_seg.ros.parameters import Changes, NodeParameters
from edge_seg.ros.process import run_node
from edge_seg.ros.transitions import guarded
from edge_seg.runtime.frames.camera_stream import CameraStream, StreamReport
from edge_seg.runtime.health.camera_health import assess_camera, CameraState
from edge_seg.runtime.health.judgement import Health
from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from edge_seg.runtime.parameters.camera_settings import CameraSettings
from edge_seg.sources.base import FrameSource, SourceFrame
from edge_seg.sources.opening import open_source
from edge_seg.sources.v4l2 import V4l2Source
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

STOP_TIMEOUT_S = 12.0
"""How long a deactivation waits for the source; V4L2 waits 10 s for a picture."""
SUCCESS = TransitionCallbackReturn.SUCCESS


class CameraNode(LifecycleNode):
    """Publishes image or image/compressed, camera_info and, where known, labels."""

    def __init__(self) -> None:
        super().__init__('camera')
        self._settings: CameraSettings | None = None
        self._source: FrameSource | None = None
        self._first: SourceFrame | None = None
        self._topics: CameraTopics | None = None
        self._stream: CameraStream | None = None
        self._last_report = StreamReport()
        self._refusal = ''
        self._finalized = False
        self._configured = ExitStack()
        self._values = NodeParameters(
            self,
            CAMERA_PARAMETERS,
            configured=lambda: self._settings is not None,
            review=_nothing,
            apply=_nothing,
        )
        self._diagnostics = Diagnostics(self, lambda: [('', self._health())])

    @guarded
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the settings, open the source, read its first frame, offer the topics."""
        settings = CameraSettings.from_values(self._values.values())
        with ExitStack() as undo:
            undo.callback(self._forget)
            self._source = _open(settings)
            undo.callback(self._source.close)
            self._first = self._source.read()
            if self._first is None:
                raise SourceUnavailable(
                    f'{settings.source} has no frame', remedy='name another source'
                )
            self._topics = CameraTopics(self, settings, self._first)
            undo.callback(self._topics.destroy)
            self._settings = settings
            self._configured = undo.pop_all()
        self._refusal = ''
        self._last_report = StreamReport()
        self.get_logger().info(
            f'{settings.source} at {settings.rate_hz:g} Hz on {self._topics.topic}'
        )
        return SUCCESS

    @guarded
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to publish."""
        result = super().on_activate(state)
        if self._settings is None or self._topics is None or self._source is None:
            raise RuntimeError('activated without being configured')
        self._stream = CameraStream(
            self._source,
            self._topics,
            rate_hz=self._settings.rate_hz,
            first=self._first,
            live=isinstance(self._source, V4l2Source),
            on_error=self._log_end,
        )
        self._first = None
        self._stream.start()
        self._refusal = ''
        return result

    @guarded
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing; the source stays open and goes on from here when activated again."""
        self._stop_stream()
        self._diagnostics.publish()  # the final figures of this run
        return super().on_deactivate(state)

    @guarded
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the source and withdraw the topics."""
        return self._tear_down()

    @guarded
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close everything for good."""
        result = self._tear_down()
        self._finalized = True
        return result

    @guarded
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close everything, so that the node can be configured again.

        Not when the source still hangs: nobody may close it then, and only a new process helps.
        """
        try:
            return self._tear_down()
        except TransitionFailed:
            self._finalized = True
            raise

    def destroy_node(self) -> None:
        """Close everything, whatever the state."""
        self._tear_down()
        super().destroy_node()

    def transition_refused(self, transition: str, reason: str) -> None:
        """Keep the reason for diagnostics, and publish it at once."""
        self._refusal = f'{transition}: {reason}'
        self._diagnostics.publish()

    def _tear_down(self) -> TransitionCallbackReturn:
        self._stop_stream()
        self._configured.close()
        return SUCCESS

    def _stop_stream(self) -> None:
        if self._stream is None:
            return
        if not self._stream.stop(STOP_TIMEOUT_S):
            raise TransitionFailed(
                f'the source did not give a frame within {STOP_TIMEOUT_S:g} s',
                remedy='the device hangs; see whether it works, and restart the node',
            )
        self._last_report = self._stream.report()
        self._first = self._stream.unsent
        self._stream = None

    def _log_end(self, reason: str) -> None:
        self.get_logger().error(f'no more frames: {reason}')

    def _forget(self) -> None:
        self._settings = None
        self._source = None
        self._first = None
        self._topics = None

    def _health(self) -> Health:
        settings = self._settings
        values = self._values.values()
        stream = self._last_report if self._stream is None else self._stream.report()
        return assess_camera(
            CameraState(
                state=self._state_label(),
                source=settings.source if settings else str(values['source']),
                rate_hz=settings.rate_hz if settings else 0.0,
                topic=self._topics.topic if self._topics else '',
                subscribers=self._topics.subscribers() if self._topics else 0,
                refusal=self._refusal,
                stream=stream,
            )
        )

    def _state_label(self) -> str:
        if self._finalized:
            return 'finalized'
        if self._settings is None:
            return 'unconfigured'
        return 'inactive' if self._stream is None else 'active'


def _open(settings: CameraSettings) -> FrameSource:
    size = Size(settings.width, settings.height)
    try:
        return open_source(
            settings.source,
            width=size.width,
            height=size.height,
            rate_hz=settings.rate_hz,
            seed=settings.seed,
            loop=settings.loop,
            topic=settings.topic,
        )
    except ValueError as error:
        raise SettingsInvalid(str(error), remedy='change the parameters of the camera') from error


def _nothing(_changes: Changes) -> None:
    """Follow no change: no parameter of the camera is live."""


def main() -> int:
    """Run the node until the process is told to stop."""
    # Drawing gains nothing from a second thread, and the inference wants that core.
    cv2.setNumThreads(1)
    return run_node(CameraNode)


if __name__ == '__main__':
    sys.exit(main())
