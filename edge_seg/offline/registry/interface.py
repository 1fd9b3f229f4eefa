"""What a registry of models can do, and how a version in it is described."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Protocol

from edge_seg.errors import IntegrityError, ModelNotFound, StoreError
from edge_seg.models.package import Progress
from edge_seg.models.reference import (
    is_label,
    is_name,
    is_version,
    LATEST,
    parse_reference,
    STABLE,
    version_key,
)
from edge_seg.offline.archives.layout import GZIP_SUFFIXES
from edge_seg.offline.archives.packaging import PackagedModel

_DIGEST = re.compile('[0-9a-f]{64}')


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A version of a model in a registry.

    Attributes:
        name: of the model.
        version: as in its manifest, whatever number the registry gives it.
        model_sha256: digest of the manifest.
        archive_sha256: digest of the archive.
        size_bytes: of the archive.
        signed: a signature is in the archive.
        labels: that point to it, sorted.
    """

    name: str
    version: str
    model_sha256: str
    archive_sha256: str
    size_bytes: int
    signed: bool
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a registry may say but no model has.

        Raises:
            IntegrityError: a name, version or digest is none.
        """
        good = (
            is_name(self.name)
            and is_version(self.version)
            and _DIGEST.fullmatch(self.model_sha256)
            and _DIGEST.fullmatch(self.archive_sha256)
            and self.size_bytes > 0
            and all(is_label(label) for label in self.labels)
        )
        if not good:
            raise IntegrityError(
                f'the registry describes {self.name!r}@{self.version!r} in a way that cannot be',
                expected='what edge_seg model push writes',
                remedy='push it again',
            )

    @property
    def identity(self) -> str:
        """``name@version``."""
        return f'{self.name}@{self.version}'

    @property
    def archive_name(self) -> str:
        """Name of the archive, the same in every registry."""
        return f'{self.name}-{self.version}{GZIP_SUFFIXES[0]}'


class Registry(Protocol):
    """A place that keeps archives of models, by name and version."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the models in it, sorted.

        Raises:
            RegistryUnavailable: it does not answer or refuses.
        """

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """Return the versions of a model, oldest first; none when it is not there.

        Raises:
            RegistryUnavailable: it does not answer or refuses.
            IntegrityError: it describes one in a way that cannot be.
        """

    def add(
        self, version: RegisteredVersion, archive: Path, *, progress: Progress | None = None
    ) -> None:
        """Put a version in that is not there yet, with its labels, whole or not at all.

        Args:
            version: how it is described.
            archive: of it.
            progress: told bytes sent and in all, by a registry that knows.

        Raises:
            RegistryUnavailable: it does not answer or refuses.
            StoreError: somebody else was first, or is putting another model there right now.
        """

    def set_labels(self, version: RegisteredVersion, labels: Sequence[str]) -> None:
        """Let labels point to a version, wherever they pointed before.

        Raises:
            RegistryUnavailable: it does not answer or refuses.
        """

    def fetch(
        self, version: RegisteredVersion, folder: Path, *, progress: Progress | None = None
    ) -> Path:
        """Copy the archive of a version into a folder and return its path; nothing is checked.

        Args:
            version: which.
            folder: where to.
            progress: told bytes received and in all, by a registry that knows.

        Raises:
            RegistryUnavailable: it does not answer or refuses.
            ModelNotFound: the archive is gone.
        """


def described(archive: PackagedModel, labels: Sequence[str] = ()) -> RegisteredVersion:
    """Describe an archive as a registry does."""
    name, _, version = archive.model.partition('@')
    return RegisteredVersion(
        name=name,
        version=version,
        model_sha256=archive.model_sha256,
        archive_sha256=archive.sha256,
        size_bytes=archive.size_bytes,
        signed=archive.signed,
        labels=tuple(sorted(labels)),
    )


def in_order(versions: Sequence[RegisteredVersion]) -> tuple[RegisteredVersion, ...]:
    """Sort versions, oldest first."""
    return tuple(sorted(versions, key=lambda each: version_key(each.version)))


def chosen(versions: Sequence[RegisteredVersion], request: str) -> RegisteredVersion:
    """Return the version that a request means, by the rules of a store.

    Args:
        versions: of the model, oldest first.
        request: 'name', 'name@version', 'name@latest' or 'name@label'.

    Raises:
        ModelNotFound: there is none.
    """
    reference = parse_reference(request)
    if not versions:
        raise ModelNotFound(f'the registry has no model {reference.name!r}')
    by_label = {label: each for each in versions for label in each.labels}
    by_version = {each.version: each for each in versions}
    selector = reference.selector or (STABLE if STABLE in by_label else LATEST)
    if selector == LATEST:
        return versions[-1]
    found = by_version.get(selector) or by_label.get(selector)
    if found is None:
        known = ', '.join([*by_version, *sorted(by_label)])
        raise ModelNotFound(
            f'the registry has no {reference.name}@{selector}', expected=f'one of {known}'
        )
    return found


def taken_by_another(version: RegisteredVersion) -> StoreError:
    """Make the error for a version that is there with other content."""
    return StoreError(
        f'{version.identity} is in the registry already, and is another model',
        expected='a new version: a published one never changes',
        remedy='raise the version',
    )
