"""Compiled models on disk: one file per full key, locked against two builders, limited in size."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import hashlib
import logging
import os
from pathlib import Path
import re
import threading

from edge_seg.errors import CompileFailed, StoreError

logger = logging.getLogger(__name__)

BAD_SUFFIX = '.bad'
RECORD_SUFFIX = '.json'
"""Of what a backend keeps beside an entry; it goes with the entry."""
LOCK_POLL_S = 0.1
LOCK_SUFFIX = '.lock'
_UNFINISHED = re.compile(r'\.([0-9a-f]{64})\.')
"""How the name begins of an entry that is being written: a dot and its key."""


def cache_key(parts: tuple[str, ...]) -> str:
    """Digest everything that a compiled model depends on."""
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()


class BuildCache:
    """A folder of compiled models that several processes may share.

    Entries appear by rename, whole or not at all. Compiled models are executable code: the folder
    is made for its owner only, and one that others may write to is refused.

    Args:
        root: the folder; made when it is first needed.
        limit_bytes: entries that were not used for longest go when all are larger than this.
    """

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        self._root = root
        self._limit_bytes = limit_bytes

    def entry(self, key: str, suffix: str) -> Path:
        """Give the path of an entry, which may not exist.

        Raises:
            StoreError: the folder cannot be made, is another user's, or others may write to it.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._root.stat()
        except OSError as error:
            raise StoreError(
                f'cache_dir {self._root} cannot be used: {error.strerror}',
                remedy="set cache_dir to a folder of the node's user, or to 'none'",
            ) from error
        if found.st_uid not in (0, os.geteuid()):
            raise StoreError(
                f'cache_dir {self._root} belongs to user {found.st_uid}',
                expected='a folder of this user: what lies in it is executable code',
                remedy="set cache_dir to a folder of the node's user, or to 'none'",
            )
        if found.st_mode & 0o022:
            mode = found.st_mode & 0o777
            raise StoreError(
                f'cache_dir {self._root} may be written by other users (mode {mode:o})',
                expected='a folder that only its owner can write to',
                remedy=f'chmod 700 {self._root}',
            )
        return self._root / f'{key}{suffix}'

    @contextmanager
    def building(self, entry: Path, *, cancelled: threading.Event) -> Iterator[None]:
        """Hold the lock of an entry, after waiting for whoever holds it.

        The lock dies with its process, so a killed builder blocks nobody.

        Raises:
            CompileFailed: ``cancelled`` was set while waiting.
        """
        with entry.with_suffix(LOCK_SUFFIX).open('w', encoding='ascii') as file:
            while not _try_lock(file.fileno()):
                if cancelled.wait(LOCK_POLL_S):
                    raise CompileFailed('cancelled while another process was building it')
            yield

    def use(self, entry: Path) -> bool:
        """Tell whether the entry exists, and note that it was used now."""
        try:
            os.utime(entry)
        except FileNotFoundError:
            return False
        return True

    def set_aside(self, entry: Path, reason: str) -> None:
        """Take an entry that does not load out of use; one bad file per key is kept to look at."""
        logger.warning('cache entry %s is set aside: %s', entry.name, reason)
        with suppress(FileNotFoundError):  # another node trimmed it meanwhile
            entry.replace(entry.with_name(entry.name + BAD_SUFFIX))

    def trim(self, *, keep: Path | None = None) -> None:
        """Remove what killed builds left, then what was not used for longest until the rest fits.

        Args:
            keep: stays however large it is: the entry that is about to be loaded.
        """
        files = []
        for path in self._root.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another node trims too
            unfinished = _UNFINISHED.match(path.name)
            if unfinished:
                self._remove_if_left(path, unfinished[1])
            elif path.suffix not in (LOCK_SUFFIX, RECORD_SUFFIX) and path.name[0] != '.':
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._limit_bytes:
                return
            if path == keep:
                continue
            path.unlink(missing_ok=True)
            path.with_name(path.name + RECORD_SUFFIX).unlink(missing_ok=True)
            total -= size
        if total > self._limit_bytes:
            logger.warning('%s has %d MB, more than cache_limit_mb', keep, total // 1_000_000)

    def _remove_if_left(self, unfinished: Path, key: str) -> None:
        """Remove what nobody will finish: whoever builds an entry holds its lock."""
        with (self._root / f'{key}{LOCK_SUFFIX}').open('w', encoding='ascii') as lock:
            if _try_lock(lock.fileno()):
                unfinished.unlink(missing_ok=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
