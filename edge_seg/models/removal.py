"""Taking models out of a store: never one that is labelled or in use, unless forced."""

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
import os
from pathlib import Path

from edge_seg.errors import ModelNotFound, StoreError
from edge_seg.models.durable import folder_lock
from edge_seg.models.inventory import entry_of, names_in, StoreEntry, versions_in
from edge_seg.models.labels import LABELS_NAME, read_labels, write_labels
from edge_seg.models.reference import is_version, parse_reference
from edge_seg.models.workspace import move_durably, Workspace


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What pruning did.

    Attributes:
        removed: identities that are gone.
        kept: identity and reason of those that were too old but stayed.
        cleared: leftovers of dead publishers that are gone.
    """

    removed: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    cleared: tuple[Path, ...]


def remove(root: Path, reference: str, *, force: bool) -> StoreEntry:
    """Take a version out; see ``ModelStore.remove``."""
    wanted = parse_reference(reference)
    if not is_version(wanted.selector):
        raise StoreError(f'{reference!r} names no single version', expected='name@version')
    folder = root / wanted.name / wanted.selector
    if not os.path.lexists(folder):
        raise ModelNotFound(f'{folder} does not exist', remedy='see edge_seg model list')
    workspace = Workspace(root)
    with ExitStack() as stack:
        staging = stack.enter_context(workspace.staging('remove'))
        stack.enter_context(workspace.locked())
        entry = entry_of(root, wanted.name, wanted.selector)
        if not force:
            stack.enter_context(_unused(entry))
        _unlabel(entry, force=force)
        move_durably(folder, staging / wanted.selector)
        _remove_if_empty(folder.parent)
    return entry


def prune(root: Path, *, keep: int) -> PruneReport:
    """Remove old versions and leftovers; see ``ModelStore.prune``."""
    if keep < 1:
        raise StoreError(f'keep is {keep}', expected='1 or more')
    removed, kept = [], []
    for name in names_in(root):
        good = [entry for entry in versions_in(root, name) if entry.package]
        for entry in good[:-keep]:
            try:
                remove(root, entry.identity, force=False)
            except ModelNotFound:
                continue  # somebody else was quicker
            except StoreError as refusal:
                kept.append((entry.identity, refusal.met))
            else:
                removed.append(entry.identity)
    return PruneReport(tuple(removed), tuple(kept), Workspace(root).clear())


@contextmanager
def _unused(entry: StoreEntry) -> Iterator[None]:
    if entry.path.is_symlink() or not entry.path.is_dir():
        yield
        return
    with folder_lock(entry.path, 'exclusive', wait=False) as alone:
        if not alone:
            raise StoreError(
                f'{entry.identity} is in use by a running node',
                remedy='activate another version first, or use --force',
            )
        yield


def _unlabel(entry: StoreEntry, *, force: bool) -> None:
    if not entry.labels:
        return
    if not force:
        raise StoreError(
            f'{entry.identity} has the label {", ".join(entry.labels)}',
            remedy='move the label with edge_seg model label, or use --force',
        )
    labels = read_labels(entry.path.parent)
    write_labels(entry.path.parent, {k: v for k, v in labels.items() if v != entry.version})


def _remove_if_empty(model_folder: Path) -> None:
    rest = {path.name for path in model_folder.iterdir()}
    try:
        nothing_left = rest <= {LABELS_NAME} and not read_labels(model_folder)
    except StoreError:
        return
    if nothing_left:
        (model_folder / LABELS_NAME).unlink(missing_ok=True)
        model_folder.rmdir()
