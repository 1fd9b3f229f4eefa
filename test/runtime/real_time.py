"""Waiting for threads and for conditions, with a limit and not with a sleep."""

from collections.abc import Callable
import threading
from typing import TypeVar

PATIENCE_S = 30.0
Value = TypeVar('Value')


def in_thread(call: Callable[[], Value]) -> Callable[[], Value]:
    """Begin a call; gives what waits for its outcome."""
    outcomes: list[Value] = []
    thread = threading.Thread(target=lambda: outcomes.append(call()), daemon=True)
    thread.start()

    def result() -> Value:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        return outcomes[0]

    return result


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError('it did not come to that')
