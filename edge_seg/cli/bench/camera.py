"""The camera of the benchmarks, a process of its own: ready-made frames at an exact rate.

Drawing or decoding a frame would cost more than the segmentation node, on the same cores. Here
the frames are drawn and serialised before the first is published; only its stamp is new. What is
left costs no more than in a camera driver written in C++.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
import sys
import threading
import time

from edge_seg.cli.bench.cdr import STAMP_END, stamp_head
from edge_seg.cli.bench.log import EventLog
from edge_seg.core.encode import encode, layout
from edge_seg.ros.process import keep_image_buffers_on_the_heap
from edge_seg.ros.qos import image_qos, reliability_named
from edge_seg.ros.shared_memory import clear_of_the_dead
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

SCENE_STEP_S = 0.2


class BenchCamera(Node):
    """Publishes images until the process is told to stop; notes each frame in ``log``."""

    def __init__(self) -> None:
        super().__init__('bench_camera', enable_rosout=False)
        value = self.declare_parameter
        self._rate_hz = float(value('rate_hz', 30.0).value)
        self._log = EventLog(Path(str(value('log', 'camera.log').value)))
        frames = ready_frames(
            int(value('frames', 12).value),
            width=int(value('width', 640).value),
            height=int(value('height', 480).value),
            encoding=str(value('encoding', 'rgb8').value),
        )
        # What follows the stamp in each message.
        self._bodies = [memoryview(serialize_message(each))[STAMP_END:] for each in frames]
        qos = image_qos(reliability_named(str(value('qos', 'reliable').value)))
        topic = str(value('topic', 'image').value)
        self._publisher = self.create_publisher(Image, topic, qos)

    def run(self) -> None:
        """Publish at the rate; a frame that is late is not made up for."""
        never = threading.Event()
        period_s = 1.0 / self._rate_hz
        due_s = time.monotonic()
        count = 0
        while self.context.ok():
            never.wait(max(0.0, due_s - time.monotonic()))
            self._publish(self._bodies[count % len(self._bodies)])
            count += 1
            due_s = max(due_s + period_s, time.monotonic() - period_s)

    def _publish(self, body: memoryview) -> None:
        stamp_ns = time.time_ns()
        try:
            self._publisher.publish(b''.join((stamp_head(stamp_ns), body)))
        except rclpy_implementation.RCLError as error:
            # Fast DDS gives up after 100 ms in which its writer is busy: a frame that nobody got.
            self.get_logger().warning(str(error))
        self._log.add(stamp_ns, time.time_ns())


def ready_frames(count: int, *, width: int, height: int, encoding: str) -> list[Image]:
    """Draw scenes and write them in an encoding."""
    scenes = SceneSequence(7, width=width, height=height)
    form = layout(encoding, width, height)
    frames = []
    for index in range(count):
        pixels = np.empty(form.size, np.uint8)
        encode(scenes.render(index * SCENE_STEP_S).image, encoding, out=pixels)
        message = Image(width=width, height=height, encoding=encoding, step=form.step)
        message.header.frame_id = 'camera'
        message.data = array('B', pixels.tobytes())
        frames.append(message)
    return frames


def main(args: Sequence[str] | None = None) -> int:
    """Run the camera."""
    keep_image_buffers_on_the_heap()
    rclpy.init(args=list(sys.argv if args is None else args))
    try:
        with clear_of_the_dead():
            camera = BenchCamera()
        camera.run()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0
