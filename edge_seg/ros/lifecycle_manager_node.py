"""The lifecycle manager as a ROS node: parameters, Trigger services, diagnostics, signals.

Threads: the manager's own thread moves nodes and waits for their answers. The executor has a few
threads: a Trigger service occupies one until its command is done, while the others deliver the
answers that the command waits for and keep ~/is_active, parameters and diagnostics responsive.
The manager refuses a third command at once, so services can never use up all threads.
"""

from collections.abc import Callable, Sequence
import os
from pathlib import Path
import sys
import threading
from typing import cast

from diagnostic_msgs.msg import DiagnosticArray
from edge_seg.errors import EdgeSegError
from edge_seg.models.store import ModelStore
from edge_seg.ros.lifecycle_client import LifecycleClient
from edge_seg.ros.log_bridge import forward_logs
from edge_seg.ros.manager_diagnostics import diagnostics
from edge_seg.ros.parameters import NodeParameters
from edge_seg.ros.process import stop_request, StopRequest
from edge_seg.ros.publishing import publish_or_warn
from edge_seg.ros.shared_memory import bury_the_dead, clear_of_the_dead
from edge_seg.runtime.managing.command_desk import Outcome
from edge_seg.runtime.managing.manager import LifecycleManager
from edge_seg.runtime.managing.manager_parameters import (
    MANAGER_PARAMETERS,
    manager_settings,
    manager_values,
)
from edge_seg.runtime.managing.pause_note import default_pause_note, PauseNote
from edge_seg.runtime.managing.store_watch import StoreWatch
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

# Two commands (one running, one taking its place), ~/is_active, answers, diagnostics, one spare.
EXECUTOR_THREADS = 6
DIAGNOSTICS_PERIOD_S = 1.0  # REP 107
LOOK_PERIOD_S = 0.25


class LifecycleManagerNode(Node):
    """Wires a LifecycleManager to ROS.

    Raises:
        SettingsInvalid: a parameter that cannot be used.
    """

    def __init__(self) -> None:
        super().__init__('lifecycle_manager')
        forward_logs(self.get_logger())
        parameters = NodeParameters(
            self,
            MANAGER_PARAMETERS,
            configured=lambda: True,
            review=lambda _changes: None,
            apply=lambda _changes: None,
        )
        values = manager_values(parameters.values())
        self._shutdown_on_exit = values['shutdown_on_exit']
        self._exit_timeout_s = cast('float', values['exit_timeout_s'])
        full_names = {
            name: self._full_name(name) for name in cast('tuple[str, ...]', values['node_names'])
        }
        answers = ReentrantCallbackGroup()
        clients = [
            LifecycleClient(self, name, callback_group=answers, on_event=self._on_node_event)
            for name in full_names.values()
        ]
        self._manager = LifecycleManager(
            clients,
            manager_settings(values, full_names=full_names),
            pause_note=PauseNote(
                default_pause_note(
                    self.get_fully_qualified_name(), domain=os.environ.get('ROS_DOMAIN_ID', '')
                )
            ),
            watch=_watch(str(values['watch_store']), str(values['watch_model'])),
        )
        self._offer_services()
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Steady: diagnostics go on while simulated time stands still.
        self._timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S,
            self._publish_diagnostics,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def start(self) -> None:
        """Let the manager work; the node must be spun from now on."""
        self._manager.start()

    @property
    def alive(self) -> bool:
        """False when the manager's thread has ended, which only a bug does."""
        return self._manager.alive

    def finish(self) -> None:
        """Take the nodes down if the parameters say so, then end the manager's thread."""
        wanted = self._shutdown_on_exit == 'always' or (
            self._shutdown_on_exit == 'auto' and self._manager.brought_nodes_up
        )
        if wanted:
            ending = threading.Thread(target=self._take_down, name='ending', daemon=True)
            ending.start()
            ending.join(self._exit_timeout_s)
            if ending.is_alive():
                self.get_logger().warning(
                    f'the nodes are not all down after {self._exit_timeout_s:.1f} s: left'
                )
        self._manager.close(timeout_s=2.0)

    def _take_down(self) -> None:
        outcome = self._manager.shutdown()
        log = self.get_logger().info if outcome.success else self.get_logger().warning
        log(outcome.message)

    def _full_name(self, name: str) -> str:
        if name.startswith('/'):
            return name
        return f'{self.get_namespace().rstrip("/")}/{name}'

    def _on_node_event(self) -> None:
        self._manager.wake()

    def _offer_services(self) -> None:
        manager = self._manager
        commands: dict[str, Callable[[], Outcome]] = {
            'startup': manager.startup,
            'shutdown': manager.shutdown,
            'reset': manager.reset,
            'pause': manager.pause,
            'resume': manager.resume,
            'is_active': manager.is_active,
            'rollout': self._rollout,
            'rollback': manager.rollback,
        }
        group = ReentrantCallbackGroup()
        for name, command in commands.items():
            self.create_service(Trigger, f'~/{name}', _trigger(command), callback_group=group)

    def _rollout(self) -> Outcome:
        return self._manager.rollout(self.get_parameter('rollout_model').value.strip())

    def _publish_diagnostics(self) -> None:
        message = diagnostics(
            self.get_fully_qualified_name(), self._manager.report, self.get_clock().now()
        )
        publish_or_warn(self, self._diagnostics, message)


def _trigger(
    command: Callable[[], Outcome],
) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def serve(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        outcome = command()
        response.success = outcome.success
        response.message = outcome.message
        return response

    return serve


def _watch(store: str, reference: str) -> StoreWatch | None:
    if not store:
        return None
    models = ModelStore(Path(store))
    return StoreWatch(reference, lambda request: models.resolve(request).identity)


def main(args: Sequence[str] | None = None) -> int:
    """Run the manager until SIGINT or SIGTERM.

    Further SIGINTs are ignored, so that the nodes are taken down; a further SIGTERM ends it at
    once.

    Returns:
        0, or 1 when a parameter cannot be used or the manager's thread died of a bug.
    """
    with stop_request() as stop:
        # rclpy's own handlers would close the context, and with it the way to the managed nodes.
        rclpy.init(
            args=list(sys.argv if args is None else args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        try:
            return _run(stop)
        finally:
            rclpy.try_shutdown()


def _run(stop: StopRequest) -> int:
    try:
        with clear_of_the_dead():
            node = LifecycleManagerNode()
    except EdgeSegError as refusal:
        print(f'lifecycle_manager: {refusal}', file=sys.stderr)
        return 1
    executor = MultiThreadedExecutor(EXECUTOR_THREADS)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, name='executor', daemon=True)
    spinning.start()
    node.start()
    told = False
    while not told and node.alive and spinning.is_alive():
        told = stop.wait(LOOK_PERIOD_S)
        bury_the_dead()
    node.finish()
    executor.shutdown(timeout_sec=1.0)
    spinning.join(1.0)
    node.destroy_node()
    return 0 if told else 1


if __name__ == '__main__':
    sys.exit(main())
