"""Pushing a model into a registry, and pulling one from it into a store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
import tempfile

from edge_seg.errors import IntegrityError
from edge_seg.models.labels import check_label
from edge_seg.models.package import ModelPackage, Progress
from edge_seg.models.reference import parse_reference
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.archives.installing import install, InstalledModel
from edge_seg.offline.archives.layout import Limits
from edge_seg.offline.archives.packaging import default_name, digest_of, package_model
from edge_seg.offline.registry.interface import (
    chosen,
    described,
    RegisteredVersion,
    Registry,
    taken_by_another,
)


@dataclass(frozen=True, slots=True)
class PushedModel:
    """What pushing came to; ``new`` is False when the same model was in the registry already."""

    version: RegisteredVersion
    new: bool


@dataclass(frozen=True, slots=True)
class PulledModel:
    """What pulling came to.

    Attributes:
        version: as the registry describes it.
        installed: as it is in the store.
        labels: that were set in the store, too.
    """

    version: RegisteredVersion
    installed: InstalledModel
    labels: tuple[str, ...] = ()


def push(
    package: ModelPackage,
    registry: Registry,
    *,
    labels: Sequence[str] = (),
    report: Path | None = None,
    key: Path | None = None,
    progress: Progress | None = None,
) -> PushedModel:
    """Put a model into a registry; a version that is there never changes, its labels may.

    Args:
        package: the model.
        registry: where to.
        labels: that point to it from now on.
        report: an HTML report to take along.
        key: Ed25519 private key to sign with; None = the signature that the model has, if any.
        progress: told bytes packed and in all, in the calling thread.

    Raises:
        StoreError: another model of that name and version is there, or a label is none.
        RegistryUnavailable: the registry does not answer or refuses.
        IntegrityError, ManifestInvalid, SettingsInvalid: as ``package_model``.
    """
    for label in labels:
        check_label(label)
    with tempfile.TemporaryDirectory(prefix='edge_seg_push_') as folder:
        archive = package_model(
            package, Path(folder, default_name(package)), report=report, key=key, progress=progress
        )
        version = described(archive, labels)
        for present in registry.versions(version.name):
            if present.version != version.version:
                continue
            if present.model_sha256 != version.model_sha256:
                raise taken_by_another(version)
            registry.set_labels(present, labels)
            kept = tuple(sorted({*present.labels, *labels}))
            return PushedModel(replace(present, labels=kept), False)
        registry.add(version, archive.path)
    return PushedModel(version, True)


def pull(
    registry: Registry,
    request: str,
    store: ModelStore,
    *,
    with_labels: bool = False,
    policy: SignaturePolicy | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> PulledModel:
    """Copy a model from a registry into a store, whole or not at all.

    Args:
        registry: where from.
        request: 'name', 'name@version', 'name@latest' or 'name@label', as in a store.
        store: where to.
        with_labels: set the labels in the store that the registry has.
        policy: what is asked of signatures; None = only that one that is there fits.
        limits: how large it may be.
        progress: told bytes installed and in all, in the calling thread.

    Raises:
        ModelNotFound: the registry has no such model.
        IntegrityError, ManifestInvalid: what came is not what was pushed, or not as asked.
        RegistryUnavailable: the registry does not answer or refuses.
        StoreError: another model of that name and version is in the store, or the store cannot
            be written to.
    """
    version = chosen(registry.versions(parse_reference(request).name), request)
    limits = limits or Limits()
    if version.size_bytes > limits.total:
        raise IntegrityError(
            f'the archive of {version.identity} has {version.size_bytes} bytes',
            expected=f'at most {limits.total}',
            remedy='allow more with --max-size if you trust it',
        )
    with tempfile.TemporaryDirectory(prefix='edge_seg_pull_') as folder:
        archive = registry.fetch(version, Path(folder))
        _check(archive, version)
        installed = install(
            archive,
            store,
            expected=version.identity,
            policy=policy,
            limits=limits,
            progress=progress,
        )
    labels = version.labels if with_labels else ()
    for label in labels:
        store.set_label(version.name, label, version.version)
    return PulledModel(version, installed, labels)


def _check(archive: Path, version: RegisteredVersion) -> None:
    sha256, size = digest_of(archive)
    if (sha256, size) != (version.archive_sha256, version.size_bytes):
        raise IntegrityError(
            f'the archive of {version.identity} came with {size} bytes and sha256 {sha256}',
            expected=f'{version.size_bytes} bytes and {version.archive_sha256}',
            remedy='it was changed or cut off: pull again, and if that does not help, push again',
        )
