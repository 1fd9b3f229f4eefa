"""The backends by name, and the choice between them."""

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from typing import cast, NamedTuple

from edge_seg.backends.base import Availability, Backend
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import BackendUnavailable, IncompatibleModel, SettingsInvalid

_BACKENDS = {
    'tensorrt': 'edge_seg.backends.tensorrt:TensorRtBackend',
    'openvino': 'edge_seg.backends.openvino:OpenVinoBackend',
    'opencv': 'edge_seg.backends.opencv:OpenCvBackend',
}
AUTO = 'auto'
BACKEND_NAMES = tuple(_BACKENDS)
"""Names of the backends, in the order in which 'auto' tries them."""


class Rejected(NamedTuple):
    """A backend that 'auto' did not take, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """The backend to use.

    Attributes:
        backend: ready to compile.
        availability: what its probe said.
        artifact_format: the format to hand it: the first in its list that the model has.
        rejected: those that were tried before it, in order, each with the reason.
    """

    backend: Backend
    availability: Availability
    artifact_format: ArtifactFormat
    rejected: tuple[Rejected, ...] = ()


def create(name: str) -> Backend:
    """Make a backend; its SDK is not imported yet.

    Args:
        name: one of ``BACKEND_NAMES``.

    Raises:
        SettingsInvalid: there is no backend of that name.
    """
    target = _BACKENDS.get(name)
    if target is None:
        raise SettingsInvalid(
            f"backend '{name}' does not exist",
            expected=' or '.join((AUTO, *BACKEND_NAMES)),
        )
    module, _, attribute = target.partition(':')
    return cast(Backend, getattr(import_module(module), attribute)())


def choose(
    requested: str, formats: Collection[ArtifactFormat], *, without: Collection[str] = ()
) -> BackendChoice:
    """Pick the backend for a model.

    Args:
        requested: 'auto', or a name; a named backend is taken or refused, never replaced.
        formats: the formats in which the model has an artifact.
        without: backends that 'auto' passes over because they failed with this model.

    Raises:
        SettingsInvalid: there is no backend of that name.
        BackendUnavailable: the named backend, or with 'auto' every one, cannot be used here.
        IncompatibleModel: the named backend takes none of the model's formats.
    """
    if requested != AUTO:
        return _named(create(requested), formats)
    rejected: list[Rejected] = []
    for name in BACKEND_NAMES:
        if name in without:
            rejected.append(Rejected(name, 'it failed with this model'))
            continue
        backend = create(name)
        artifact_format = _best_format(backend, formats)
        if artifact_format is None:
            rejected.append(Rejected(name, _no_artifact(backend, formats)))
            continue
        availability = backend.probe()
        if availability.available:
            return BackendChoice(backend, availability, artifact_format, tuple(rejected))
        rejected.append(Rejected(name, _in_words(availability)))
    raise BackendUnavailable(
        'no backend can run this model here: '
        + '; '.join(f'{name}: {reason}' for name, reason in rejected),
        remedy='install one of the SDKs, or give the model an artifact in another format',
    )


def _named(backend: Backend, formats: Collection[ArtifactFormat]) -> BackendChoice:
    availability = backend.probe()
    if not availability.available:
        raise BackendUnavailable(
            f"backend '{backend.name}' cannot be used: {availability.reason}",
            remedy=availability.remedy,
        )
    artifact_format = _best_format(backend, formats)
    if artifact_format is None:
        raise IncompatibleModel(
            f"backend '{backend.name}': {_no_artifact(backend, formats)}",
            remedy='set backend: auto, or add such an artifact to the model',
        )
    return BackendChoice(backend, availability, artifact_format)


def _best_format(backend: Backend, formats: Collection[ArtifactFormat]) -> ArtifactFormat | None:
    return next((each for each in backend.formats if each in formats), None)


def _no_artifact(backend: Backend, formats: Collection[ArtifactFormat]) -> str:
    has = ', '.join(sorted(each.value for each in formats)) or 'none'
    takes = ' or '.join(each.value for each in backend.formats)
    return f'the model has no artifact that it takes (has {has}; takes {takes})'


def _in_words(availability: Availability) -> str:
    return '; '.join(part for part in (availability.reason, availability.remedy) if part)
