"""A running segmentation node as the model commands see it: ask, watch, read back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import threading
import time

from edge_seg.errors import SourceUnavailable
from edge_seg.ros.compat import make_executor
from edge_seg.ros.lifecycle_client import LifecycleClient
from edge_seg.ros.shared_memory import clear_of_the_dead
from edge_seg.runtime.managing.managed_node import NodeState
from edge_seg.runtime.managing.model_node import AT_REST, Reply, ServedModel
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.signals import SignalHandlerOptions

POLL_S = 0.05
LOADED_STATES = (NodeState.INACTIVE, NodeState.ACTIVE)


class LiveNode:
    """Asks one node; every method may block up to its timeout.

    Args:
        client: talks to the node while another thread spins.
    """

    def __init__(self, client: LifecycleClient) -> None:
        self._client = client
        self._never = threading.Event()  # waiting on it is how this thread pauses

    @property
    def name(self) -> str:
        """Full name of the node."""
        return self._client.name

    def state(self, timeout_s: float) -> NodeState:
        """Return the node's lifecycle state.

        Raises:
            SourceUnavailable: it does not answer in time.
        """
        found: list[NodeState] = []

        def answered() -> bool:
            found[:] = [self._client.ask_state().wait(1.0)]
            return found[0] not in (NodeState.ABSENT, NodeState.SILENT)

        if not self._until(answered, timeout_s):
            state = found[0].value if found else 'absent'
            raise SourceUnavailable(
                f'{self.name} is {state}: no answer within {timeout_s:g} s',
                expected='a running segmentation node',
                remedy='check ros2 node list, ROS_DOMAIN_ID and --node',
            )
        return found[0]

    def status(self, timeout_s: float) -> ServedModel | None:
        """Return what the node says on ~/model_status; None when it says nothing in time."""
        self._until(lambda: self._client.served_model() is not None, timeout_s)
        return self._client.served_model()

    def set_model(self, model: str, timeout_s: float) -> Reply:
        """Set the parameter ``model``."""
        return self._client.set_model(model, timeout_s)

    def roll_back(self, timeout_s: float) -> Reply:
        """Call ~/rollback."""
        return self._client.roll_back(timeout_s)

    def parameter(self, timeout_s: float) -> str:
        """Read the parameter ``model`` back; '' without an answer."""
        return self._client.get_model(timeout_s) or ''

    def settled(
        self, model: str, after: int, timeout_s: float, on_stage: Callable[[str], None]
    ) -> ServedModel | None:
        """Wait until a request is answered, or somebody else makes another one.

        Args:
            model: what was asked for.
            after: the last request_id before it.
            timeout_s: how long to wait.
            on_stage: told of each stage.

        Returns:
            The status at rest, None when the time ran out.
        """
        seen = ''
        status: ServedModel | None = None

        def done() -> bool:
            nonlocal seen, status
            status = self._client.served_model()
            if status is None or status.request_id <= after:
                return False
            if status.stage != seen:
                seen = status.stage
                on_stage(seen)
            if status.stage == 'serving' and status.requested == model:
                return status.fulfils(model)
            return status.stage in AT_REST

        return status if self._until(done, timeout_s) else None

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._never.wait(POLL_S)
        return True


@contextmanager
def connected(node_name: str) -> Iterator[LiveNode]:
    """Join the ROS graph and watch one node.

    Args:
        node_name: full name, e.g. '/segmentation'.
    """
    # Ctrl-C is the main thread's: with rclpy's handlers it would end the spinning thread only.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with clear_of_the_dead():
        owner = rclpy.create_node(f'edge_seg_model_{os.getpid()}')
    executor = make_executor()
    executor.add_node(owner)
    client = LifecycleClient(
        owner,
        node_name,
        callback_group=ReentrantCallbackGroup(),
        on_event=lambda: None,
    )

    thread = threading.Thread(target=executor.spin, name='ros', daemon=True)
    thread.start()
    try:
        yield LiveNode(client)
    finally:
        executor.shutdown()
        thread.join(5.0)
        owner.destroy_node()
        rclpy.try_shutdown()
