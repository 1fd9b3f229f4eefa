"""Runs segment.launch.py with `ros2 launch`, as a user does, and watches what it starts."""

from collections.abc import Callable, Mapping, Sequence
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

PATIENCE_S = 40.0
END_TIMEOUT_S = 20.0
SPIN_S = 0.05
# What a shell starts in the background ignores SIGINT, and so would `ros2 launch` after it.
HEED_SIGINT = (
    'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); '
    'os.execv(sys.argv[1], sys.argv[1:])'
)
# A profile that the test environment chose would hide what the launch file chooses.
CHOSEN_TRANSPORT = (
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS',
)


class LaunchProcess:
    """One `ros2 launch edge_seg segment.launch.py`; nothing of it is left after ``end``."""

    def __init__(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        ros2 = shutil.which('ros2')
        if ros2 is None:
            pytest.fail('there is no ros2 command beside the launch packages')
        inherited = {k: v for k, v in os.environ.items() if k not in CHOSEN_TRANSPORT}
        self._log = folder / 'launch.log'
        command = [ros2, 'launch', 'edge_seg', 'segment.launch.py', *arguments]
        with self._log.open('wb') as log:
            self._process = psutil.Popen(
                [sys.executable, '-c', HEED_SIGINT, *command],
                env={**inherited, 'ROS_LOG_DIR': str(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._seen: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        """What it printed so far, the nodes included."""
        return self._log.read_text('utf-8', 'replace')

    @property
    def running(self) -> bool:
        """False after it ended."""
        return self._process.poll() is None

    def node(self, executable: str) -> psutil.Process | None:
        """Find the process of a node."""
        for child in self._children():
            try:
                if any(Path(word).name == executable for word in child.cmdline()[:3]):
                    return child
            except psutil.NoSuchProcess:
                continue
        return None

    def wait(self) -> int:
        """Wait until it has ended by itself and give the exit code."""
        return int(self._process.wait(END_TIMEOUT_S))

    def interrupt(self) -> int:
        """Press Ctrl-C and give the exit code."""
        self._children()
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def left_behind(self) -> list[str]:
        """List the children that outlived it."""
        _, alive = psutil.wait_procs(self._seen, timeout=1.0)
        return [' '.join(child.cmdline()) for child in alive]

    def end(self) -> None:
        """End whatever still runs."""
        if self.running:
            self.interrupt()
        for child in self._seen:
            if child.is_running():
                child.kill()

    def _children(self) -> set[psutil.Process]:
        if self.running:
            self._seen.update(self._process.children(recursive=True))
        return {child for child in self._seen if child.is_running()}


class Watcher:
    """A node that looks at what was launched; every wait spins it and has a deadline."""

    def __init__(self, launched: LaunchProcess) -> None:
        self._launched = launched
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('watcher', context=self._context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition and give its value."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if not self._launched.running:
                break
            self._executor.spin_once(timeout_sec=SPIN_S)
        raise AssertionError(f'in vain: {what}\n{self._launched.output}')

    def message(self, kind: Any, topic: str, qos: Any = 1) -> Any:
        """Give the next message on a topic."""
        received: list[Any] = []
        subscription = self.node.create_subscription(kind, topic, received.append, qos)
        try:
            return self.until(lambda: received and received[0], f'a message on {topic}')
        finally:
            self.node.destroy_subscription(subscription)

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service and give its response."""
        client = self.node.create_client(kind, service)
        try:
            self.until(client.service_is_ready, f'service {service}')
            future = client.call_async(request)
            self.until(future.done, f'answer of {service}')
            return future.result()
        finally:
            self.node.destroy_client(client)

    def close(self) -> None:
        """End the node."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
