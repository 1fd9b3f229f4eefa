"""Lets the loader take the processor right after a frame, when the next one is not due yet.

A lower priority of the loader's thread would be simpler. But OpenVINO makes threads while it
imports a model: they would inherit the priority for as long as the model lives, and nobody may
raise it again.
"""

from collections.abc import Callable
import threading
import time

FRESH_S = 0.25
"""A frame that was finished longer ago says nothing about when the next one comes."""


class IdleMoments:
    """Where the frame thread says that it has finished a frame, and others wait for that.

    Args:
        patience_s: how long the next frame is waited for.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, patience_s: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._changed = threading.Condition()  # guards the following
        self._finished = 0
        self._last_s = -FRESH_S

    def frame_finished(self) -> None:
        """Say that a frame is done."""
        with self._changed:
            self._finished += 1
            self._last_s = self._clock()
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when the next frame is done; at once when no frames come."""
        with self._changed:
            if self._clock() - self._last_s >= FRESH_S:
                return
            before = self._finished
            self._changed.wait_for(lambda: self._finished != before, self._patience_s)
