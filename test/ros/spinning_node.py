"""A node of a test, spinning in a context and a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future
import threading
from typing import Any, TypeVar

from edge_seg.ros.port_notes import PortNotes
from edge_seg.ros.shared_memory import clear_of_the_dead, FOLDER
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

END_TIMEOUT_S = 20.0

Result = TypeVar('Result')


class SpinningNode:
    """A node and the thread in which it is called back.

    Args:
        name: its name.
        options: further arguments for the node.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        with clear_of_the_dead():
            self.node = rclpy.create_node(name, context=self._context, **options)
        self._noted = PortNotes(FOLDER).note_own()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, name=name, daemon=True)

    def start(self) -> None:
        """Begin to spin."""
        self._thread.start()

    def change(self, change: Callable[[], Result]) -> Result:
        """Do in the node's thread what takes away something that it waits for.

        Done from another thread it ends the executor of rclpy now and then, which meets a handle
        that has just gone.
        """
        if threading.current_thread() is self._thread:
            return change()
        result: Future[Result] = Future()

        def run() -> None:
            try:
                result.set_result(change())
            except Exception as error:  # noqa: BLE001  # for who has asked, not for the executor
                result.set_exception(error)

        self._executor.create_task(run)
        return result.result(END_TIMEOUT_S)

    def close(self) -> None:
        """End the node and its thread."""
        self._executor.shutdown()
        self._thread.join(END_TIMEOUT_S)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
        # Or its numbers would count as those of a killed process, as this one goes on.
        PortNotes(FOLDER).forget(self._noted)
