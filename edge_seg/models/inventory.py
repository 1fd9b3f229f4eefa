"""What lies in a store's folders: good versions, and everything else with the reason."""

from dataclasses import dataclass
import os
from pathlib import Path
import stat

from edge_seg.errors import IntegrityError, ModelError, StoreError
from edge_seg.models.labels import LABELS_NAME, read_labels
from edge_seg.models.package import ModelPackage, open_package, SIGNATURE_NAME
from edge_seg.models.reference import is_name, is_version, version_key
from edge_seg.models.workspace import INTERNAL


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """One folder of a store.

    Attributes:
        path: where it lies.
        name: name of its model, '' for what cannot be one.
        version: name of its folder.
        package: the model when it can be used, else None.
        reason: why it cannot be used, '' when it can.
        labels: the labels that point to it, sorted.
        signed: a signature lies beside the manifest; whether it is right is not said.
    """

    path: Path
    name: str
    version: str
    package: ModelPackage | None
    reason: str
    labels: tuple[str, ...] = ()
    signed: bool = False

    @property
    def identity(self) -> str:
        """``name@version``."""
        return f'{self.name}@{self.version}'


def names_in(root: Path) -> tuple[str, ...]:
    """List the names under which something lies in a store, sorted; none without a store.

    Raises:
        OSError: the store cannot be read.
    """
    if not os.path.lexists(root):
        return ()
    return tuple(sorted(n for n in os.listdir(root) if n != INTERNAL and not _ignored(n)))


def versions_in(root: Path, name: str) -> tuple[StoreEntry, ...]:
    """List what lies under one name: foreign things first, then versions, oldest first."""
    folder = root / name
    problem = _folder_problem(folder)
    if not problem and not is_name(name):
        problem = 'its name is not one of a model'
    if problem:
        return (StoreEntry(folder, '', name, None, problem),)
    try:
        children = version_names(root, name)
    except OSError as error:
        return (StoreEntry(folder, '', name, None, f'it cannot be read ({error.strerror})'),)
    return tuple(entry_of(root, name, child) for child in children)


def version_names(root: Path, name: str) -> tuple[str, ...]:
    """List the names of what lies under one name, foreign things first, the newest version last.

    Raises:
        OSError: the folder cannot be read.
    """
    children = [c for c in os.listdir(root / name) if c != LABELS_NAME and not _ignored(c)]
    return tuple(sorted(children, key=_order))


def entry_of(root: Path, name: str, version: str) -> StoreEntry:
    """Describe one folder of a store, whatever is wrong with it."""
    folder = root / name / version
    package, reason = None, ''
    try:
        package = open_entry(root, name, version)
    except ModelError as error:
        reason = str(error)
    try:
        labels = read_labels(folder.parent)
    except StoreError:
        labels = {}  # a request by label says what is wrong; the version is good without
    return StoreEntry(
        path=folder,
        name=name,
        version=version,
        package=package,
        reason=reason,
        labels=tuple(sorted(label for label, meant in labels.items() if meant == version)),
        signed=os.path.lexists(folder / SIGNATURE_NAME),
    )


def open_entry(root: Path, name: str, version: str) -> ModelPackage:
    """Open a version of a model in a store.

    Raises:
        StoreError: the folder is foreign or cannot be read.
        IntegrityError: a link, a missing or cut file, or another model's manifest.
        ManifestInvalid, ModelNotFound: as ``open_package``.
    """
    folder = root / name / version
    for part in (root / name, folder):
        problem = _folder_problem(part)
        if problem:
            raise IntegrityError(f'{part}: {problem}')
    if not is_version(version):
        raise StoreError(f'{folder}: its name is no version')
    package = open_package(folder)
    if package.identity != f'{name}@{version}':
        raise IntegrityError(
            f'{folder} holds the manifest of {package.identity}',
            expected=f'{name}@{version}',
            remedy='publish it with edge_seg model add instead of copying it',
        )
    return package


def _folder_problem(path: Path) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return f'it cannot be read ({error.strerror})'
    if stat.S_ISLNK(mode):
        return 'it is a symbolic link; models are kept inside the store'
    if not stat.S_ISDIR(mode):
        return 'it is no folder'
    return ''


def _ignored(name: str) -> bool:
    """Model cards and hidden files are nobody's business here."""
    return name.startswith('.') or name.endswith('.md')


def _order(child: str) -> tuple[tuple[int, int, int, int], str]:
    return (version_key(child) if is_version(child) else (-1, 0, 0, 0)), child
