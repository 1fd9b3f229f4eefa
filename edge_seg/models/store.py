"""The model store: versions of models in folders, found by name, version, label or path."""

from collections.abc import Iterator
from contextlib import contextmanager
import logging
import os
from pathlib import Path

from edge_seg.errors import ModelNotFound, StoreError
from edge_seg.models.durable import folder_lock
from edge_seg.models.inventory import (
    entry_of,
    names_in,
    open_entry,
    StoreEntry,
    version_names,
    versions_in,
)
from edge_seg.models.labels import check_label, read_labels, write_labels
from edge_seg.models.manifest import MANIFEST_NAME
from edge_seg.models.package import ModelPackage, open_package, Progress, verify_artifacts
from edge_seg.models.publication import publish, Submission, submission_from
from edge_seg.models.reference import (
    is_path,
    is_version,
    LATEST,
    parse_reference,
    Reference,
    STABLE,
)
from edge_seg.models.removal import prune, PruneReport, remove
from edge_seg.models.workspace import Leftover, reported, Workspace

__all__ = [
    'ModelPackage',
    'ModelStore',
    'PruneReport',
    'StoreEntry',
    'default_store_root',
    'verify_artifacts',
]


logger = logging.getLogger(__name__)


def default_store_root() -> Path:
    """Return $EDGE_SEG_STORE, else edge_seg/models in the user's data folder (XDG)."""
    configured = os.environ.get('EDGE_SEG_STORE', '')
    if configured:
        return Path(configured).expanduser()
    data_home = os.environ.get('XDG_DATA_HOME', '')
    # The XDG specification: a path that is not absolute counts as unset.
    base = Path(data_home) if os.path.isabs(data_home) else Path.home() / '.local' / 'share'
    return base / 'edge_seg' / 'models'


