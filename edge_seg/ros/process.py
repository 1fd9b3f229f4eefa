"""Starts and ends a node's process: allocator, executor, signals, exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
import ctypes
import os
import signal
import socket
import sys

from edge_seg.ros.compat import make_executor
from edge_seg.ros.log_bridge import forward_logs
from edge_seg.ros.shared_memory import clear_of_the_dead
import rclpy
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

# mallopt(3) of glibc. Image buffers are larger than the default mmap threshold, so every message
# would be mapped, faulted in page by page and unmapped again: at 1080p more than half of the cost
# of receiving it. With these the heap keeps and reuses them. One heap for all threads: each load
# runs in a thread of its own, and with a heap per thread what one model leaves is no use to the
# next (200 reloads: resident memory flat with one heap, up and down by 40 MiB with several).
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
MALLOC_SETTINGS = (
    (M_ARENA_MAX, 1),
    (M_MMAP_THRESHOLD, 256 << 20),
    (M_TRIM_THRESHOLD, 512 << 20),
    (M_TOP_PAD, 32 << 20),
)

STOP_TIMEOUT_S = 4.0
"""How long the callback under way may take to return; ros2 launch loses patience after 5 s."""


def keep_image_buffers_on_the_heap() -> bool:
    """Tune the C allocator for a stream of large messages.

    Returns:
        False where the C library has no mallopt (musl, macOS): slower, not wrong.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return all(mallopt(option, value) == 1 for option, value in MALLOC_SETTINGS)


class StopRequest:
    """Tells the main thread that the process is to end; see `stop_request`."""

    def __init__(self, ears: socket.socket, mouth: socket.socket) -> None:
        self._ears = ears
        self._mouth = mouth

    def give(self) -> None:
        """Ask for the end, as a signal does; from any thread."""
        self._mouth.send(b'.')

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the end is asked for; in the main thread, which alone handles signals.

        From then on SIGINT is ignored: Ctrl-C under ros2 launch arrives twice, from the terminal
        and from launch. SIGTERM ends the process at once.

        Returns:
            False when the time ran out.
        """
        self._ears.settimeout(timeout_s)
        try:
            self._ears.recv(1)
        except TimeoutError:
            return False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request that can be waited for."""
    # What is written to the second, by a signal too, the first reads.
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    with ears, mouth:
        before = signal.set_wakeup_fd(mouth.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        try:
            yield StopRequest(ears, mouth)
        finally:
            signal.set_wakeup_fd(before)


def run_node(create: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node until its process is told to stop, by SIGINT or SIGTERM.

    Further SIGINTs are ignored; SIGTERM after the first signal ends the process at once. A node
    with a method ``give_up`` is told so: what its callback under way does need not be finished.

    Args:
        create: makes the node, after rclpy has been initialised.
        args: command line, None = sys.argv.

    Returns:
        The exit code of the process: 0, or 1 when a callback did not return in time.

    Raises:
        Exception: what a callback raised; the node is destroyed first.
    """
    keep_image_buffers_on_the_heap()
    with stop_request() as stop:
        # rclpy's own handlers close the context while the node's threads still publish.
        rclpy.init(
            args=list(sys.argv if args is None else args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        with clear_of_the_dead():
            node = create()
        forward_logs(node.get_logger())
        executor = make_executor()
        executor.add_node(node)
        try:
            _spin(executor, stop, give_up=getattr(node, 'give_up', _nothing))
        finally:
            executor.shutdown()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


def _nothing() -> None:
    """Give nothing up."""


def _spin(executor: Executor, stop: StopRequest, *, give_up: Callable[[], None]) -> None:
    """Run callbacks until a signal comes, or one of them raises.

    In a thread of their own: the main thread is the only one in which Python handles signals,
    and while it waits inside rclpy it does not.

    Raises:
        Exception: what a callback raised.
    """
    ended: Future[None] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix='executor') as threads:
        spinning = threads.submit(executor.spin_until_future_complete, ended)
        spinning.add_done_callback(lambda _: stop.give())
        stop.wait()
        give_up()
        ended.set_result(None)
        wait([spinning], STOP_TIMEOUT_S)
        if not spinning.done():
            print(f'a callback did not return within {STOP_TIMEOUT_S:g} s', file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)  # an exit in order would wait for it
        spinning.result()
