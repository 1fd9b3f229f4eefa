"""Starts and ends a node's process: allocator, executor, signals, exit code."""

from collections.abc import Callable, Sequence
import ctypes
import signal
import sys

from edge_seg.ros.compat import make_executor
from edge_seg.ros.log_bridge import forward_logs
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

# mallopt(3) of glibc. Image buffers are larger than the default mmap threshold, so every message
# would be mapped, faulted in page by page and unmapped again: at 1080p more than half of the cost
# of receiving it. With these the heap keeps and reuses them.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
MALLOC_SETTINGS = (
    (M_MMAP_THRESHOLD, 256 << 20),
    (M_TRIM_THRESHOLD, 512 << 20),
    (M_TOP_PAD, 32 << 20),
)


def keep_image_buffers_on_the_heap() -> bool:
    """Tune the C allocator for a stream of large messages.

    Returns:
        False where the C library has no mallopt (musl, macOS): slower, not wrong.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return all(mallopt(option, value) == 1 for option, value in MALLOC_SETTINGS)


def run_node(create: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node until its process is told to stop.

    Args:
        create: makes the node, after rclpy has been initialised.
        args: command line, None = sys.argv.

    Returns:
        The exit code of the process.
    """
    keep_image_buffers_on_the_heap()
    rclpy.init(args=list(sys.argv if args is None else args))
    try:
        node = create()
        forward_logs(node.get_logger())
        executor = make_executor()
        executor.add_node(node)
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            # Ctrl-C under ros2 launch arrives twice: from the terminal and from launch.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
    return 0
