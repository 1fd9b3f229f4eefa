"""Packaging a model: one file, the same bytes whenever and wherever it is made from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import hashlib
import io
import os
from pathlib import Path
import secrets
import tarfile
from typing import BinaryIO, cast

from edge_seg.errors import IntegrityError, ModelNotFound, StoreError
from edge_seg.models.durable import open_inside, sync_folder
from edge_seg.models.manifest import ArtifactFile, MANIFEST_NAME
from edge_seg.models.package import (
    check_digest,
    ModelPackage,
    Progress,
    SIGNATURE_NAME,
    signed_bytes,
    verify_artifacts,
)
from edge_seg.models.publication import submission_from
from edge_seg.models.signature import ed25519_signature, encoded
from edge_seg.models.workspace import reported
from edge_seg.offline.archives.layout import (
    GZIP_SUFFIXES,
    Limits,
    RECORD,
    REPORT_NAME,
    ZSTD_SUFFIXES,
)
from edge_seg.offline.archives.streams import CHUNK, CompressedFile
from edge_seg.offline.archives.tar_members import MAX_SIZE

MODE = 0o644


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model as one file.

    Attributes:
        path: the archive.
        model: ``name@version``.
        model_sha256: digest of the manifest.
        sha256: digest of the archive.
        size_bytes: of the archive.
        signed: a signature is in it.
        report: a report is in it.
    """

    path: Path
    model: str
    model_sha256: str
    sha256: str
    size_bytes: int
    signed: bool
    report: bool


def default_name(package: ModelPackage) -> str:
    """Return the name that an archive has when nobody names it."""
    spec = package.manifest.spec
    return f'{spec.name}-{spec.version}{GZIP_SUFFIXES[0]}'


def package_model(
    package: ModelPackage,
    target: Path,
    *,
    report: Path | None = None,
    key: Path | None = None,
    progress: Progress | None = None,
) -> PackagedModel:
    """Write a model as one archive; one that is there is replaced in one step.

    Args:
        package: the model.
        target: .tar.gz or .tar.zst.
        report: an HTML report to take along; no signature covers it.
        key: Ed25519 private key to sign with; None = the signature that the model has, if any.
        progress: told bytes done and bytes in all, in the calling thread.

    Raises:
        IntegrityError, ManifestInvalid: the model is not the one that was published.
        ModelNotFound: there is no such report.
        SettingsInvalid: the key cannot be used.
        BackendUnavailable: .tar.zst, and no Zstandard here.
        StoreError: the archive cannot be written, or its name says no format.
    """
    zstd = _is_zstd(target)
    verify_artifacts(package)
    small = [(MANIFEST_NAME, signed_bytes(package))]
    signature = submission_from(package.path).signature
    if key is not None:
        signature = encoded(ed25519_signature(small[0][1], key))
    if signature is not None:
        small.append((SIGNATURE_NAME, signature))
    if report is not None:
        small.append((REPORT_NAME, _report(report)))
    files = sorted(package.manifest.files(), key=lambda file: file.path)
    with reported(target), _replaced(target) as stream:
        packed = CompressedFile(stream, zstd=zstd)
        _write_all(packed, package, small, files, progress)
        packed.finish()
    sha256, size = digest_of(target)
    return PackagedModel(
        path=target,
        model=package.identity,
        model_sha256=package.manifest_sha256,
        sha256=sha256,
        size_bytes=size,
        signed=signature is not None,
        report=report is not None,
    )


def digest_of(archive: Path) -> tuple[str, int]:
    """Return sha256 and size of a file."""
    digest, size = hashlib.sha256(), 0
    with archive.open('rb') as stream:
        while data := stream.read(CHUNK):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size


def _write_all(
    packed: CompressedFile,
    package: ModelPackage,
    small: list[tuple[str, bytes]],
    files: list[ArtifactFile],
    progress: Progress | None,
) -> None:
    """Write the manifest first: who reads it then knows what may follow."""
    total = sum(package.path_of(file).stat().st_size for file in files)
    done = 0
    # With the name of a member, the only thing of it that differs: mode, owner and time are 0.
    with tarfile.open(
        fileobj=cast('BinaryIO', packed), mode='w|', format=tarfile.PAX_FORMAT, bufsize=RECORD
    ) as archive:
        for name, content in small:
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
        for file in files:
            with os.fdopen(open_inside(package.path, file.path), 'rb') as source:
                size = os.fstat(source.fileno()).st_size
                if size > MAX_SIZE:
                    raise StoreError(f'{file.path} has {size} bytes', expected='less than 8 GiB')
                hashed = _Hashed(source)
                archive.addfile(_member(file.path, size), cast('BinaryIO', hashed))
            check_digest(package.path_of(file), file, hashed.digest.hexdigest())
            done += size
            if progress is not None:
                progress(done, total)


class _Hashed:
    """A file that is hashed while it is read: what is packed is what was checked."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, count: int) -> bytes:
        data = self._source.read(count)
        self.digest.update(data)
        return data


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, MODE, 0
    return member


def _is_zstd(target: Path) -> bool:
    if target.name.endswith(ZSTD_SUFFIXES):
        return True
    if target.name.endswith(GZIP_SUFFIXES):
        return False
    raise StoreError(
        f'{target.name} says no format',
        expected=f'a name ending in {GZIP_SUFFIXES[0]} or {ZSTD_SUFFIXES[0]}',
    )


def _report(path: Path) -> bytes:
    limit = Limits().report
    try:
        with path.open('rb') as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise ModelNotFound(
            f'{path} cannot be read ({error.strerror})',
            expected='a report',
            remedy='make one with edge_seg model report',
        ) from error
    if len(content) > limit:
        raise IntegrityError(f'{path} is longer than {limit} bytes')
    return content


@contextmanager
def _replaced(target: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the place of another in one step, or leaves it as it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{target.name}.{secrets.token_hex(4)}')
    try:
        with temporary.open('xb') as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
