"""A camera node in a process of its own, and one who configures it and listens to it."""

from collections.abc import Callable
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from segmentation_process import dds_environment
from spinning_node import SpinningNode

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
LOOK_AGAIN_S = 0.02
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}


class CameraRig:
    """One camera node process. Every wait has a deadline and says what it waited for."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / 'camera.log'
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'edge_seg.ros.camera_node'],
                cwd=ROOT,
                env={**os.environ, **dds_environment(), 'ROS_LOG_DIR': str(folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._changed = threading.Condition()
        self._statuses: list[Any] = []
        self._clients: dict[str, Any] = {}
        self._spinning = SpinningNode('listener', enable_rosout=False)
        self._node = self._spinning.node
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._spinning.start()

    def until(self, probe: Callable[[], Any], what: str) -> Any:
        """Wait until ``probe`` gives something true, and give it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            value = probe()
            if value:
                return value
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f'in vain: {what}\n{self._log.read_text("utf-8")}')
            with self._changed:
                self._changed.wait(LOOK_AGAIN_S)

    def change(self, transition: str) -> bool:
        """Ask for a transition; False when it did not succeed."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[transition]
        return bool(self._call(ChangeState, 'change_state', request).success)

    def play(self, **parameters: Any) -> None:
        """Configure with these parameters and activate."""
        assert self.set(**parameters) == ''
        for transition in ('configure', 'activate'):
            assert self.change(transition), self._log.read_text('utf-8')

    def stop(self) -> None:
        """Take the node down to unconfigured."""
        state = self.state
        if state == 'active':
            assert self.change('deactivate')
        if state != 'unconfigured':
            assert self.change('cleanup')

    @property
    def state(self) -> str:
        """Label of the node's state."""
        return str(self._call(GetState, 'get_state', GetState.Request()).current_state.label)

    def set(self, **parameters: Any) -> str:
        """Set parameters; give the reason of the first refusal, '' for none."""
        request = SetParameters.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in parameters.items()]
        )
        results = self._call(SetParameters, 'set_parameters', request).results
        return next((result.reason for result in results if not result.successful), '')

    def listen(self, kind: Any, topic: str) -> 'Ear':
        """Subscribe."""
        return Ear(self, self._spinning, kind, topic)

    def status(self, accept: Callable[[Any], bool], what: str) -> Any:
        """Wait for diagnostics that are as wanted, from now on."""
        seen = len(self._statuses)
        return self.until(lambda: next(filter(accept, self._statuses[seen:]), None), what)

    def latest_status(self) -> Any:
        """Give the newest diagnostics."""
        return self.until(lambda: self._statuses, 'diagnostics')[-1]

    def interrupt(self) -> int:
        """End the node politely; give its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """End everything."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)
        self._spinning.close()

    def notify(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._statuses += [status for status in message.status if status.name == 'camera']
        self.notify()

    def _call(self, kind: Any, service: str, request: Any) -> Any:
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, f'camera/{service}')
        client = self._clients[service]
        self.until(client.service_is_ready, f'service {service}')
        future = client.call_async(request)
        future.add_done_callback(lambda _: self.notify())
        return self.until(lambda: future.done() and future.result(), f'answer of {service}')


class Ear:
    """A subscription, reliable and deep, and what it received; a context manager."""

    def __init__(self, rig: CameraRig, spinning: SpinningNode, kind: Any, topic: str) -> None:
        self._rig = rig
        self._spinning = spinning
        self.messages: list[Any] = []
        self._subscription = spinning.node.create_subscription(
            kind, topic, self._on_message, RELIABLE
        )

    def __enter__(self) -> 'Ear':
        return self

    def __exit__(self, *_: object) -> None:
        node = self._spinning.node
        self._spinning.change(lambda: node.destroy_subscription(self._subscription))

    def wait_for(self, count: int) -> list[Any]:
        """Wait for so many messages and give all that came."""
        self._rig.until(lambda: len(self.messages) >= count, f'{count} messages')
        return list(self.messages)

    def _on_message(self, message: Any) -> None:
        self.messages.append(message)
        self._rig.notify()
