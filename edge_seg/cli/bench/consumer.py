"""The consumer of the benchmarks, a process of its own: notes when which mask arrived.

It takes messages as they are serialised, past the executor, and reads the stamp in them, which is
all it needs: what a consumer does with masks is its own affair and must not slow down what is
measured.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
import sys
import time

from edge_seg.cli.bench.cdr import stamp_of
from edge_seg.cli.bench.log import EventLog
from edge_seg.ros.frame_reader import FrameReader
from edge_seg.ros.process import run_node
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

# A few deep: what the consumer is too busy to take must not count as missing.
OUTPUTS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LOOK_PERIOD_S = 1.0


class BenchConsumer(Node):
    """Subscribes to masks and further outputs, each with a log of its own."""

    def __init__(self) -> None:
        super().__init__('bench_consumer', enable_rosout=False)
        value = self.declare_parameter
        topics: list[str] = list(value('topics', ['segmentation/mask']).value)
        logs: list[str] = list(value('logs', ['consumer.times']).value)
        self._reader = FrameReader(self, look=lambda: None, look_period_s=LOOK_PERIOD_S)
        for topic, path in zip(topics, logs, strict=True):
            note = _note_in(EventLog(Path(path)))
            group = self._reader.group
            subscription = self.create_subscription(
                Image, topic, note, OUTPUTS, callback_group=group, raw=True
            )
            self._reader.attach(subscription, note)
        self._reader.start()

    def destroy_node(self) -> None:
        """End the thread that reads, first."""
        self._reader.stop()
        super().destroy_node()


def _note_in(log: EventLog) -> Callable[[bytes], None]:
    def note(message: bytes) -> None:
        arrival_ns = time.time_ns()
        log.add(stamp_of(message), arrival_ns)

    return note


def main(args: Sequence[str] | None = None) -> int:
    """Run the consumer."""
    return run_node(BenchConsumer, list(sys.argv if args is None else args))
