"""The frame reader: messages come past the executor, as long as they are wanted."""

from collections.abc import Callable, Iterator
import math
import os
import threading
import time

from edge_seg.ros.compat import SubscriptionEventCallbacks
from edge_seg.ros.frame_reader import FrameReader
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

PATIENCE_S = 30.0
LOOK_S = 0.02
# Kept for those who are matched late, as discovery takes its time.
MANY = 200
KEPT_ALL = QoSProfile(depth=MANY, durability=DurabilityPolicy.TRANSIENT_LOCAL)
KEPT = QoSProfile(depth=9, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Received:
    """Remembers messages and lets a test wait for them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def add(self, message: String) -> None:
        with self._changed:
            self.texts.append(message.data)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), self.texts


@pytest.fixture
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('reading', context=context, namespace=f'reading_{os.getpid()}')
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_messages_come_without_an_executor_until_they_are_detached(node: Node) -> None:
    looks = threading.Semaphore(0)
    reader = FrameReader(node, look=looks.release, look_period_s=LOOK_S)
    reader.start()
    received, kept = Received(), Received()
    first = node.create_subscription(
        String, 'text', received.add, KEPT, callback_group=reader.group
    )
    second = node.create_subscription(String, 'text', kept.add, KEPT, callback_group=reader.group)
    reader.attach(first, received.add)
    reader.attach(second, kept.add)
    publisher = node.create_publisher(String, 'text', KEPT)
    publisher.publish(String(data='one'))
    received.wait_for(lambda: received.texts == ['one'])

    reader.detach(first)
    node.destroy_subscription(first)
    publisher.publish(String(data='two'))
    kept.wait_for(lambda: kept.texts == ['one', 'two'])
    reader.stop()
    assert received.texts == ['one']
    publisher.publish(String(data='three'))
    reader.stop()
    assert kept.texts == ['one', 'two']


def test_it_looks_around_while_nothing_comes(node: Node) -> None:
    looks = threading.Semaphore(0)
    reader = FrameReader(node, look=looks.release, look_period_s=LOOK_S)
    reader.start()
    for _ in range(5):
        assert looks.acquire(timeout=PATIENCE_S)
    reader.stop()


def test_the_executor_leaves_the_messages_alone(node: Node) -> None:
    reader = FrameReader(node, look=lambda: None, look_period_s=LOOK_S)
    taken = Received()
    node.create_subscription(String, 'text', taken.add, 9, callback_group=reader.group)
    node.create_publisher(String, 'text', 9).publish(String(data='one'))
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    ticks: list[int] = []
    node.create_timer(LOOK_S, lambda: ticks.append(1))
    while len(ticks) < 5:
        executor.spin_once(timeout_sec=PATIENCE_S)
    executor.shutdown()
    assert taken.texts == []


def test_a_message_that_fails_is_told_and_the_next_ones_come(node: Node) -> None:
    reader = FrameReader(node, look=lambda: None, look_period_s=LOOK_S)
    received, failures = Received(), []

    def on_message(message: String) -> None:
        if message.data == 'bad':
            raise ValueError('cannot be read')
        received.add(message)

    subscription = node.create_subscription(
        String, 'text', on_message, KEPT, callback_group=reader.group
    )
    reader.attach(subscription, on_message, failures.append)
    reader.start()
    publisher = node.create_publisher(String, 'text', KEPT)
    for text in ('one', 'bad', 'two'):
        publisher.publish(String(data=text))
    received.wait_for(lambda: received.texts == ['one', 'two'])
    reader.stop()
    assert [str(failure) for failure in failures] == ['cannot be read']


def test_the_way_of_a_message_is_told_before_it_is_handed_over(node: Node) -> None:
    reader = FrameReader(node, look=lambda: None, look_period_s=LOOK_S)
    received, ways = Received(), []
    subscription = node.create_subscription(
        String, 'text', received.add, KEPT, callback_group=reader.group
    )
    reader.attach(
        subscription, received.add, on_taken=lambda *way: ways.append((*way, len(received.texts)))
    )
    reader.start()
    publisher = node.create_publisher(String, 'text', KEPT)

    begun_s = time.monotonic()
    sent = 0
    # How long a message has waited is not known, so wait for one that the reader waits for.
    while not any(math.isfinite(transport_s) for transport_s, *_ in ways):
        assert time.monotonic() < begun_s + PATIENCE_S, ways
        sent += 1
        publisher.publish(String(data=str(sent)))
        received.wait_for(lambda sent=sent: len(received.texts) == sent)
    reader.stop()

    transport_s, take_s, before = ways[-1]
    assert 0.0 < transport_s < time.monotonic() - begun_s
    assert 0.0 < take_s < PATIENCE_S
    assert before == sent - 1


def test_cameras_that_come_and_go_are_no_failure(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    looked = threading.Event()
    reader = FrameReader(node, look=looked.set, look_period_s=0.0)
    reader.start()
    events = SubscriptionEventCallbacks(message_lost=lambda _lost: None)

    for _ in range(300):
        camera = node.create_subscription(
            String, 'text', print, 1, callback_group=reader.group, event_callbacks=events
        )
        reader.attach(camera, print)
        for _ in range(2):  # so that it waits for this camera by now
            looked.clear()
            assert looked.wait(PATIENCE_S)
        reader.detach(camera)
        node.destroy_subscription(camera)
    reader.stop()

    assert not caplog.records


def test_a_camera_that_fails_again_and_again_does_not_hold_up_its_neighbour(node: Node) -> None:
    reader = FrameReader(node, look=lambda: None, look_period_s=LOOK_S)
    received, failures = Received(), []
    bad = node.create_subscription(
        String, 'bad', received.add, KEPT_ALL, callback_group=reader.group
    )
    bad.msg_type = None  # its message can never be taken, and is there again at once
    good = node.create_subscription(
        String, 'good', received.add, KEPT_ALL, callback_group=reader.group
    )
    node.create_publisher(String, 'bad', KEPT_ALL).publish(String(data='unreadable'))
    texts = [str(number) for number in range(MANY)]
    publisher = node.create_publisher(String, 'good', KEPT_ALL)
    for text in texts:
        publisher.publish(String(data=text))
    reader.attach(bad, received.add, failures.append)
    reader.attach(good, received.add)
    reader.start()

    received.wait_for(lambda: received.texts == texts)
    reader.stop()

    assert 0 < len(failures) < MANY / 4


def test_it_goes_on_after_a_failure_while_waiting(node: Node) -> None:
    looks = threading.Semaphore(0)
    failures = [RuntimeError('no memory'), RuntimeError('no memory')]

    def look() -> None:
        if failures:
            raise failures.pop()
        looks.release()

    reader = FrameReader(node, look=look, look_period_s=LOOK_S)
    reader.start()
    assert looks.acquire(timeout=PATIENCE_S)
    reader.stop()
