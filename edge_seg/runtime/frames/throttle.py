"""Keeps what happens with every frame from filling the log."""

from collections.abc import Callable, Hashable
import time


class Throttle:
    """Admits one message of each kind in a period; for one thread.

    rclpy throttles by the line of code: all that goes through one line would share one period.

    Args:
        period_s: how long a kind is silent after it was heard.
        clock: monotonic seconds.
    """

    def __init__(self, period_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._heard_s: dict[Hashable, float] = {}

    def admits(self, kind: Hashable) -> bool:
        """Say whether a message of this kind may be told now. Kinds must be few: all are kept."""
        now_s = self._clock()
        heard_s = self._heard_s.get(kind)
        if heard_s is not None and now_s - heard_s < self._period_s:
            return False
        self._heard_s[kind] = now_s
        return True
