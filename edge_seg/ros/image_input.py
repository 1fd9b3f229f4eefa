"""The camera subscription: follows what the publishers offer and notes what goes missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_seg.ros.compat import SubscriptionEventCallbacks
from edge_seg.ros.conversions import compressed_image, raw_image
from edge_seg.ros.qos import image_qos, incompatible_publishers, reliability_to_request
from edge_seg.runtime.worker import CameraFrame
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

OnFrame = Callable[[CameraFrame[Header]], None]
FOLLOW_PERIOD_S = 0.5


class ImageInput:
    """One camera topic, subscribed between ``open`` and ``destroy``. For the executor's thread.

    Args:
        node: owner.
        camera: prefix of the topic; '' for the only camera.
        transport: 'raw' subscribes ``image``, 'compressed' subscribes ``image/compressed``.
        requested_qos: 'auto', 'reliable' or 'best_effort'.
        on_frame: told of every message; only stores it.
        on_lost: told how many messages the middleware says it lost.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        *,
        transport: str,
        requested_qos: str,
        on_frame: OnFrame,
        on_lost: Callable[[int], None],
    ) -> None:
        self._node = node
        self._compressed = transport == 'compressed'
        self._requested = requested_qos
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._subscription: Subscription[Any] | None = None
        self._reliability = ReliabilityPolicy.BEST_EFFORT
        name = 'image/compressed' if self._compressed else 'image'
        self.topic: str = node.resolve_topic_name(f'{camera}/{name}' if camera else name)
        self._timer: Timer | None = None
        # Not the node's clock: publishers come and go while a simulation stands still.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)

    def open(self) -> None:
        """Subscribe."""
        self._reliability = reliability_to_request(self._requested, self.publishers())
        self._subscribe()
        self._timer = self._node.create_timer(FOLLOW_PERIOD_S, self._follow, clock=self._clock)

    def destroy(self) -> None:
        """Unsubscribe. Twice is fine."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publishers(self) -> Sequence[TopicEndpointInfo]:
        """List what publishes on the topic now."""
        return self._node.get_publishers_info_by_topic(self.topic)

    @property
    def reliability(self) -> str:
        """What is requested from the publishers now: 'reliable' or 'best_effort'."""
        reliable = self._reliability == ReliabilityPolicy.RELIABLE
        return 'reliable' if reliable else 'best_effort'

    def incompatible(self) -> list[str]:
        """Name the publishers that cannot serve this subscription."""
        return incompatible_publishers(self._reliability, self.publishers())

    def _subscribe(self) -> None:
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._on_lost(event.total_count_change)
        )
        self._subscription = self._node.create_subscription(
            CompressedImage if self._compressed else Image,
            self.topic,
            self._on_message,
            image_qos(self._reliability),
            event_callbacks=events,
        )

    def _follow(self) -> None:
        """Subscribe anew when the publishers have changed what they offer."""
        if self._subscription is None:
            return
        reliability = reliability_to_request(self._requested, self.publishers())
        if reliability == self._reliability:
            return
        self._node.destroy_subscription(self._subscription)
        self._reliability = reliability
        self._subscribe()
        self._node.get_logger().info(f'{self.topic}: now subscribed {self.reliability}')

    def _on_message(self, message: Image | CompressedImage) -> None:
        if isinstance(message, CompressedImage):
            self._on_frame(CameraFrame(message.header, compressed_image(message)))
        else:
            self._on_frame(CameraFrame(message.header, raw_image(message)))
