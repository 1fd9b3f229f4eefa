"""The camera subscription: there while somebody wants frames, as the publishers offer them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time
from typing import Any

from edge_seg.ros.compat import SubscriptionEventCallbacks
from edge_seg.ros.conversions import compressed_image, raw_image
from edge_seg.ros.frame_reader import FrameReader, OnFailure, OnTaken
from edge_seg.ros.qos import image_qos, incompatible_publishers, reliability_to_request
from edge_seg.runtime.frames.worker import CameraFrame
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

OnFrame = Callable[[CameraFrame[Header]], None]


class ImageInput:
    """One camera topic, subscribed while frames are wanted. For the executor's thread.

    Frames are taken by the reader's thread, and ``on_frame`` runs there.

    A frame that nobody wants costs as much to receive as one that somebody does: 1 ms of a core
    at 640x480. So without a wish there is no subscription.

    Args:
        node: owner.
        reader: takes the messages.
        camera: prefix of the topic; '' for the only camera.
        transport: 'raw' subscribes ``image``, 'compressed' subscribes ``image/compressed``.
        requested_qos: 'auto', 'reliable' or 'best_effort'.
        wanted: says whether anybody wants frames now.
        on_frame: told of every message; only stores it.
        on_lost: told how many messages the middleware says it lost.
        on_failure: told why a message could not be taken.
        on_taken: told how long each message travelled and how long taking it took.
        on_others: told that others publish than before, or nobody any more.
    """

    def __init__(
        self,
        node: Node,
        reader: FrameReader,
        camera: str,
        *,
        transport: str,
        requested_qos: str,
        wanted: Callable[[], bool],
        on_frame: OnFrame,
        on_lost: Callable[[int], None],
        on_failure: OnFailure,
        on_taken: OnTaken,
        on_others: Callable[[], None],
    ) -> None:
        self._node = node
        self._reader = reader
        self._compressed = transport == 'compressed'
        self._requested = requested_qos
        self._wanted = wanted
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._on_failure = on_failure
        self._on_taken = on_taken
        self._on_others = on_others
        self._publishing: set[bytes] = set()
        self._subscription: Subscription[Any] | None = None
        self._subscribed_s = 0.0
        self._reliability = ReliabilityPolicy.BEST_EFFORT
        image = f'{camera}/image' if camera else 'image'
        raw, compressed = map(node.resolve_topic_name, (image, f'{image}/compressed'))
        self.topic: str = compressed if self._compressed else raw
        self._twin: str = raw if self._compressed else compressed

    def follow(self) -> None:
        """Subscribe or unsubscribe as is wanted, and as the publishers offer their frames."""
        if not self._wanted():
            self.destroy()
            return
        publishers = self.publishers()
        publishing = {bytes(each.endpoint_gid) for each in publishers}
        if publishing != self._publishing:
            self._publishing = publishing
            self._on_others()
        reliability = reliability_to_request(self._requested, publishers)
        if self._subscription is None:
            self._subscribed_s = time.monotonic()
            self._subscribe(reliability)
        elif reliability != self._reliability:
            self.destroy()
            self._subscribe(reliability)

    def destroy(self) -> None:
        """Unsubscribe. Twice is fine."""
        if self._subscription is not None:
            self._reader.detach(self._subscription)
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    @property
    def subscribed(self) -> bool:
        """Whether frames are received."""
        return self._subscription is not None

    @property
    def subscribed_for_s(self) -> float:
        """Seconds since frames are wanted; 0 while they are not."""
        return 0.0 if self._subscription is None else time.monotonic() - self._subscribed_s

    def publishers(self) -> Sequence[TopicEndpointInfo]:
        """List what publishes on the topic now."""
        return self._node.get_publishers_info_by_topic(self.topic)

    def published_twin(self) -> str:
        """Name the topic of the other transport when something publishes on it, else ''."""
        return self._twin if self._node.count_publishers(self._twin) else ''

    @property
    def reliability(self) -> str:
        """What is, or would be, requested from the publishers: 'reliable' or 'best_effort'."""
        reliable = self._requesting() == ReliabilityPolicy.RELIABLE
        return 'reliable' if reliable else 'best_effort'

    def incompatible(self) -> list[str]:
        """Name the publishers that cannot serve this subscription."""
        return incompatible_publishers(self._requesting(), self.publishers())

    def _requesting(self) -> ReliabilityPolicy:
        if self.subscribed:
            return self._reliability
        return reliability_to_request(self._requested, self.publishers())

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self._reliability = reliability
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._on_lost(event.total_count_change)
        )
        self._subscription = self._node.create_subscription(
            CompressedImage if self._compressed else Image,
            self.topic,
            self._on_message,
            image_qos(reliability),
            event_callbacks=events,
            callback_group=self._reader.group,
        )
        self._reader.attach(self._subscription, self._on_message, self._on_failure, self._on_taken)
        self._node.get_logger().info(f'{self.topic}: now subscribed {self.reliability}')

    def _on_message(self, message: Image | CompressedImage) -> None:
        if isinstance(message, CompressedImage):
            self._on_frame(CameraFrame(message.header, compressed_image(message)))
        else:
            self._on_frame(CameraFrame(message.header, raw_image(message)))
