"""Several stores looked through as one: the operator's own, then what came with the package."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_seg.errors import ModelNotFound, StoreError
from edge_seg.models.package import ModelPackage
from edge_seg.models.reference import is_path, is_version, parse_reference, Reference
from edge_seg.models.store import ModelStore, StoreEntry


class Origin(Enum):
    """Where a model lies."""

    STORE = 'store'
    """In the operator's store."""
    INSTALLED = 'installed'
    """Beside the package; it came with it."""


@dataclass(frozen=True, slots=True)
class LayeredEntry:
    """An entry of one of the stores.

    Attributes:
        entry: what lies there.
        origin: in which store.
        hidden: an earlier store has the same version, so only its path reaches this one.
    """

    entry: StoreEntry
    origin: Origin
    hidden: bool


class LayeredStore:
    """Looks a model up in the first store that has it.

    Args:
        own: the operator's; it is asked first.
        installed: what came with the package, in the order in which they are asked.
        missing: why there is nothing installed, '' when that is as it should be.
    """

    def __init__(self, own: ModelStore, *installed: ModelStore, missing: str = '') -> None:
        self._stores = (own, *installed)
        self._missing = missing

    @property
    def own(self) -> ModelStore:
        """The operator's store."""
        return self._stores[0]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders of the stores, in the order in which they are asked."""
        return tuple(store.root for store in self._stores)

    def entries(self) -> tuple[LayeredEntry, ...]:
        """List everything in the stores, store by store; see ``ModelStore.entries``.

        Raises:
            StoreError: a store exists but cannot be read.
        """
        listed: list[LayeredEntry] = []
        seen: set[str] = set()
        for store in self._stores:
            origin = Origin.STORE if store is self.own else Origin.INSTALLED
            entries = store.entries()
            listed += [LayeredEntry(one, origin, one.identity in seen) for one in entries]
            seen.update(one.identity for one in entries if one.name)
        return tuple(listed)

    def resolve(self, request: str) -> ModelPackage:
        """Find the model that a request names; see ``ModelStore.resolve``.

        A version is taken from the first store that has it; the latest version, or a label, from
        the first store that has the name, so that a broken model is never replaced by another.

        Raises:
            ModelNotFound: no store has it.
            ManifestInvalid, IntegrityError, StoreError: the store that has it cannot give it.
        """
        request = request.strip()
        if is_path(request):
            return self.own.resolve(request)
        reference = parse_reference(request)
        if len(self._stores) == 1 and not self._missing:
            return self.own.resolve(request)
        for store in self._stores:
            entry = store.root / reference.name
            if is_version(reference.selector):
                entry /= reference.selector
            if entry.exists():
                return store.resolve(request)
        raise self._not_found(reference)

    def reference(self, package: ModelPackage) -> str:
        """Give the text that ``resolve`` turns into this package again."""
        own = package.path.parent.parent
        for store in self._stores:
            if store.root == own:
                return package.identity
            if (store.root / package.manifest.spec.name / package.manifest.spec.version).exists():
                break  # its name means another one
        return str(package.path)

    @contextmanager
    def in_use(self, package: ModelPackage) -> Iterator[None]:
        """Keep a model from being removed while the block runs; see ``ModelStore.in_use``."""
        with self.own.in_use(package):
            yield

    def _not_found(self, reference: Reference) -> ModelNotFound:
        name, places = reference.name, ' or '.join(str(root) for root in self.roots)
        entries = [listed.entry for listed in self.entries()]
        here = [entry for entry in entries if entry.name == name]
        if here:
            versions = dict.fromkeys(entry.version for entry in here if entry.package)
            return ModelNotFound(
                f'{name} has no version {reference.selector} in {places}',
                expected=_one_of(versions),
                remedy=self._missing,
            )
        return ModelNotFound(
            f'there is no model {name!r} in {places}',
            expected=_one_of(sorted({entry.name for entry in entries if entry.name})),
            remedy=self._missing,
        )


def _one_of(names: Collection[str]) -> str:
    return f'one of {", ".join(names)}' if names else ''


def open_stores(configured: str, *, own: Path, installed: Callable[[], Path]) -> LayeredStore:
    """Open the stores of a node.

    Args:
        configured: a store's folder; only that one is used. '' = the two below.
        own: the operator's store, into which ``edge_seg model`` publishes; it may not exist.
        installed: finds the models that came with the package, when they are wanted; a
            StoreError from it is told to whoever asks for a model that ``own`` does not have.
    """
    if configured:
        return LayeredStore(ModelStore(Path(configured)))
    try:
        folder = installed()
    except StoreError as error:
        return LayeredStore(ModelStore(own), missing=str(error))
    return LayeredStore(ModelStore(own), ModelStore(folder))
