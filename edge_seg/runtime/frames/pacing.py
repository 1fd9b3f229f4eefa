"""Decides when frames go out: on a fixed grid of moments that does not drift."""

import math


class FramePacer:
    """A grid of slots, one period apart; each slot is taken by one frame or skipped.

    A frame goes out within half a period after its slot or waits for a later one, so two frames
    are never closer than half a period, and a late frame never shifts those that follow.
    For one thread.

    Args:
        rate_hz: slots a second.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._start_s = 0.0
        self._next = 0
        self._skipped = 0

    @property
    def skipped(self) -> int:
        """Slots since the beginning for which no frame was ready."""
        return self._skipped

    @property
    def period_s(self) -> float:
        """Seconds from one slot to the next."""
        return 1.0 / self._rate_hz

    @property
    def due_s(self) -> float:
        """The next slot."""
        return self._start_s + self._next / self._rate_hz

    def restart(self, now_s: float) -> None:
        """Lay the grid anew, its first slot now: after a pause nothing is late."""
        self._start_s = now_s
        self._next = 0

    def claim(self, now_s: float) -> float:
        """Give the slot of the frame that is ready now; wait until then, then publish.

        A slot that lies in the past, by less than half a period, means: publish at once.
        """
        self._skip_to(math.ceil(self._position(now_s) - 0.5))
        slot_s = self.due_s
        self._next += 1
        return slot_s

    def overslept(self, slot_s: float, now_s: float) -> bool:
        """Tell whether the one who waited for a claimed slot woke up too late for it."""
        return (now_s - slot_s) * self._rate_hz > 0.5

    def reclaim(self, now_s: float) -> float:
        """Give a later slot in place of the one claimed last, which was overslept."""
        self._skipped += 1
        return self.claim(now_s)

    def accepts(self, now_s: float) -> bool:
        """Tell whether a frame that came by itself now has a slot, and take it.

        For live devices, which have a pace of their own: a frame belongs to the slot nearest to
        it, and is surplus when another had that slot.
        """
        nearest = math.floor(self._position(now_s) + 0.5)
        if nearest < self._next:
            return False
        self._skip_to(nearest)
        self._next += 1
        return True

    def _position(self, now_s: float) -> float:
        return (now_s - self._start_s) * self._rate_hz

    def _skip_to(self, slot: int) -> None:
        if slot > self._next:
            self._skipped += slot - self._next
            self._next = slot
