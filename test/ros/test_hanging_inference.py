"""A frame that is never finished: the node lets go, says so, and can be configured again."""

from collections.abc import Callable, Iterator
import os
import threading
import time
from typing import Any

from camera_frames import rgb8, scene
from diagnostic_msgs.msg import DiagnosticArray
from edge_seg.models.store import ModelStore
from edge_seg.ros import frame_flow
from edge_seg.ros.segmentation_node import SegmentationNode
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.loading import succession
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import Image

PATIENCE_S = 30.0
LOOK_S = 0.05
SUCCESS, ERROR = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.ERROR


class Hanging:
    """Lets the inference of every model hang until it is released."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        segment: Callable[..., Any] = ServingModel.segment

        def hang(model: ServingModel, *args: Any, **options: Any) -> Any:
            if options.get('buffers') is not None:  # a frame of the camera, no warm-up
                self.begun.set()
                assert self.released.wait(PATIENCE_S)
            return segment(model, *args, **options)

        patch.setattr(ServingModel, 'segment', hang)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(frame_flow, 'STOP_TIMEOUT_S', 0.2)
    monkeypatch.setattr(succession, 'DRAIN_TIMEOUT_S', 0.2)
    hanging = Hanging(monkeypatch)
    yield hanging
    hanging.released.set()


@pytest.fixture
def other(store: ModelStore, hanging: Hanging) -> Iterator[Node]:
    """Give a node beside the one under test."""
    values = {
        'model': 'colours@1',
        'model_store': str(store.root),
        'cache_dir': 'none',
        'backend': 'opencv',
        'lazy': 'false',
        'max_age_s': '3600.0',
    }
    arguments = [word for item in values.items() for word in ('-p', ':='.join(item))]
    namespace = f'/hanging_{os.getpid()}'
    rclpy.init(args=['--ros-args', '-r', f'__ns:={namespace}', *arguments])
    node = rclpy.create_node('other', use_global_arguments=False, namespace=namespace)
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def segmentation(other: Node) -> Iterator[SegmentationNode]:
    node = SegmentationNode()
    yield node
    node.destroy_node()


@pytest.fixture
def spin(other: Node) -> Iterator[Callable[[], None]]:
    """Give a function that lets the other node hear what has come."""
    executor = SingleThreadedExecutor()
    executor.add_node(other)
    yield lambda: executor.spin_once(LOOK_S)
    executor.shutdown()


def until(done: Callable[[], bool], step: Callable[[], object]) -> None:
    """Do something until something is the case."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline_s, 'in vain'
        step()


@pytest.mark.parametrize('transition', ['deactivate', 'shutdown'])
def test_a_node_lets_go_of_a_frame_that_hangs_and_says_so(
    segmentation: SegmentationNode,
    other: Node,
    hanging: Hanging,
    spin: Callable[[], None],
    transition: str,
) -> None:
    reports: list[DiagnosticArray] = []
    masks: list[Image] = []
    other.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    other.create_subscription(Image, 'segmentation/mask', masks.append, 1)
    camera = other.create_publisher(Image, 'image', 1)
    frame = rgb8(scene())
    assert segmentation.trigger_configure() is SUCCESS
    assert segmentation.trigger_activate() is SUCCESS
    until(lambda: hanging.begun.wait(LOOK_S), lambda: camera.publish(frame))

    assert getattr(segmentation, f'trigger_{transition}')() is ERROR

    until(lambda: bool(reports) and 'not configured' in reports[-1].status[0].message, spin)
    status = reports[-1].status[0]
    assert status.level == status.ERROR
    assert f'on_{transition}: the frame being segmented did not finish' in status.message

    hanging.released.set()
    assert segmentation.trigger_configure() is SUCCESS
    assert segmentation.trigger_activate() is SUCCESS

    def ask() -> None:
        camera.publish(frame)
        spin()

    until(lambda: bool(masks), ask)
    assert segmentation.trigger_deactivate() is SUCCESS
