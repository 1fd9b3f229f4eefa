"""The store's own folder: its lock, half-published models, and models on their way out."""

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
import errno
import os
from pathlib import Path
import secrets
import shutil

from edge_seg.errors import StoreError
from edge_seg.models.durable import folder_lock, sync_folder

INTERNAL = '.edge_seg'


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder in the workspace; ``abandoned`` when the process that made it is gone."""

    path: Path
    abandoned: bool


class Workspace:
    """``<store>/.edge_seg``: created when something is first written.

    Folders in it are locked by the process that uses them, so that those of dead processes are
    told apart without process ids, which other containers and reboots reuse.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / INTERNAL

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who adds, moves or removes entries of the store; keep it short.

        Raises:
            StoreError: the store cannot be written to.
        """
        with reported(self._root):
            self._folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(self._folder, 'exclusive', wait=True):
            yield

    @contextmanager
    def staging(self, stem: str) -> Iterator[Path]:
        """Give an empty folder, locked, on the store's file system; removed if still there.

        Raises:
            StoreError: the store cannot be written to.
        """
        folder = self._folder / f'{stem}.{secrets.token_hex(4)}'
        with ExitStack() as undo:
            # Both under the store's lock: nobody may take the folder for a leftover in between.
            with self.locked(), reported(self._root):
                folder.mkdir(mode=0o755)
                undo.enter_context(folder_lock(folder, 'exclusive', wait=True))
            undo.callback(_discard, folder)
            yield folder

    def leftovers(self) -> tuple[Leftover, ...]:
        """List the folders in the workspace."""
        if not self._folder.is_dir():
            return ()
        found = []
        for path in sorted(self._folder.iterdir()):
            with ExitStack() as stack:
                abandoned = not path.is_dir() or path.is_symlink()
                if not abandoned:
                    abandoned = stack.enter_context(folder_lock(path, 'shared', wait=False))
                found.append(Leftover(path, abandoned))
        return tuple(found)

    def clear(self) -> tuple[Path, ...]:
        """Remove what dead processes left behind.

        Returns:
            What was removed.
        """
        removed = []
        if not self._folder.is_dir():
            return ()
        with self.locked(), reported(self._root):
            for leftover in self.leftovers():
                if leftover.abandoned:
                    _discard(leftover.path)
                    removed.append(leftover.path)
        return tuple(removed)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Give errors of the operating system the form of ours.

    Raises:
        StoreError: the block raised OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = ''
        if error.errno == errno.ENOSPC:
            remedy = 'free some space, e.g. with edge_seg model prune'
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = 'name a store that you may write to with --store'
        where = error.filename or path
        raise StoreError(f'{where}: {error.strerror or error}', remedy=remedy) from error


def move_durably(source: Path, target: Path) -> None:
    """Rename a folder and flush both ends; ``target`` must not exist.

    Raises:
        OSError: it cannot be renamed.
    """
    os.rename(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
