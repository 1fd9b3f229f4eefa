"""A plain rclpy node that watches a running system: masks, ground truth, pictures, diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import json
from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticArray
from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.overlay import rgb_pixels
from edge_seg.core.values import ClassInfo, LabelArray, UInt8Array
from edge_seg.errors import FrameRejected
from edge_seg.ros.conversions import compressed_image, cv_bridge_decoder, NANOSECONDS, raw_image
from edge_seg.ros.process import keep_image_buffers_on_the_heap
from edge_seg.ros.qos import LATCHED, reliability_to_request
from edge_seg.ros.shared_memory import clear_of_the_dead
from lifecycle_msgs.msg import TransitionEvent
import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

IMAGES_DEPTH = 5
"""A few: the viewer must not lose masks when it is busy with a picture for a moment."""
EVENTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
MANAGER = 'lifecycle_manager'
_DTYPES: dict[str, npt.DTypeLike] = {'mono8': np.uint8, 'mono16': np.uint16}


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node last said of itself on /diagnostics."""

    level: int
    message: str
    values: dict[str, str]


class ViewerEvents(Protocol):
    """Told of everything that arrives, in the thread that spins the viewer.

    ``stamp_ns`` is the stamp of the camera frame; labels are (H, W), pixels (H, W, 3) RGB.
    """

    def on_classes(self, classes: tuple[ClassInfo, ...]) -> None:
        """Learn what the labels mean."""

    def on_mask(self, stamp_ns: int, labels: LabelArray, *, age_ms: float) -> None:
        """Take a mask; its age is the time since the stamp, on arrival."""

    def on_truth(self, stamp_ns: int, labels: LabelArray) -> None:
        """Take the ground truth of a frame."""

    def on_camera(self, stamp_ns: int, pixels: UInt8Array) -> None:
        """Take a camera frame."""

    def on_overlay(self, stamp_ns: int, pixels: UInt8Array) -> None:
        """Take an overlay."""

    def on_transition(self, node: str, start: str, goal: str) -> None:
        """Take note that a node went from one state to another, transitional ones included."""


class DemoViewer:
    """The evaluating end of the demo, in the caller's thread.

    Args:
        events: told of what arrives.
        nodes: names of the lifecycle nodes to watch.
    """

    def __init__(self, events: ViewerEvents, *, nodes: Sequence[str]) -> None:
        keep_image_buffers_on_the_heap()
        self._events = events
        self._decode_rare = cv_bridge_decoder()
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        with clear_of_the_dead():
            self._node = rclpy.create_node(
                'demo_viewer', context=self._context, enable_rosout=False
            )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._pictures: list[Subscription[Any]] = []
        self.reports: dict[str, NodeReport] = {}
        """Newest report of each node, by node name."""
        subscribe = self._node.create_subscription
        subscribe(String, 'segmentation/labels', self._on_classes, LATCHED)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, EVENTS)
        for name in nodes:
            subscribe(TransitionEvent, f'{name}/transition_event', self._follow(name), EVENTS)

    def __enter__(self) -> DemoViewer:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    @property
    def middleware(self) -> str:
        """Name of the RMW implementation."""
        return str(get_rmw_implementation_identifier())

    def namesakes(self) -> set[str]:
        """Name the nodes of which there are several: another system runs in this ROS domain."""
        names = self._node.get_node_names()
        return {name for name in names if names.count(name) > 1}

    def spin_once(self, timeout_s: float) -> None:
        """Handle the next arrival, or wait so long for one."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def listen(self) -> bool:
        """Subscribe to masks and ground truth; False, and nothing done, before masks are offered.

        To be asked for when the nodes are up: what a node offers, reliable or best effort, is
        known only then.
        """
        if not self._node.count_publishers('segmentation/mask'):
            return False
        self._subscribe(Image, 'segmentation/mask', self._on_mask)
        self._subscribe(Image, 'labels', self._on_truth)
        return True

    def look(self, wanted: bool) -> None:
        """Subscribe to camera and overlay, or leave them alone."""
        if wanted and not self._pictures:
            kind, topic = Image, 'image'
            if self._node.count_publishers('image/compressed'):
                kind, topic = CompressedImage, 'image/compressed'
            self._pictures = [
                self._subscribe(kind, topic, self._on_camera),
                self._subscribe(Image, 'segmentation/overlay', self._on_overlay),
            ]
        elif not wanted:
            for subscription in self._pictures:
                self._node.destroy_subscription(subscription)
            self._pictures = []

    def manager(self, command: str) -> Callable[[], Trigger.Response | None]:
        """Call a service of the lifecycle manager as soon as it is there.

        Returns:
            A function that gives the response, None until it is there; to be asked between spins.
        """
        client: Any = self._node.create_client(Trigger, f'{MANAGER}/{command}')
        pending: list[Any] = []

        def response() -> Trigger.Response | None:
            if not pending and client.service_is_ready():
                pending.append(client.call_async(Trigger.Request()))
            return pending[0].result() if pending and pending[0].done() else None

        return response

    def _subscribe(
        self, kind: Any, topic: str, callback: Callable[[Any], None]
    ) -> Subscription[Any]:
        name = self._node.resolve_topic_name(topic)
        publishers = self._node.get_publishers_info_by_topic(name)
        reliability = reliability_to_request('auto', publishers)
        qos = QoSProfile(depth=IMAGES_DEPTH, reliability=reliability)
        return self._node.create_subscription(kind, name, callback, qos)

    def _on_mask(self, message: Image) -> None:
        stamp_ns = _stamp_ns(message)
        age_ms = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-6
        self._events.on_mask(stamp_ns, _labels(message), age_ms=age_ms)

    def _on_truth(self, message: Image) -> None:
        self._events.on_truth(_stamp_ns(message), _labels(message))

    def _on_camera(self, message: Image | CompressedImage) -> None:
        try:
            if isinstance(message, CompressedImage):
                image = decode_compressed(compressed_image(message))
            else:
                image = decode(raw_image(message), fallback=self._decode_rare)
        except FrameRejected:
            return  # the segmentation node drops it too, and says why
        self._events.on_camera(_stamp_ns(message), rgb_pixels(image))

    def _on_overlay(self, message: Image) -> None:
        self._events.on_overlay(_stamp_ns(message), decode(raw_image(message)).pixels)

    def _on_classes(self, message: String) -> None:
        classes = json.loads(message.data)['classes']
        self._events.on_classes(
            tuple(ClassInfo(entry['name'], tuple(entry['color'])) for entry in classes)
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            values = {pair.key: pair.value for pair in status.values}
            self.reports[status.name] = NodeReport(level, status.message, values)

    def _follow(self, name: str) -> Callable[[TransitionEvent], None]:
        def on_event(event: TransitionEvent) -> None:
            self._events.on_transition(name, event.start_state.label, event.goal_state.label)

        return on_event


def _stamp_ns(message: Image | CompressedImage) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def _labels(message: Image) -> LabelArray:
    rows = np.frombuffer(message.data, _DTYPES[message.encoding])
    return rows.reshape(message.height, -1)[:, : message.width]
