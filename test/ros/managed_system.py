"""Runs managed nodes and a manager as real processes and talks to them over DDS."""

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
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from spinning_node import SpinningNode
from std_srvs.srv import Trigger

ROOT = Path(__file__).resolve().parent.parent.parent
NODE = Path(__file__).resolve().parent / 'managed_node_process.py'
PATIENCE_S = 60.0
POLL_S = 0.02
RESEND_S = 5.0
MANAGER = '/lifecycle_manager'


def _arguments(name: str, parameters: dict[str, Any]) -> list[str]:
    def text(value: Any) -> str:
        if isinstance(value, (list, tuple)):
            return '[' + ', '.join(value) + ']'
        return str(value).lower() if isinstance(value, bool) else str(value)

    pairs = [part for key, value in parameters.items() for part in ('-p', f'{key}:={text(value)}')]
    return ['--ros-args', '-r', f'__node:={name}', *pairs]


class ManagedSystem:
    """Processes of one test, in the ROS domain of the environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = folder / 'journal.txt'
        self._journal.touch()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._spinning = SpinningNode('observer')
        self._node = self._spinning.node
        self._clients: dict[str, Any] = {}
        self._diagnostics: dict[str, Any] = {}
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._spinning.start()

    # Processes

    def start_node(self, name: str, **parameters: Any) -> None:
        """Start a managed node; the name is free again after a kill."""
        parameters = {'journal': str(self._journal), **parameters}
        self._start(name, [str(NODE), *_arguments(name, parameters)])

    def start_manager(self, **parameters: Any) -> None:
        """Start the manager."""
        module = ['-m', 'edge_seg.ros.lifecycle_manager_node']
        self._start(MANAGER, [*module, *_arguments(MANAGER.lstrip('/'), parameters)])

    def kill(self, name: str) -> None:
        """Kill -9."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(PATIENCE_S)

    def interrupt(self, name: str, number: int = signal.SIGINT) -> int:
        """End a process politely and return its exit code."""
        self._processes[name].send_signal(number)
        return self.wait_for_end(name)

    def interrupt_all(self) -> dict[str, int]:
        """End all processes at the same moment and return their exit codes."""
        for process in self._processes.values():
            process.send_signal(signal.SIGINT)
        return {name: self.wait_for_end(name) for name in list(self._processes)}

    def signal(self, name: str, number: int = signal.SIGINT) -> None:
        """Send a signal and return at once."""
        self._processes[name].send_signal(number)

    def wait_for_end(self, name: str) -> int:
        """Wait until a process has ended by itself and return its exit code."""
        return self._processes.pop(name).wait(PATIENCE_S)

    def close(self) -> None:
        """End everything."""
        for name in list(self._processes):
            self.kill(name)
        self._spinning.close()

    def _start(self, name: str, arguments: list[str]) -> None:
        log = (self._folder / f'{name.lstrip("/")}.log').open('ab')
        with log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, 'PYTHONUNBUFFERED': '1'},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    # What an operator can do and see

    def log(self, name: str) -> str:
        """Return what a process printed so far."""
        return (self._folder / f'{name.lstrip("/")}.log').read_text('utf-8')

    def manager(self, command: str) -> Trigger.Response:
        """Call a Trigger service of the manager; may be sent twice, unlike `manager_once`."""
        return self.call(Trigger, f'{MANAGER}/{command}', Trigger.Request())

    def manager_once(self, command: str) -> Trigger.Response:
        """Call a Trigger service that must not be called twice."""
        return self.manager_later(command)()

    def manager_later(self, command: str) -> Callable[[], Trigger.Response]:
        """Call a Trigger service and return at once; the result waits for the response."""
        return self._send(Trigger, f'{MANAGER}/{command}', Trigger.Request())

    def state(self, name: str) -> str:
        """Ask a node for its state."""
        return str(
            self.call(GetState, f'/{name}/get_state', GetState.Request()).current_state.label
        )

    def change_state(self, name: str, transition: int) -> bool:
        """Do what `ros2 lifecycle set` does."""
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, f'/{name}/change_state', request).success)

    def set(self, name: str, parameter: str, value: bool | str) -> None:
        """Do what `ros2 param set` does."""
        kind = ParameterType.PARAMETER_BOOL
        message = ParameterValue(type=kind, bool_value=value is True)
        if isinstance(value, str):
            message = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=parameter, value=message)])
        response = self.call(SetParameters, f'/{name.lstrip("/")}/set_parameters', request)
        assert response.results[0].successful, response.results[0].reason

    def get(self, name: str, parameter: str) -> str:
        """Do what `ros2 param get` does with a text."""
        request = GetParameters.Request(names=[parameter])
        response = self.call(GetParameters, f'/{name}/get_parameters', request)
        return str(response.values[0].string_value)

    def journal(self) -> list[str]:
        """Return the transitions that nodes made, without process ids."""
        return [line.rpartition(' ')[0] for line in self._journal.read_text().splitlines()]

    def until_diagnostic(self, name: str, words: str, **values: str) -> Any:
        """Wait for a status of the manager with these words and values; return it."""

        def status() -> Any:
            found = self._diagnostics.get(f'lifecycle_manager: {name}')
            if found is None or words not in found.message:
                return None
            told = {pair.key: pair.value for pair in found.values}
            return found if values.items() <= told.items() else None

        return self.until(status, f'diagnostics of {name} that say {words!r} {values or ""}')

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition and return its value; say what was waited for."""
        deadline = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            pause.wait(POLL_S)
        logs = '\n'.join(path.read_text('utf-8') for path in self._folder.glob('*.log'))
        told = '\n'.join(f'{name}: {each.message}' for name, each in self._diagnostics.items())
        raise AssertionError(f'in vain: {what}\n{logs}\n{told}')

    def until_journal(self, *expected: str) -> None:
        """Wait until nodes made exactly these transitions."""
        self.until(lambda: len(self.journal()) >= len(expected), f'transitions {expected}')
        assert self.journal() == list(expected)

    def call(self, service_type: Any, service: str, request: Any) -> Any:
        """Call a service and wait for the response.

        The request is sent again now and then: a killed process stays listed for a while, and
        what is sent before its successor is discovered reaches nobody.
        """
        client = self._client(service_type, service)
        futures = []

        def answer() -> Any:
            if not futures or time.monotonic() - futures[-1][0] > RESEND_S:
                futures.append((time.monotonic(), client.call_async(request)))
            return next((future.result() for _, future in futures if future.done()), None)

        return self.until(answer, f'answer of {service}')

    def _send(self, service_type: Any, service: str, request: Any) -> Callable[[], Any]:
        client = self._client(service_type, service)
        self._until_known_to(service.rpartition('/')[0])
        future = client.call_async(request)
        return lambda: self.until(
            lambda: future.result() if future.done() else None, f'answer of {service}'
        )

    def _until_known_to(self, node: str) -> None:
        """Wait until a node can answer the clients that were made so far.

        It hears of our endpoints in the order in which they were made, so one that can answer
        the last of them can answer all. Without that it could drop a reply.
        """
        last = self._node.create_client(GetParameters, f'{node}/get_parameters')
        futures: list[Any] = []

        def answered() -> bool:
            if last.service_is_ready():
                futures.append(last.call_async(GetParameters.Request()))
            return any(future.done() for future in futures)

        self.until(answered, f'an answer of {node}')
        self._spinning.change(lambda: self._node.destroy_client(last))

    def _client(self, service_type: Any, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._node.create_client(service_type, service)
        client = self._clients[service]
        self.until(client.service_is_ready, f'service {service}')
        return client

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._diagnostics[status.name] = status
