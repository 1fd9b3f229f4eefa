"""A registry in any place that fsspec reaches: a folder, an object store, a server.

<root>/<name>/<version>/<first digits of sha256>.tar.gz     the archive
<root>/<name>/<version>/version.json                        written last: the version is there
<root>/<name>/<version>/<digits>.<random>.claim             while somebody puts it there
<root>/<name>/labels.json                                   {"stable": "2"}
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
import json
from pathlib import Path
import secrets
from typing import Any

from edge_seg.backends.sdk import sdk_import
from edge_seg.errors import (
    BackendUnavailable,
    IntegrityError,
    ModelNotFound,
    RegistryUnavailable,
    StoreError,
)
from edge_seg.models.package import Progress
from edge_seg.models.reference import is_label, is_name, is_version
from edge_seg.offline.archives.layout import GZIP_SUFFIXES
from edge_seg.offline.registry.failures import registry_calls, without_password
from edge_seg.offline.registry.interface import in_order, RegisteredVersion, taken_by_another

FACTS_NAME = 'version.json'
LABELS_NAME = 'labels.json'
CLAIM_SUFFIX = '.claim'
MAX_FACTS_BYTES = 1 << 20
CREDENTIALS = 'set the credentials as the fsspec package of this protocol wants them'
# An upload shows up there when it is whole, and a move would be a second upload.
_WHOLE_OR_ABSENT = frozenset(
    {'s3', 's3a', 'gs', 'gcs', 'abfs', 'abfss', 'az', 'adl', 'oss', 'oci', 'memory'}
)


class FsspecRegistry:
    """Models below an address.

    Args:
        address: 'protocol://path'.

    Raises:
        RegistryUnavailable: fsspec, or what it needs for this protocol, is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            with sdk_import('fsspec', 'pip install fsspec'):
                import fsspec.core
        except BackendUnavailable as error:
            raise RegistryUnavailable(error.met, remedy=error.remedy) from error
        self._fs: Any
        try:
            with self._calls():
                self._fs, self._root = fsspec.core.url_to_fs(address)
        except RegistryUnavailable as error:
            if isinstance(error.__cause__, ImportError):
                raise RegistryUnavailable(
                    f'{without_password(address)} needs another package: {error.__cause__}'
                ) from error
            raise
        # Listings are kept by some file systems; another process may have pushed since.
        self._fs.use_listings_cache = False

    def names(self) -> tuple[str, ...]:
        """Return the names of the models."""
        return tuple(name for name in self._children(self._root) if is_name(name))

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """Return the versions of a model that are there whole, oldest first."""
        if not is_name(name):
            return ()
        labels = self._labels(name)
        found = []
        for version in self._children(self._path(name)):
            facts = self._json(self._path(name, version, FACTS_NAME))
            if is_version(version) and facts is not None:
                pointing = sorted(label for label, meant in labels.items() if meant == version)
                found.append(_registered(name, version, facts, tuple(pointing)))
        return in_order(found)

    def add(
        self, version: RegisteredVersion, archive: Path, *, progress: Progress | None = None
    ) -> None:
        """Put a version in: the archive under its digest, then what says that it is there."""
        folder = self._path(version.name, version.version)
        facts = {
            'archive': _archive_name(version),
            'archive_sha256': version.archive_sha256,
            'model_sha256': version.model_sha256,
            'signed': version.signed,
            'size': version.size_bytes,
        }
        with self._calls():
            self._fs.makedirs(folder, exist_ok=True)
        self._put(archive, f'{folder}/{facts["archive"]}', progress)
        with self._claimed(version, folder):
            present = self._json(f'{folder}/{FACTS_NAME}')
            if present is None:
                self._write(f'{folder}/{FACTS_NAME}', facts)
            elif present.get('model_sha256') != version.model_sha256:
                raise taken_by_another(version)
        if version.labels:
            self.set_labels(version, version.labels)

    def set_labels(self, version: RegisteredVersion, labels: Sequence[str]) -> None:
        """Let labels point to a version."""
        changed = self._labels(version.name) | dict.fromkeys(labels, version.version)
        self._write(self._path(version.name, LABELS_NAME), dict(sorted(changed.items())))

    def fetch(
        self, version: RegisteredVersion, folder: Path, *, progress: Progress | None = None
    ) -> Path:
        """Copy the archive of a version into a folder."""
        source = self._path(version.name, version.version, _archive_name(version))
        target = folder / version.archive_name
        with self._calls():
            if not self._fs.exists(source):
                raise ModelNotFound(f'{without_password(self._address)} has no {source}')
            self._fs.get_file(source, str(target), callback=_callback(progress))
        return target

    @contextmanager
    def _claimed(self, version: RegisteredVersion, folder: str) -> Iterator[None]:
        """Refuse to go on while somebody puts another model there.

        Everybody claims before looking, and gives the claim back after writing: whoever looks
        later sees the claim of the earlier one, or the version. Creating a file only if it is
        not there would be simpler, but not every file system can.
        """
        model = version.model_sha256[:16]
        own = f'{folder}/{model}.{secrets.token_hex(4)}{CLAIM_SUFFIX}'
        with self._calls():
            self._fs.pipe_file(own, f'{version.identity}\n'.encode())
        try:
            for name in self._children(folder):
                if name.endswith(CLAIM_SUFFIX) and not name.startswith(f'{model}.'):
                    raise StoreError(
                        f'somebody is pushing another model as {version.identity}',
                        expected='one at a time',
                        remedy=f'wait and push again; if nobody is, remove {folder}/{name}',
                    )
            yield
        finally:
            with suppress(RegistryUnavailable), self._calls():
                self._fs.rm(own)

    def _path(self, *parts: str) -> str:
        return '/'.join([self._root.rstrip('/'), *parts])

    def _children(self, path: str) -> list[str]:
        with self._calls():
            self._fs.invalidate_cache()
            if not self._fs.isdir(path):
                return []
            found = self._fs.ls(path, detail=False)
        return sorted({str(each).rstrip('/').rsplit('/', 1)[-1] for each in found})

    def _labels(self, name: str) -> dict[str, str]:
        labels = self._json(self._path(name, LABELS_NAME)) or {}
        return {k: v for k, v in labels.items() if is_label(k) and isinstance(v, str)}

    def _json(self, path: str) -> dict[str, Any] | None:
        with self._calls():
            self._fs.invalidate_cache()
            if not self._fs.exists(path):
                return None
            text = self._fs.cat_file(path, start=0, end=MAX_FACTS_BYTES)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f'{path} of the registry is no JSON ({error})') from error
        if not isinstance(document, dict):
            raise IntegrityError(f'{path} of the registry is no mapping')
        return document

    def _write(self, path: str, document: Mapping[str, Any]) -> None:
        content = json.dumps(document, indent=2).encode('utf-8') + b'\n'
        with self._calls():
            temporary = self._temporary(path)
            self._fs.pipe_file(temporary, content)
            self._move(temporary, path)

    def _put(self, source: Path, path: str, progress: Progress | None) -> None:
        with self._calls():
            temporary = self._temporary(path)
            self._fs.put_file(str(source), temporary, callback=_callback(progress))
            self._move(temporary, path)

    def _temporary(self, path: str) -> str:
        if self._is_whole_or_absent():
            return path
        folder, _, name = path.rpartition('/')
        return f'{folder}/.{name}.{secrets.token_hex(4)}'

    def _move(self, temporary: str, path: str) -> None:
        if temporary != path:
            self._fs.mv(temporary, path)

    def _is_whole_or_absent(self) -> bool:
        protocol = self._fs.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        return bool(names & _WHOLE_OR_ABSENT)

    def _calls(self) -> Any:
        return registry_calls(self._address, CREDENTIALS)


def _callback(progress: Progress | None) -> Any:
    """Give what fsspec tells how far it is, where the file system knows."""
    from fsspec.callbacks import Callback

    if progress is None:
        return Callback()

    def on_bytes(size: int | None, value: int, **_: object) -> None:
        progress(value, size or 0)

    return Callback(hooks={'progress': on_bytes})


def _archive_name(version: RegisteredVersion) -> str:
    return f'{version.archive_sha256[:16]}{GZIP_SUFFIXES[0]}'


def _registered(
    name: str, version: str, facts: Mapping[str, Any], labels: tuple[str, ...]
) -> RegisteredVersion:
    size = facts.get('size')
    return RegisteredVersion(
        name=name,
        version=version,
        model_sha256=str(facts.get('model_sha256')),
        archive_sha256=str(facts.get('archive_sha256')),
        size_bytes=size if isinstance(size, int) else 0,
        signed=facts.get('signed') is True,
        labels=labels,
    )
