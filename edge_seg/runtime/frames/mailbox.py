"""The newest-frame mailbox between a camera callback and the worker: it holds one frame."""

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Generic, TypeVar

from edge_seg.errors import DropReason

Frame = TypeVar('Frame')

BURST = 2.0
"""Frames that may follow each other at once under ``max_rate_hz`` after a pause. Below 2, a 30 Hz
camera limited to 20 Hz would give 15: the credit left over between two frames would be cut."""


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Frame]):
    """A frame on its way to the worker.

    Attributes:
        frame: what was put.
        stamp_s: header stamp in seconds of the node's clock; 0 = the source does not stamp.
        received_s: ``time.monotonic()`` of its arrival.
    """

    frame: Frame
    stamp_s: float
    received_s: float

    def age_s(self, *, clock_s: float, monotonic_s: float) -> float:
        """Age in seconds, never negative.

        By the stamp where it can be believed. A stamp of zero, and one that lies in the future
        (unsynchronised machines, simulated time that jumped back or has not begun), say nothing
        about the age: then it is the time since the arrival here.
        """
        by_stamp_s = clock_s - self.stamp_s
        if self.stamp_s > 0.0 and by_stamp_s >= 0.0:
            return by_stamp_s
        return max(0.0, monotonic_s - self.received_s)


class _Pace:
    """A token bucket: gains ``rate_hz`` a second, each frame costs one. Guarded by its owner."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._credit = 1.0
        self._last_s: float | None = None

    def admits(self, now_s: float) -> bool:
        if self.rate_hz <= 0.0:
            return True
        if self._last_s is not None:
            gained = max(0.0, now_s - self._last_s) * self.rate_hz
            self._credit = min(BURST, self._credit + gained)
        self._last_s = now_s
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True


class NewestFrameMailbox(Generic[Frame]):
    """Holds the newest frame of one camera until the worker takes it.

    Any thread may call anything. The rate is judged when a frame arrives, so that what is given
    out is fresh; a frame that replaces a waiting one takes over its place in the rate. The age is
    judged when a frame is taken, after it has waited.

    Args:
        clock: the node's clock in seconds (system or simulated), for the age of a stamp.
        on_drop: told the reason of each frame lost here, outside the lock; must be quick.
        max_age_s: a frame older than this when it is taken is dropped as STALE; 0 = off.
        max_rate_hz: longest-term rate of frames given out; the rest is OVER_RATE; 0 = off.
        changed: the Condition on which the worker waits before it calls ``poll``; the mailboxes
            of all its cameras share it.
        monotonic: ``time.monotonic``, or a stand-in for tests.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_drop: Callable[[DropReason], None],
        max_age_s: float = 0.0,
        max_rate_hz: float = 0.0,
        changed: threading.Condition | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._on_drop = on_drop
        self._monotonic = monotonic
        # Guards everything below.
        self._changed = changed if changed is not None else threading.Condition()
        self._max_age_s = max_age_s
        self._pace = _Pace(max_rate_hz)
        self._waiting: Waiting[Frame] | None = None
        self._since_s = 0.0  # the waiting frame, or the first of those that it replaced, arrived
        self._closed = False

    def set_limits(self, *, max_age_s: float, max_rate_hz: float) -> None:
        """Change both limits; they hold from the next frame on."""
        with self._changed:
            self._max_age_s = max_age_s
            if max_rate_hz != self._pace.rate_hz:
                self._pace = _Pace(max_rate_hz)

    def put(self, frame: Frame, *, stamp_s: float, received_s: float) -> None:
        """Store ``frame`` in place of the one waiting, if any (SUPERSEDED); never waits."""
        lost: DropReason | None = None
        with self._changed:
            if self._closed:
                return
            if self._waiting is not None:
                lost = DropReason.SUPERSEDED
            elif not self._pace.admits(received_s):
                lost = DropReason.OVER_RATE
            if lost is None:
                self._since_s = received_s
            if lost is not DropReason.OVER_RATE:
                self._waiting = Waiting(frame, stamp_s, received_s)
                self._changed.notify_all()
        if lost is not None:
            self._on_drop(lost)

    @property
    def waits(self) -> bool:
        """True when a frame waits to be taken."""
        with self._changed:
            return self._waiting is not None

    @property
    def waits_since_s(self) -> float | None:
        """Since when the camera waits for its turn (``received_s``); None = no frame waits.

        A newer frame takes over the place of the one that it replaces.
        """
        with self._changed:
            return None if self._waiting is None else self._since_s

    def poll(self) -> Waiting[Frame] | None:
        """Take the waiting frame at once; None when there is none or it was stale."""
        with self._changed:
            waiting, self._waiting = self._waiting, None
            max_age_s = self._max_age_s
        if waiting is None:
            return None
        if max_age_s > 0.0:
            age_s = waiting.age_s(clock_s=self._clock(), monotonic_s=self._monotonic())
            if age_s > max_age_s:
                self._on_drop(DropReason.STALE)
                return None
        return waiting

    def close(self) -> None:
        """Wake the worker for good: ``poll`` gives None, ``put`` does nothing."""
        with self._changed:
            self._closed = True
            self._waiting = None
            self._changed.notify_all()
