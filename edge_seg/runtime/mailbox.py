"""The newest-frame mailbox between a camera callback and the worker: it holds one frame."""

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Generic, TypeVar

from edge_seg.errors import DropReason

Frame = TypeVar('Frame')


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


class NewestFrameMailbox(Generic[Frame]):
    """Holds the newest frame of one camera until the worker takes it.

    Args:
        clock: the node's clock in seconds (system or simulated), for the age of a stamp.
        on_drop: told the reason of each frame lost here, outside the lock; must be quick.
        max_age_s: a frame older than this when it is taken is dropped as STALE; 0 = off.
        max_rate_hz: longest-term rate of frames given out; the rest is OVER_RATE; 0 = off.
        changed: a Condition shared with other mailboxes, for a worker that serves several.
        monotonic: replaced in tests.
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
        raise NotImplementedError

    def set_limits(self, *, max_age_s: float, max_rate_hz: float) -> None:
        """Change both limits; they hold from the next frame on."""
        raise NotImplementedError

    def put(self, frame: Frame, *, stamp_s: float, received_s: float) -> None:
        """Store ``frame`` in place of the one waiting, if any (SUPERSEDED); never waits."""
        raise NotImplementedError

    def poll(self) -> Waiting[Frame] | None:
        """Take the waiting frame at once; None when there is none or it was stale."""
        raise NotImplementedError

    def take(self, timeout_s: float) -> Waiting[Frame] | None:
        """Take the next frame that is not stale; None after ``timeout_s`` or ``close``."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget the waiting frame, without counting it."""
        raise NotImplementedError

    def close(self) -> None:
        """Wake the taker for good: ``take`` and ``poll`` give None, ``put`` does nothing."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        raise NotImplementedError
