"""Puts a manifest together from a model file, its specification and what the operator adds."""

from dataclasses import dataclass
from datetime import datetime, timezone
import os
from pathlib import Path

from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import IntegrityError
from edge_seg.models.durable import open_inside, sha256_of
from edge_seg.models.manifest import Artifact, ArtifactFile, GoldenSample, Manifest, Provenance
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.onnx_weights import weight_files
from edge_seg.models.package import Progress
from edge_seg.models.publication import Submission

DEFAULT_AGREEMENT = 0.95
PLAN_SUFFIXES = ('.plan', '.engine', '.trt')
ENGINE_RECORD_SUFFIX = '.json'
"""Of what our builder writes beside an engine: what it was built from and for."""
FORMATS = {
    '.onnx': ArtifactFormat.ONNX,
    '.xml': ArtifactFormat.OPENVINO_IR,
    '.tflite': ArtifactFormat.TFLITE,
    **dict.fromkeys(PLAN_SUFFIXES, ArtifactFormat.TENSORRT_ENGINE),
}


@dataclass(frozen=True, slots=True)
class Extras:
    """What a manifest says beside the specification.

    Attributes:
        licence: SPDX identifier or text.
        description: free text.
        provenance: names and values.
        files: further files of the model.
        golden: an image and its label PNG, or None.
        agreement: share of pixels needed on the golden image.
    """

    licence: str
    description: str = ''
    provenance: tuple[tuple[str, str], ...] = ()
    files: tuple[Path, ...] = ()
    golden: tuple[Path, Path] | None = None
    agreement: float = DEFAULT_AGREEMENT


def assemble(
    source: Path,
    kind: ArtifactFormat,
    spec: ModelSpec,
    extras: Extras,
    progress: Progress | None = None,
) -> Submission:
    """Read the files of a model and write its manifest.

    Args:
        source: the main file; weights beside it are found by what it says.
        kind: its format.
        spec: what the network takes and gives.
        extras: the rest.
        progress: told bytes done and in all, for each file anew.

    Raises:
        IntegrityError: a file is missing or cannot be read, or weights lie outside the folder.
        ManifestInvalid: values contradict each other.
    """
    sources = _sources(source, kind, extras.files)
    files = tuple(_described(path, name, progress) for name, path in sources)
    golden, golden_sources = _golden(extras)
    manifest = Manifest(
        spec=spec,
        artifacts=(Artifact(kind, files),),
        licence=extras.licence,
        description=extras.description,
        provenance=_provenance(source, extras),
        golden=golden,
    )
    elsewhere = {name: path.resolve() for name, path in sources}
    elsewhere.update(golden_sources)
    return Submission(dump_manifest(manifest), source.parent.absolute(), elsewhere)


def _sources(
    source: Path, kind: ArtifactFormat, extras: tuple[Path, ...]
) -> list[tuple[str, Path]]:
    """List the files of a model under the names that they get, the main one first."""
    sources = [(source.name, source), *_companions(source, kind)]
    known = {path.resolve() for _, path in sources}
    return sources + [(path.name, path) for path in extras if path.resolve() not in known]


def _companions(source: Path, kind: ArtifactFormat) -> list[tuple[str, Path]]:
    if kind is ArtifactFormat.TENSORRT_ENGINE:
        record = source.with_name(source.name + ENGINE_RECORD_SUFFIX)
        return [(record.name, record)] if record.is_file() else []
    if kind is ArtifactFormat.OPENVINO_IR:
        weights = source.with_suffix('.bin')
        if not weights.is_file():
            raise IntegrityError(f'{weights} is missing', expected='the weights beside the .xml')
        return [(weights.name, weights)]
    if kind is ArtifactFormat.ONNX:
        return [(name, source.parent / name) for name in weight_files(source)]
    return []


def _described(path: Path, name: str, progress: Progress | None) -> ArtifactFile:
    real = path.resolve()
    descriptor = open_inside(real.parent, real.name)
    try:
        size, done = os.fstat(descriptor).st_size, 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, size)

        return ArtifactFile(name, sha256_of(descriptor, advance), size)
    finally:
        os.close(descriptor)


def _golden(extras: Extras) -> tuple[GoldenSample | None, dict[str, Path]]:
    if extras.golden is None:
        return None, {}
    image, labels = extras.golden
    names = f'golden/image{image.suffix.lower()}', f'golden/labels{labels.suffix.lower()}'
    sample = GoldenSample(
        _described(image, names[0], None), _described(labels, names[1], None), extras.agreement
    )
    return sample, {names[0]: image.resolve(), names[1]: labels.resolve()}


def _provenance(source: Path, extras: Extras) -> Provenance:
    fields = {'file': source.name, 'added': datetime.now(timezone.utc).strftime('%Y-%m-%d')}
    fields.update(extras.provenance)
    return Provenance(tuple(fields.items()))
