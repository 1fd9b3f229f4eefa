"""Time that is not only waited for: something else is looked after meanwhile."""

from collections.abc import Callable

from edge_seg.runtime.managing.managed_node import Pacer


class WatchfulPacer:
    """Implements Pacer for work that takes minutes in a thread that has other duties.

    Args:
        pacer: time; cancelled as it is.
        look_after: called from within waits, with ``pacer``; may take its time.
        period_s: pause between two calls, in seconds.
    """

    def __init__(
        self, pacer: Pacer, look_after: Callable[[Pacer], None], *, period_s: float
    ) -> None:
        self._pacer = pacer
        self._look_after = look_after
        self._period_s = period_s
        self._next_at = pacer.now() + period_s

    def now(self) -> float:
        """See Pacer."""
        return self._pacer.now()

    def wait(self, seconds: float) -> None:
        """See Pacer; takes longer when there is something to look after."""
        self._pacer.wait(seconds)
        if self._pacer.now() >= self._next_at:
            self._look_after(self._pacer)
            self._next_at = self._pacer.now() + self._period_s

    def check(self) -> None:
        """See Pacer."""
        self._pacer.check()