class ModelStore:
    """A store at a folder; several processes may use one at the same time.

    Reading takes no lock and writes nothing, so a store may be read-only. Nothing is kept in
    memory: each call sees the store as it is.

    Args:
        root: the store's folder, which may not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self._workspace = Workspace(self._root)

    @property
    def root(self) -> Path:
        """Absolute path of the store."""
        return self._root

    def entries(self) -> tuple[StoreEntry, ...]:
        """List everything in the store, by name, oldest version first; bad ones with the reason.

        Raises:
            StoreError: the folder exists but cannot be read.
        """
        with reported(self._root):
            return tuple(
                entry for name in names_in(self._root) for entry in versions_in(self._root, name)
            )

    def leftovers(self) -> tuple[Leftover, ...]:
        """List models that are being published now, or whose publisher died."""
        with reported(self._root):
            return self._workspace.leftovers()

    def resolve(self, request: str) -> ModelPackage:
        """Find the model that a request names; reads manifests, not artifacts.

        Args:
            request: 'name' (the version labelled stable, else the highest), 'name@version',
                'name@latest' (the highest), 'name@label', or the path of a model's folder or
                manifest, which has a slash.

        Raises:
            ModelNotFound: nothing answers to it.
            ManifestInvalid, IntegrityError, StoreError: what answers to it cannot be used.
        """
        request = request.strip()
        if is_path(request):
            return _open_path(Path(request).expanduser())
        reference = parse_reference(request)
        with reported(self._root):
            return self._resolve(reference)

    def publish(
        self, source: Path | Submission, *, progress: Progress | None = None
    ) -> ModelPackage:
        """Put a model into the store, whole or not at all; a published version never changes.

        Args:
            source: a folder with manifest.yaml, its files and perhaps manifest.sig, or these
                named one by one.
            progress: told bytes done and bytes in all.

        Raises:
            ManifestInvalid: the manifest is wrong.
            IntegrityError: a file is missing, a link, or not the one that the manifest declares.
            StoreError: the version is there already, or the store cannot be written to.
        """
        submission = submission_from(source) if isinstance(source, Path) else source
        name, version = publish(self._root, submission, progress=progress)
        return open_package(self._root / name / version)

    def set_label(self, name: str, label: str, version: str) -> None:
        """Let ``name@label`` mean a version that is in the store and good.

        Raises:
            ModelNotFound: there is no such version.
            StoreError: the label is not allowed, or the store cannot be written to.
        """
        check_label(label)
        with self._workspace.locked(), reported(self._root):
            package = self._resolve(Reference(name, version))
            labels = dict(read_labels(package.path.parent))
            labels[label] = package.manifest.spec.version
            write_labels(package.path.parent, labels)

    def drop_label(self, name: str, label: str) -> None:
        """Forget a label.

        Raises:
            ModelNotFound: the model has no such label.
            StoreError: the store cannot be written to.
        """
        with self._workspace.locked(), reported(self._root):
            labels = dict(read_labels(self._root / name))
            if label not in labels:
                raise ModelNotFound(
                    f'{name} has no label {label!r}', expected=_one_of(sorted(labels))
                )
            del labels[label]
            write_labels(self._root / name, labels)

    @contextmanager
    def in_use(self, package: ModelPackage) -> Iterator[None]:
        """Keep a model from being removed while the block runs, by any process.

        Raises:
            StoreError: it was removed before, or its folder cannot be locked.
        """
        with folder_lock(package.path, 'shared', wait=True):
            # The lock may have been had on a folder already on its way out.
            if not (package.path / MANIFEST_NAME).exists():
                raise StoreError(f'{package.identity} was removed from the store')
            yield

    def remove(self, reference: str, *, force: bool = False) -> StoreEntry:
        """Take a version out of the store, a bad one too; readers see it whole or not at all.

        Args:
            reference: 'name@version'.
            force: even when it is labelled (the labels go too) or in use.

        Raises:
            ModelNotFound: it is not there.
            StoreError: it is labelled or in use, or the store cannot be written to.
        """
        with reported(self._root):
            return remove(self._root, reference, force=force)

    def prune(self, *, keep: int) -> PruneReport:
        """Remove all but the highest ``keep`` good versions of each model, and leftovers.

        Labelled versions, those in use and bad entries stay.

        Raises:
            StoreError: ``keep`` is below 1, or the store cannot be written to.
        """
        if keep < 1:
            raise StoreError(f'keep is {keep}', expected='1 or more')
        with reported(self._root):
            return prune(self._root, keep=keep)

    def _resolve(self, reference: Reference) -> ModelPackage:
        name, selector = reference.name, reference.selector
        if name not in names_in(self._root):
            raise ModelNotFound(
                f'there is no model {name!r} in {self._root}',
                expected=_one_of(names_in(self._root)),
            )
        if is_version(selector):
            return self._version(name, selector)
        labels = {} if selector == LATEST else read_labels(self._root / name)
        if not selector and STABLE not in labels:
            selector = LATEST
        if selector == LATEST:
            return self._latest(name)
        label = selector or STABLE
        if label not in labels:
            raise ModelNotFound(
                f'{name} has no label {label!r}', expected=_one_of([LATEST, *sorted(labels)])
            )
        return self._version(name, labels[label])

    def _version(self, name: str, version: str) -> ModelPackage:
        if not os.path.lexists(self._root / name / version):
            present = [entry.version for entry in versions_in(self._root, name) if entry.package]
            raise ModelNotFound(
                f'{name} has no version {version} in {self._root}', expected=_one_of(present)
            )
        return open_entry(self._root, name, version)

    def _latest(self, name: str) -> ModelPackage:
        reasons = []
        for version in reversed(version_names(self._root, name)):
            entry = entry_of(self._root, name, version)
            if entry.package is not None:
                return entry.package
            logger.warning('%s passed over: %s', entry.identity, entry.reason)
            reasons.append(entry.reason)
        raise ModelNotFound(
            f'{name} has no version that can be used: {"; ".join(reasons[:3]) or "none is there"}'
        )


def _open_path(path: Path) -> ModelPackage:
    folder = path.parent if path.name == MANIFEST_NAME else path
    if not folder.is_dir():
        raise ModelNotFound(f'{path} is no folder', expected=f'a folder with {MANIFEST_NAME}')
    return open_package(folder.resolve())


def _one_of(names: list[str] | tuple[str, ...]) -> str:
    return f'one of {", ".join(names)}' if names else ''
