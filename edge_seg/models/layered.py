"""Several stores looked through as one: the operator's own, then what came with the package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_seg.models.package import ModelPackage
from edge_seg.models.reference import is_path, is_version, parse_reference
from edge_seg.models.store import ModelStore


class LayeredStore:
    """Looks a model up in the first store that has it.

    Args:
        stores: in the order in which they are asked; at least one.
    """

    def __init__(self, *stores: ModelStore) -> None:
        self._stores = stores

    def resolve(self, request: str) -> ModelPackage:
        """Find the model that a request names; see ``ModelStore.resolve``.

        A version is taken from the first store that has it; the latest version, or a label, from
        the first store that has the name, so that a broken model is never replaced by another.

        Raises:
            ModelNotFound: no store has it.
            ManifestInvalid, IntegrityError, StoreError: the store that has it cannot give it.
        """
        if is_path(request):
            return self._stores[0].resolve(request)
        reference = parse_reference(request)
        for store in self._stores[:-1]:
            entry = store.root / reference.name
            if is_version(reference.selector):
                entry /= reference.selector
            if entry.exists():
                return store.resolve(request)
        return self._stores[-1].resolve(request)

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
        with self._stores[0].in_use(package):
            yield


def open_stores(configured: str, *, own: Path, installed: Path) -> LayeredStore:
    """Open the stores of a node.

    Args:
        configured: a store's folder; only that one is used. '' = the two below.
        own: the operator's store, into which ``edge_seg model`` publishes; it may not exist.
        installed: models that came with the package.
    """
    if configured:
        return LayeredStore(ModelStore(Path(configured)))
    return LayeredStore(ModelStore(own), ModelStore(installed))
