"""The demo's viewer hears what nodes offer, as they offer it, whatever is in it."""

from array import array
from collections.abc import Callable, Iterator
import time
from typing import Any

import cv2
from edge_seg.ros.demo_viewer import DemoViewer
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

PATIENCE_S = 60.0
WIDTH, HEIGHT = 8, 6


class Heard:
    """What the viewer told, by kind: the stamps in seconds."""

    def __init__(self) -> None:
        self.masks: list[int] = []
        self.truths: list[int] = []
        self.pictures: list[int] = []
        self.overlays: list[int] = []

    def on_classes(self, classes: Any) -> None:
        """Leave it."""

    def on_transition(self, node: str, start: str, goal: str) -> None:
        """Leave it."""

    def on_mask(self, stamp_ns: int, labels: Any, *, age_ms: float) -> None:
        self.masks.append(stamp_ns // 10**9)

    def on_truth(self, stamp_ns: int, labels: Any) -> None:
        self.truths.append(stamp_ns // 10**9)

    def on_camera(self, stamp_ns: int, pixels: Any) -> None:
        self.pictures.append(stamp_ns // 10**9)

    def on_overlay(self, stamp_ns: int, pixels: Any) -> None:
        self.overlays.append(stamp_ns // 10**9)


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Any]:
    """Give a node that plays both camera and segmentation."""
    context = Context()
    rclpy.init(args=[], context=context)
    made = rclpy.create_node('nodes', context=context, enable_rosout=False)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def viewer(ros_domain_id: int, heard: Heard) -> Iterator[DemoViewer]:
    with DemoViewer(heard, nodes=()) as made:
        yield made


def until(viewer: DemoViewer, probe: Callable[[], Any], *, send: Callable[[], None]) -> None:
    """Send again and again until the viewer has heard what is waited for."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not probe():
        assert time.monotonic() < deadline_s
        send()
        viewer.spin_once(0.05)


def image(stamp_s: int, *, encoding: str = 'rgb8', size: int = 3 * WIDTH * HEIGHT) -> Image:
    message = Image(width=WIDTH, height=HEIGHT, encoding=encoding, data=array('B', bytes(size)))
    message.step = WIDTH * (1 if encoding == 'mono8' else 3)
    message.header.stamp.sec = stamp_s
    return message


def labels(stamp_s: int) -> Image:
    return image(stamp_s, encoding='mono8', size=WIDTH * HEIGHT)


def jpeg(stamp_s: int, *, share: float = 1.0) -> CompressedImage:
    _, data = cv2.imencode('.jpg', np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    kept = data.reshape(-1)[: int(share * data.size)]
    message = CompressedImage(format='jpeg', data=array('B', kept.tobytes()))
    message.header.stamp.sec = stamp_s
    return message


@pytest.mark.parametrize(
    'reliability', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]
)
def test_everything_is_heard_whatever_its_reliability(
    viewer: DemoViewer, node: Any, heard: Heard, reliability: ReliabilityPolicy
) -> None:
    assert not viewer.listen()  # nobody offers masks yet
    qos = QoSProfile(depth=5, reliability=reliability)
    names = ('image', 'labels', 'segmentation/mask', 'segmentation/overlay')
    camera, truth, mask, overlay = (node.create_publisher(Image, name, qos) for name in names)

    def send() -> None:
        for publisher in (truth, mask):
            publisher.publish(labels(7))
        for publisher in (camera, overlay):
            publisher.publish(image(7))

    until(viewer, viewer.listen, send=lambda: None)
    viewer.look(True)
    until(
        viewer,
        lambda: heard.masks and heard.truths and heard.pictures and heard.overlays,
        send=send,
    )
    assert heard.masks[0] == heard.truths[0] == heard.pictures[0] == heard.overlays[0] == 7


@pytest.mark.parametrize(
    ('kind', 'topic', 'good', 'bad'),
    [
        (Image, 'image', image, [
            image(2, size=9), image(2, encoding='no_such'), Image(encoding='rgb8'),
        ]),
        (CompressedImage, 'image/compressed', jpeg, [jpeg(2, share=0.3), CompressedImage()]),
    ],
    ids=['raw', 'compressed'],
)  # fmt: skip
def test_pictures_that_cannot_be_read_are_left_out(
    viewer: DemoViewer,
    node: Any,
    heard: Heard,
    kind: Any,
    topic: str,
    good: Callable[[int], Any],
    bad: list[Any],
) -> None:
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    camera = node.create_publisher(kind, topic, qos)
    node.create_publisher(Image, 'segmentation/mask', qos)
    until(viewer, viewer.listen, send=lambda: None)  # then it knows of the camera, too
    viewer.look(True)
    until(viewer, lambda: heard.pictures, send=lambda: camera.publish(good(1)))
    for message in bad:
        camera.publish(message)
    until(viewer, lambda: 3 in heard.pictures, send=lambda: camera.publish(good(3)))
    assert set(heard.pictures) == {1, 3}
