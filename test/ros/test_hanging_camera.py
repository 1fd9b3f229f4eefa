"""A source that hangs: the camera node does not pretend to be active."""

from collections.abc import Iterator
import os
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from edge_seg.ros import camera_node
from edge_seg.ros.camera_node import CameraNode
from edge_seg.sources.synthetic import SyntheticSource
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import Image

PATIENCE_S = 30.0
LOOK_S = 0.05


class Source:
    """Lets rendered scenes hang from the second one on, until they are released."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.hangs = threading.Event()
        self.released = threading.Event()
        self._reads = 0
        read: Any = SyntheticSource.read

        def hang(source: SyntheticSource) -> Any:
            self._reads += 1
            if self._reads > 1:
                self.hangs.set()
                self.released.wait(PATIENCE_S)
            return read(source)

        patch.setattr(SyntheticSource, 'read', hang)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setattr(camera_node, 'STOP_TIMEOUT_S', 0.2)
    source = Source(monkeypatch)
    yield source
    source.released.set()


@pytest.fixture
def other(source: Source) -> Iterator[Node]:
    """Give a node beside the one under test."""
    namespace = f'/hanging_{os.getpid()}'
    rclpy.init(args=['--ros-args', '-r', f'__ns:={namespace}'])
    node = rclpy.create_node('other', use_global_arguments=False, namespace=namespace)
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def camera(other: Node, source: Source) -> Iterator[CameraNode]:
    node = CameraNode()
    yield node
    source.released.set()
    node.destroy_node()


def test_a_source_that_hangs_finalizes_the_node_which_says_why(
    camera: CameraNode, other: Node, source: Source
) -> None:
    reports: list[DiagnosticArray] = []
    other.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    other.create_subscription(Image, 'image', lambda _: None, 1)
    assert camera.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert camera.trigger_activate() is TransitionCallbackReturn.SUCCESS
    assert source.hangs.wait(PATIENCE_S)

    assert camera.trigger_deactivate() is TransitionCallbackReturn.ERROR

    executor = SingleThreadedExecutor()
    executor.add_node(other)
    deadline_s = time.monotonic() + PATIENCE_S
    while not (reports and 'shut down' in reports[-1].status[0].message):
        assert time.monotonic() < deadline_s, reports
        executor.spin_once(LOOK_S)
    executor.shutdown()
    status = reports[-1].status[0]
    assert status.level == status.STALE
    assert 'the source did not give a frame' in status.message
