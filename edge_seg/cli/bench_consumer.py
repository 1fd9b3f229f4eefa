"""The consumer of the benchmarks, a process of its own: notes when which mask arrived."""

from collections.abc import Sequence
from pathlib import Path
import sys
import time

from edge_seg.cli.bench_log import EventLog
from edge_seg.ros.process import run_node
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

NANOSECONDS = 1_000_000_000
# A few deep: what the consumer is too busy to take must not count as missing.
MASKS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class BenchConsumer(Node):
    """Subscribes to the mask, and to further outputs, which are received and forgotten."""

    def __init__(self) -> None:
        super().__init__('bench_consumer', enable_rosout=False)
        self._log = EventLog(Path(str(self.declare_parameter('log', 'consumer.log').value)))
        mask = str(self.declare_parameter('mask', 'segmentation/mask').value)
        further = str(self.declare_parameter('further', '').value).split()
        self.create_subscription(Image, mask, self._on_mask, MASKS)
        for topic in further:
            self.create_subscription(Image, topic, lambda _message: None, MASKS)

    def _on_mask(self, message: Image) -> None:
        arrival_ns = time.time_ns()
        stamp = message.header.stamp
        self._log.add(stamp.sec * NANOSECONDS + stamp.nanosec, arrival_ns)


def main(args: Sequence[str] | None = None) -> int:
    """Run the consumer."""
    return run_node(BenchConsumer, list(sys.argv if args is None else args))
