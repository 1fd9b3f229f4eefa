"""The model slot: the one object that the frame flow and the model flow share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closeable(Protocol):
    """What a slot can hold: ``close`` frees it and never raises."""

    def close(self) -> None:
        """Free everything."""


Model = TypeVar('Model', bound=Closeable)


class Holding(Generic[Model]):
    """A model that was taken out of the slot and is still loaded; its owner must end it once,
    with ``release`` or by handing it to ``ModelSlot.put_back``.
    """

    @property
    def model(self) -> Model:
        """The model, to look at; run it only under ``lease``."""
        raise NotImplementedError

    @contextmanager
    def lease(self) -> Iterator[Model]:
        """Use the model (shadow frames) without the danger that it is closed meanwhile.

        Raises:
            NoActiveModel: it was released or put back.
        """
        raise NotImplementedError
        yield

    def release(self, *, drain_timeout_s: float = 0.0) -> bool:
        """Give the model up; it is closed as soon as nobody uses it. Twice is fine.

        Waits up to ``drain_timeout_s`` for running leases, so that the close, which can be slow,
        happens in the caller's thread and not in the frame thread. Returns whether it is closed.
        """
        raise NotImplementedError


class ModelSlot(Generic[Model]):
    """Holds the model that serves; frames lease it, the loader exchanges it between frames."""

    @contextmanager
    def lease(self) -> Iterator[Model]:
        """Use the active model for one frame.

        Raises:
            NoActiveModel: the slot is empty.
        """
        raise NotImplementedError
        yield

    def exchange(self, new: Model) -> Holding[Model] | None:
        """Make ``new`` active; returns the previous model, still loaded, or None.

        Typical: ``if (previous := slot.exchange(new)): previous.release(drain_timeout_s=1.0)``,
        at once or, with probation, later.
        """
        raise NotImplementedError

    def put_back(self, holding: Holding[Model]) -> Holding[Model] | None:
        """Make a held model active again (rollback); returns the one that it replaces.

        Raises:
            NoActiveModel: ``holding`` was already released or put back; nothing changes.
        """
        raise NotImplementedError

    def withdraw(self) -> Holding[Model] | None:
        """Empty the slot and return what was in it, still loaded, or None."""
        raise NotImplementedError

    def clear(self, *, drain_timeout_s: float = 0.0) -> bool:
        """``withdraw`` and ``release``; returns whether what was in it is closed by now."""
        raise NotImplementedError

    @property
    def active(self) -> Model | None:
        """The active model, to look at (name, report); run it only under ``lease``."""
        raise NotImplementedError
