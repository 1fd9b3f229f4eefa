"""Whose turn it is, among those that wait: shares by priority, and nobody starves."""

from collections.abc import Callable, Sequence


class FairTurns:
    """Stride scheduling; for one thread.

    Every turn costs 1 / priority, and whoever has spent least is next: with two that always wait,
    priorities 3 and 1 give three turns of four and one of four. Of equals, the one that was served
    longest ago comes first. Nobody saves up while it does not wait.

    Args:
        priorities: one for each, above 0.
    """

    def __init__(self, priorities: Sequence[float]) -> None:
        self._costs = [1.0 / priority for priority in priorities]
        self._spent = [0.0] * len(self._costs)
        self._order = list(range(len(self._costs)))  # served longest ago first
        self._time = 0.0

    def take(self, waits: Callable[[int], bool]) -> int | None:
        """Give the turn to one of those for whom ``waits`` is true; None when nobody waits."""
        waiting = [number for number in self._order if waits(number)]
        if not waiting:
            return None
        chosen = min(waiting, key=lambda number: max(self._spent[number], self._time))
        self._time = max(self._spent[chosen], self._time)
        self._spent[chosen] = self._time + self._costs[chosen]
        self._order.remove(chosen)
        self._order.append(chosen)
        return chosen
