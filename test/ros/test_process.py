"""A node's process ends when it is told to, with the right exit code, whatever its node does."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 60.0
NODE = """
import sys
import threading

from edge_seg.ros.process import run_node
from rclpy.node import Node


class TestedNode(Node):
    def __init__(self):
        super().__init__('tested')
        self.create_timer(0.01, getattr(self, sys.argv[1]))
        self._said = False

    def work(self):
        if not self._said:
            self._said = True
            print('spinning', flush=True)

    def fail(self):
        self.work()
        raise ValueError('a bug in a callback')

    def hang(self):
        self.work()
        threading.Event().wait()

    def destroy_node(self):
        print('context is', 'open' if self.context.ok() else 'closed', flush=True)
        super().destroy_node()


raise SystemExit(run_node(TestedNode, args=[]))
"""


class NodeProcess:
    """A process that runs a node with one of the timers above."""

    def __init__(self, timer: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, '-c', NODE, timer],
            cwd=ROOT,
            env={**os.environ, 'PYTHONUNBUFFERED': '1'},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._watchdog = threading.Timer(PATIENCE_S, self._process.kill)
        self._watchdog.start()
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self._heard: list[str] = []
        for line in self._lines:
            self._heard.append(line)
            if line == 'spinning\n':
                break

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self._process.send_signal(number)

    def wait_until_it_stops(self) -> None:
        """Wait until it has taken notice of the first signal: it ignores further SIGINTs."""
        status = Path(f'/proc/{self._process.pid}/status')
        pause = threading.Event()
        while True:
            ignored = next(
                int(line.split()[1], 16)
                for line in status.read_text('utf-8').splitlines()
                if line.startswith('SigIgn')
            )
            if ignored & 1 << (signal.SIGINT - 1):
                return
            assert self._watchdog.is_alive()
            pause.wait(0.01)

    def end(self) -> tuple[int, str]:
        """Wait for its end; give exit code and all that it printed."""
        text = ''.join([*self._heard, *self._lines])
        code = self._process.wait()
        self._watchdog.cancel()
        return code, text


@pytest.mark.parametrize(
    'numbers',
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        (signal.SIGINT, signal.SIGINT),  # Ctrl-C under ros2 launch: from the terminal and from it
    ],
)
def test_a_signal_ends_the_process_in_order(numbers: tuple[int, ...]) -> None:
    process = NodeProcess('work')
    process.send(*numbers)
    code, text = process.end()
    assert code == 0, text
    assert 'context is open' in text  # what the node still does in its end may publish
    assert 'Traceback' not in text


def test_a_bug_in_a_callback_ends_the_process_with_its_traceback() -> None:
    code, text = NodeProcess('fail').end()
    assert code == 1
    assert 'ValueError: a bug in a callback' in text
    assert 'context is open' in text


def test_a_callback_that_does_not_return_does_not_keep_the_process() -> None:
    process = NodeProcess('hang')
    process.send(signal.SIGINT)
    code, text = process.end()
    assert code == 1
    assert 'did not return' in text


def test_a_second_and_other_signal_ends_a_hanging_process_at_once() -> None:
    process = NodeProcess('hang')
    process.send(signal.SIGINT)
    process.wait_until_it_stops()
    process.send(signal.SIGTERM)
    code, text = process.end()
    assert code == -signal.SIGTERM
    assert 'context is' not in text
