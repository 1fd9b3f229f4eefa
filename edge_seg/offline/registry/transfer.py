"""Pushing a model into a registry, and pulling one from it into a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
import tempfile

from edge_seg.errors import IntegrityError
from edge_seg.models.labels import check_label
from edge_seg.models.package import ModelPackage
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

OnStep = Callable[[str, int, int], None]
"""Told the step in words, bytes done and in all (0 = not known), in the calling thread."""


def tell_nobody(step: str, done: int, total: int) -> None:
    """Say nothing."""


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
    on_step: OnStep = tell_nobody,
) -> PushedModel:
    """Put a model into a registry; a version that is there never changes, its labels may.

    Args:
        package: the model.
        registry: where to.
        labels: that point to it from now on.
        report: an HTML report to take along.
        key: Ed25519 private key to sign with; None = the signature that the model has, if any.
        on_step: told how packing and uploading go.

    Raises:
        StoreError: another model of that name and version is there, or a label is none.
        RegistryUnavailable: the registry does not answer or refuses.
        IntegrityError, ManifestInvalid, SettingsInvalid: as ``package_model``.
    """
    for label in labels:
        check_label(label)
    with tempfile.TemporaryDirectory(prefix='edge_seg_push_') as folder:
        archive = package_model(
            package,
            Path(folder, default_name(package)),
            report=report,
            key=key,
            progress=partial(on_step, 'packing'),
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
        on_step('uploading', 0, 0)
        registry.add(version, archive.path, progress=partial(on_step, 'uploading'))
    return PushedModel(version, True)


def pull(
    registry: Registry,
    request: str,
    store: ModelStore,
    *,
    with_labels: bool = False,
    policy: SignaturePolicy | None = None,
    limits: Limits | None = None,
    on_step: OnStep = tell_nobody,
) -> PulledModel:
    """Copy a model from a registry into a store, whole or not at all.

    Args:
        registry: where from.
        request: 'name', 'name@version', 'name@latest' or 'name@label', as in a store.
        store: where to.
        with_labels: set the labels in the store that the registry has.
        policy: what is asked of signatures; None = only that one that is there fits.
        limits: how large it may be.
        on_step: told how downloading, checking and installing go.

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
        on_step('downloading', 0, 0)
        archive = registry.fetch(version, Path(folder), progress=partial(on_step, 'downloading'))
        _check(archive, version)
        installed = install(
            archive,
            store,
            expected=version.identity,
            policy=policy,
            limits=limits,
            progress=partial(on_step, 'installing'),
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
