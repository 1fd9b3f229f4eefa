"""Writing a manifest: the YAML that ``parse_manifest`` reads back as the same values."""

from typing import Any

from edge_seg.core.values import InputSpec, OutputSpec
from edge_seg.models.guarded_yaml import dump_mapping
from edge_seg.models.manifest import ArtifactFile, Manifest
from edge_seg.models.manifest_checks import check_document

SCHEMA_VERSION = 1


def dump_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as YAML; ``parse_manifest`` gives an equal one back.

    Raises:
        ManifestInvalid: the values contradict each other.
    """
    document = manifest_document(manifest)
    check_document(document, file=f'manifest of {manifest.reference}')
    return dump_mapping(document)


def manifest_document(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as the plain mapping that stands in its file."""
    spec = manifest.spec
    document: dict[str, Any] = {
        'schema': SCHEMA_VERSION,
        'name': spec.name,
        'version': int(spec.version) if spec.version.isdecimal() else spec.version,
        'description': manifest.description,
        'artifacts': [
            {'format': a.format.value, 'files': [_file_document(f) for f in a.files]}
            for a in manifest.artifacts
        ],
        'input': _input_document(spec.input),
        'output': _output_document(spec.output),
        'classes': [{'name': c.name, 'color': list(c.color)} for c in spec.classes],
        'licence': manifest.licence,
        'provenance': dict(manifest.provenance.fields),
    }
    if manifest.provenance.metrics:
        document['provenance']['metrics'] = dict(manifest.provenance.metrics)
    if manifest.golden is not None:
        document['golden'] = {
            'image': _file_document(manifest.golden.image),
            'labels': _file_document(manifest.golden.labels),
            'minimum_agreement': manifest.golden.minimum_agreement,
        }
    return document


def _input_document(spec: InputSpec) -> dict[str, Any]:
    return {
        'name': spec.name,
        'width': spec.size.width,
        'height': spec.size.height,
        'layout': spec.layout,
        'dtype': spec.dtype,
        'color_order': spec.color_order,
        'mean': list(spec.mean),
        'std': list(spec.std),
        'scale': spec.scale,
        'resize': {
            'mode': spec.resize.mode.value,
            'pad_value': spec.resize.pad_value,
            'anchor': spec.resize.anchor,
        },
    }


def _output_document(spec: OutputSpec) -> dict[str, Any]:
    document: dict[str, Any] = {
        'name': spec.name,
        'kind': spec.kind.value,
        'layout': spec.layout,
        'resample': spec.resample,
        'threshold': spec.threshold,
    }
    if spec.ignore_id is not None:
        document['ignore_id'] = spec.ignore_id
    return document


def _file_document(entry: ArtifactFile) -> dict[str, Any]:
    document: dict[str, Any] = {'path': entry.path, 'sha256': entry.sha256}
    if entry.size is not None:
        document['size'] = entry.size
    return document
