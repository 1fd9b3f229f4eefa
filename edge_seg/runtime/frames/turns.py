"""Whose turn it is, among those that wait: shares by priority, and nobody starves."""

from collections.abc import Callable, Sequence
import math


class FairTurns:
    """Stride scheduling; for one thread.

    Every turn costs 1 / priority, and whoever has spent least is next: with two that always wait,
    priorities 3 and 1 give three turns of four and one of four. Of equals, the one that waits
    longest comes first. Nobody saves up while it does not wait.

    Args:
        priorities: one for each, above 0.
    """

    def __init__(self, priorities: Sequence[float]) -> None:
        self._costs = [1.0 / priority for priority in priorities]
        self._spent = [0.0] * len(self._costs)
        self._time = 0.0

    def take(self, waits_since: Callable[[int], float | None]) -> int | None:
        """Give the turn to one of those who wait; None when nobody does.

        Args:
            waits_since: gives since when one has been waiting, in seconds of any clock; None = it
                does not wait.
        """
        chosen, first = None, (math.inf, math.inf)
        for number, spent in enumerate(self._spent):
            since_s = waits_since(number)
            if since_s is not None and (place := (max(spent, self._time), since_s)) < first:
                chosen, first = number, place
        if chosen is not None:
            self._time = first[0]
            self._spent[chosen] = self._time + self._costs[chosen]
        return chosen
