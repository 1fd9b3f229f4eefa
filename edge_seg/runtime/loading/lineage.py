"""What serves and the proven models before it: the one memory of where a rollback leads."""

from collections import deque
from dataclasses import dataclass

from edge_seg.errors import NoActiveModel
from edge_seg.models.package import ModelPackage
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import Holding, ModelSlot
from edge_seg.runtime.loading.candidate import LoadedModel

REMEMBERED = 8
"""Models before the present one; only names, the newest of them is kept loaded."""


@dataclass(frozen=True, slots=True)
class Order:
    """A model to be loaded.

    Attributes:
        request: as it was asked for, e.g. 'floor@latest'.
        package: what that meant then.
        without: backends that failed with it.
        proven: it served before, so that it needs no trial against the model that it replaces.
    """

    request: str
    package: ModelPackage
    without: tuple[str, ...] = ()
    proven: bool = False

    @property
    def sha256(self) -> str:
        """Digest of the manifest, by which models are told apart."""
        return self.package.manifest_sha256


@dataclass(frozen=True, slots=True)
class Kept:
    """The model before the present one, still loaded, ready to come back between two frames."""

    loaded: LoadedModel
    holding: Holding[ServingModel]


class Lineage:
    """Exchanges the models of a slot and remembers them; not thread-safe.

    Only proven models are gone back to: one that is replaced before it proved itself, or while it
    fails, is forgotten. So ``kept``, when there is one, is always the newest of the proven ones.
    """

    def __init__(self, slot: ModelSlot[ServingModel]) -> None:
        self._slot = slot
        self._before: deque[Order] = deque(maxlen=REMEMBERED)  # newest last
        self.served: LoadedModel | None = None
        self.kept: Kept | None = None

    @property
    def previous(self) -> Order | None:
        """The newest proven model before the present one, loaded or not."""
        return self._before[-1] if self._before else None

    def follow(self, heir: LoadedModel, *, proven: bool) -> Holding[ServingModel] | None:
        """Let ``heir`` serve.

        Args:
            heir: belongs to the slot from here on.
            proven: whether the model that it replaces may be gone back to.

        Returns:
            The model that nobody needs any more.
        """
        replaced = self._slot.exchange(heir.model)
        served, self.served = self.served, heir
        if served is None or replaced is None or not proven:
            return replaced
        outdated, self.kept = self.kept, Kept(served, replaced)
        self._before.append(_order_of(served))
        return None if outdated is None else outdated.holding

    def settle(self, *, keep: bool) -> Holding[ServingModel] | None:
        """Note that the present model proved itself; another instance of it is none before it.

        Returns:
            The model that was kept, when it shall not be any longer.
        """
        if self.served is None:
            return None
        served = _order_of(self.served).sha256
        self._before = deque(
            (order for order in self._before if order.sha256 != served), maxlen=REMEMBERED
        )
        if self.kept is None or (keep and _order_of(self.kept.loaded).sha256 != served):
            return None
        surplus, self.kept = self.kept.holding, None
        return surplus

    def go_back(self, *, keep: bool) -> Holding[ServingModel] | None:
        """Let the kept model serve again.

        Args:
            keep: the present one becomes the kept one in turn; else it is forgotten.

        Returns:
            The model that nobody needs any more.

        Raises:
            NoActiveModel: none is kept.
        """
        left, kept = self.served, self.kept
        if left is None or kept is None:
            raise NoActiveModel('no previous model is kept loaded')
        replaced = self._slot.put_back(kept.holding)
        self._before.pop()
        self.served, self.kept = kept.loaded, None
        if not keep or replaced is None:
            return replaced
        self._before.append(_order_of(left))
        self.kept = Kept(left, replaced)
        return None

    def vacate(self, *, proven: bool) -> tuple[Holding[ServingModel], ...]:
        """Empty the slot and keep nothing; ``proven`` as for ``follow``."""
        served, self.served = self.served, None
        kept, self.kept = self.kept, None
        if served is not None and proven:
            self._before.append(_order_of(served))
        holdings = (self._slot.withdraw(), None if kept is None else kept.holding)
        return tuple(each for each in holdings if each is not None)


def _order_of(loaded: LoadedModel) -> Order:
    return Order(loaded.request, loaded.package)
