"""The model slot: the one object that the frame flow and the model flow share."""

from collections.abc import Iterator
from contextlib import contextmanager
import threading
from typing import Generic, Protocol, TypeVar

from edge_seg.errors import NoActiveModel


class Closeable(Protocol):
    """What a slot can hold: ``close`` frees it and never raises."""

    def close(self) -> None:
        """Free everything."""


Model = TypeVar('Model', bound=Closeable)


class _Entry(Generic[Model]):
    """A model, who uses it, and whether somebody still wants it. Guarded by ``changed``."""

    def __init__(self, model: Model, changed: threading.Condition) -> None:
        self.model = model
        self.leases = 0
        self.closed = False
        self._wanted = True
        self._changed = changed

    @contextmanager
    def use(self) -> Iterator[Model]:
        """End a lease that was counted before, under the lock; the last one out closes."""
        try:
            yield self.model
        finally:
            with self._changed:
                self.leases -= 1
                last = self._is_finished()
                self._changed.notify_all()
            if last:
                self._close()

    def give_up(self, drain_timeout_s: float) -> bool:
        with self._changed:
            if drain_timeout_s > 0.0:
                self._changed.wait_for(lambda: self.leases == 0, drain_timeout_s)
            self._wanted = False
            last = self._is_finished()
        if last:
            self._close()
        with self._changed:
            return self.closed

    def _is_finished(self) -> bool:
        """Give True to the one caller that has to close, outside the lock.

        Nobody leases a model that is no longer wanted, so the last lease and the wish both end
        once: whoever ends the later of the two finds it finished, and nobody else asks.
        """
        return not self._wanted and self.leases == 0

    def _close(self) -> None:
        try:
            self.model.close()
        finally:
            with self._changed:
                self.closed = True
                self._changed.notify_all()


class Holding(Generic[Model]):
    """A model that was taken out of the slot and is still loaded.

    Whoever got it must end it: with ``release``, or by handing it to ``ModelSlot.put_back``.
    """

    def __init__(self, entry: _Entry[Model], changed: threading.Condition) -> None:
        self._entry = entry
        self._changed = changed
        self._ended = False  # guarded by _changed

    @property
    def model(self) -> Model:
        """The model, to look at; run it only under ``lease``."""
        return self._entry.model

    @contextmanager
    def lease(self) -> Iterator[Model]:
        """Use the model (shadow frames) without the danger that it is closed meanwhile.

        Raises:
            NoActiveModel: it was released or put back.
        """
        with self._changed:
            self._check_held()
            self._entry.leases += 1
        with self._entry.use() as model:
            yield model

    def release(self, *, drain_timeout_s: float = 0.0) -> bool:
        """Give the model up; it is closed as soon as nobody uses it. Twice is fine.

        Args:
            drain_timeout_s: how long to wait for running leases first. A close can be slow; after
                the wait it happens in this thread instead of delaying a frame. Leases that last
                longer close the model themselves.

        Returns:
            Whether the model is closed by now; False after ``put_back``.
        """
        with self._changed:
            if self._ended:
                return self._entry.closed
            self._ended = True
        return self._entry.give_up(drain_timeout_s)

    def _surrender(self) -> _Entry[Model]:
        """Pass the entry to its slot; the lock is held."""
        self._check_held()
        self._ended = True
        return self._entry

    def _check_held(self) -> None:
        if self._ended:
            raise NoActiveModel(
                'this model was already released or put back',
                expected='a model that is still loaded',
                remedy='load it again',
            )


class ModelSlot(Generic[Model]):
    """Holds the model that serves; frames lease it, the loader exchanges it between frames.

    Any thread may call anything; the lock is never held while a model runs or closes. Leases do
    not exclude each other: that one thread at a time runs a model is up to the callers. Every
    model is closed exactly once, by whoever is last to let go of it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards everything here and in the entries
        self._entry: _Entry[Model] | None = None

    @contextmanager
    def lease(self) -> Iterator[Model]:
        """Use the active model for one frame.

        Raises:
            NoActiveModel: the slot is empty.
        """
        with self._changed:
            entry = self._entry
            if entry is None:
                raise NoActiveModel('no model is active', remedy='load one')
            entry.leases += 1
        with entry.use() as model:
            yield model

    def exchange(self, new: Model) -> Holding[Model] | None:
        """Make ``new`` active; returns the previous model, still loaded, or None.

        ``new`` belongs to the slot from here on. Typical:
        ``if (previous := slot.exchange(new)): previous.release(drain_timeout_s=1.0)``,
        at once or, with probation, later.

        Raises:
            ValueError: ``new`` is active already.
        """
        with self._changed:
            if self._entry is not None and self._entry.model is new:
                raise ValueError('a model cannot be exchanged for itself')
            return self._swap(_Entry(new, self._changed))

    def put_back(self, holding: Holding[Model]) -> Holding[Model] | None:
        """Make a held model active again (rollback); returns the one that it replaces.

        Raises:
            NoActiveModel: ``holding`` was already released or put back; nothing changes.
        """
        with self._changed:
            return self._swap(holding._surrender())  # noqa: SLF001 - its other half

    def withdraw(self) -> Holding[Model] | None:
        """Empty the slot and return what was in it, still loaded, or None."""
        with self._changed:
            return self._swap(None)

    def clear(self, *, drain_timeout_s: float = 0.0) -> bool:
        """Withdraw and release; returns whether what was in the slot is closed by now."""
        holding = self.withdraw()
        return holding is None or holding.release(drain_timeout_s=drain_timeout_s)

    @property
    def active(self) -> Model | None:
        """The active model, to look at (name, report); run it only under ``lease``."""
        with self._changed:
            return None if self._entry is None else self._entry.model

    def _swap(self, entry: _Entry[Model] | None) -> Holding[Model] | None:
        previous, self._entry = self._entry, entry
        return None if previous is None else Holding(previous, self._changed)
