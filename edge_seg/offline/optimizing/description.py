"""The manifest of an optimised model: that of its original, and what was done."""

from dataclasses import replace
from datetime import datetime, timezone
import hashlib
from pathlib import Path
import shutil

from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, MANIFEST_NAME, Provenance
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import ModelPackage, open_package
from edge_seg.models.reference import is_version, version_key
from edge_seg.offline.optimizing.comparing import Comparison
from edge_seg.offline.optimizing.conversion import Converted
from edge_seg.offline.optimizing.results import CalibrationFacts, Target


def next_version(stores: LayeredStore, original: ModelPackage) -> str:
    """Return the version after the highest folder of a model, in the form of the original's.

    Damaged versions count, too: their folder is taken. 1.2.3 becomes 1.3.0, not 1.2.4: it is the
    same network in other numbers, not a correction of it.
    """
    name = original.manifest.spec.name
    present = (listed.entry for listed in stores.entries())
    versions = {entry.version for entry in present if entry.name == name}
    versions = {original.manifest.spec.version, *filter(is_version, versions)}
    major, minor, *_ = version_key(max(versions, key=version_key))
    if original.manifest.spec.version.isdecimal():
        return str(major + 1)
    return f'{major}.{minor + 1}.0'


def write_package(
    original: ModelPackage,
    converted: Converted,
    folder: Path,
    *,
    version: str,
    provenance: Provenance,
) -> ModelPackage:
    """Describe the files in ``folder`` as the original is described; its golden sample comes too.

    Raises:
        ManifestInvalid: the values contradict each other.
    """
    manifest = replace(
        original.manifest,
        spec=replace(original.manifest.spec, version=version),
        artifacts=tuple(
            Artifact(format_, tuple(_file(folder, name) for name in names))
            for format_, names in converted.files
        ),
        provenance=provenance,
    )
    golden = manifest.golden
    for sample in () if golden is None else (golden.image, golden.labels):
        target = folder / sample.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original.path_of(sample), target)
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(manifest))
    return open_package(folder)


def provenance_of(
    original: ModelPackage,
    converted: Converted,
    *,
    precision: Target,
    calibration: CalibrationFacts,
    comparison: Comparison | None = None,
) -> Provenance:
    """Say what was made from what; the original's metrics make room for those of the new files."""
    fields = dict(original.manifest.provenance.fields)
    fields |= {
        'optimized_from': original.identity,
        'optimized_from_sha256': original.manifest_sha256,
        'optimized_to': precision,
        'optimized_with': converted.made_with,
        'optimized_on': datetime.now(timezone.utc).strftime('%Y-%m-%d'),
    }
    if calibration.data:
        fields['calibration'] = f'{calibration.frames} frames: {calibration.data}'
    if converted.kept:
        fields['kept_in_float'] = ', '.join(converted.kept)
    metrics: dict[str, float] = {}
    if comparison is not None:
        metrics['agreement'] = round(comparison.agreement, 6)
        if comparison.optimized.miou is not None:
            metrics['miou'] = round(comparison.optimized.miou, 4)
        for score in comparison.optimized.classes:
            if score.iou is not None:
                metrics[f'iou_{score.name}'] = round(score.iou, 4)
    return Provenance(tuple(fields.items()), tuple(metrics.items()))


def _file(folder: Path, name: str) -> ArtifactFile:
    content = (folder / name).read_bytes()
    return ArtifactFile(name, hashlib.sha256(content).hexdigest(), len(content))
