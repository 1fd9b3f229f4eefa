"""The manifest of a model: what its files are, what goes in, what comes out, where it is from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path
import stat
from typing import Any

from edge_seg.core.values import (
    ArtifactFormat,
    ClassInfo,
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    ResizeMode,
    ResizeRule,
    Size,
)
from edge_seg.errors import ManifestInvalid
from edge_seg.models.guarded_yaml import MAX_BYTES, parse_mapping
from edge_seg.models.manifest_checks import check_document

MANIFEST_NAME = 'manifest.yaml'


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of a model.

    Attributes:
        path: relative to the model's folder, '/' between the parts.
        sha256: digest of its content, 64 lower-case hexadecimal digits.
        size: length in bytes, when the manifest says it: half-copied files then show without
            reading them.
    """

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """The network in one file format; the first of ``files`` is the one a backend opens."""

    format: ArtifactFormat
    files: tuple[ArtifactFile, ...]

    @property
    def main(self) -> ArtifactFile:
        """The file that a backend opens; the others lie beside it."""
        return self.files[0]


@dataclass(frozen=True, slots=True)
class GoldenSample:
    """An image whose mask is known.

    Attributes:
        image: an image file as OpenCV reads it, colour.
        labels: single-channel PNG of class ids, as large as the image; 255 (16-bit: 65535)
            is not compared.
        minimum_agreement: share of compared pixels that must have the expected label.
    """

    image: ArtifactFile
    labels: ArtifactFile
    minimum_agreement: float = 0.95


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from, as name/value pairs: trained_by, data, date, commit, ..."""

    fields: tuple[tuple[str, str], ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a manifest says; made by ``parse_manifest``, which checks it."""

    spec: ModelSpec
    artifacts: tuple[Artifact, ...]
    licence: str
    description: str = ''
    provenance: Provenance = field(default=Provenance())
    golden: GoldenSample | None = None

    @property
    def reference(self) -> str:
        """The name under which a store serves it: ``name@version``."""
        return f'{self.spec.name}@{self.spec.version}'

    def artifact(self, wanted: ArtifactFormat) -> Artifact | None:
        """Return the artifact in a format, or None."""
        return next((a for a in self.artifacts if a.format is wanted), None)

    def files(self) -> Iterator[ArtifactFile]:
        """Yield every file that belongs to the model, the golden sample's included."""
        for artifact in self.artifacts:
            yield from artifact.files
        if self.golden is not None:
            yield self.golden.image
            yield self.golden.labels


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest file.

    Raises:
        ManifestInvalid: it cannot be read, is a link, or is wrong; names file, field, what was
            found and what was expected.
    """
    return parse_manifest(read_manifest_bytes(path), file=str(path))


def read_manifest_bytes(path: Path) -> bytes:
    """Return the bytes of a manifest; links, devices and huge files are refused.

    Raises:
        ManifestInvalid: it is missing, unreadable, not a regular file, or too big.
    """
    expected = f'a file of at most {MAX_BYTES} bytes'
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        found = 'a symbolic link' if path.is_symlink() else (error.strerror or str(error))
        raise ManifestInvalid(
            file=str(path), field='', found=found, expected='a readable file'
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ManifestInvalid(file=str(path), field='', found='no regular file', expected=expected)
    with os.fdopen(descriptor, 'rb') as stream:
        text = stream.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        found = f'{status.st_size} bytes'
        raise ManifestInvalid(file=str(path), field='', found=found, expected=expected)
    return text


def parse_manifest(text: bytes, *, file: str) -> Manifest:
    """Parse and check the text of a manifest.

    Args:
        text: YAML, UTF-8.
        file: name for messages.

    Raises:
        ManifestInvalid: with file, field, what was found and what was expected.
    """
    document = parse_mapping(text, file=file)
    check_document(document, file=file)
    golden = document.get('golden')
    return Manifest(
        spec=ModelSpec(
            name=document['name'],
            version=str(document['version']),
            input=_input(document['input']),
            output=_output(document['output']),
            classes=tuple(_class(entry) for entry in document['classes']),
        ),
        artifacts=tuple(_artifact(entry) for entry in document['artifacts']),
        licence=document['licence'],
        description=document.get('description', ''),
        provenance=_provenance(document.get('provenance', {})),
        golden=None if golden is None else _golden(golden),
    )


def _input(entry: Mapping[str, Any]) -> InputSpec:
    channels = 1 if entry.get('color_order') == 'gray' else 3
    resize = entry.get('resize', {})
    rule = ResizeRule()
    return InputSpec(
        name=entry['name'],
        size=Size(int(entry['width']), int(entry['height'])),
        layout=entry.get('layout', 'NCHW'),
        dtype=entry.get('dtype', 'float32'),
        color_order=entry.get('color_order', 'rgb'),
        mean=tuple(float(value) for value in entry.get('mean', [0.0] * channels)),
        std=tuple(float(value) for value in entry.get('std', [1.0] * channels)),
        scale=float(entry.get('scale', 255)),
        resize=ResizeRule(
            mode=ResizeMode(resize.get('mode', rule.mode.value)),
            pad_value=int(resize.get('pad_value', rule.pad_value)),
            anchor=resize.get('anchor', rule.anchor),
        ),
    )


def _output(entry: Mapping[str, Any]) -> OutputSpec:
    ignore = entry.get('ignore_id')
    return OutputSpec(
        name=entry['name'],
        kind=OutputKind(entry['kind']),
        layout=entry.get('layout', 'NCHW'),
        resample=entry.get('resample', 'labels'),
        threshold=float(entry.get('threshold', 0.5)),
        ignore_id=None if ignore is None else int(ignore),
    )


def _class(entry: Mapping[str, Any]) -> ClassInfo:
    red, green, blue = (int(value) for value in entry['color'])
    return ClassInfo(entry['name'].strip(), (red, green, blue))


def _artifact(entry: Mapping[str, Any]) -> Artifact:
    return Artifact(ArtifactFormat(entry['format']), tuple(_file(f) for f in entry['files']))


def _file(entry: Mapping[str, Any]) -> ArtifactFile:
    size = entry.get('size')
    return ArtifactFile(entry['path'], entry['sha256'], None if size is None else int(size))


def _golden(entry: Mapping[str, Any]) -> GoldenSample:
    agreement = float(entry.get('minimum_agreement', 0.95))
    return GoldenSample(_file(entry['image']), _file(entry['labels']), agreement)


def _provenance(entry: Mapping[str, Any]) -> Provenance:
    metrics = entry.get('metrics', {})
    return Provenance(
        fields=tuple((name, _plain(v)) for name, v in entry.items() if name != 'metrics'),
        metrics=tuple((name, float(value)) for name, value in metrics.items()),
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return str(value)
