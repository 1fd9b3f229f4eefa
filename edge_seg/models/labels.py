"""Labels of a model: names such as ``stable`` that an operator moves between versions."""

from collections.abc import Mapping
import json
from pathlib import Path

from edge_seg.errors import ManifestInvalid, StoreError
from edge_seg.models.durable import replace_durably
from edge_seg.models.manifest import read_manifest_bytes
from edge_seg.models.reference import is_label, is_version

LABELS_NAME = 'labels.json'


def check_label(label: str) -> None:
    """Refuse what may not be a label.

    Raises:
        StoreError: it may not.
    """
    if not is_label(label):
        raise StoreError(
            f'{label!r} is no label',
            expected="lower-case letters, digits, '_' and '-', a letter first; not 'latest'",
        )


def read_labels(model_folder: Path) -> Mapping[str, str]:
    """Return version by label; empty when there are none.

    Raises:
        StoreError: the file is there but cannot be read or is wrong.
    """
    path = model_folder / LABELS_NAME
    if not path.is_symlink() and not path.exists():
        return {}
    try:
        labels = json.loads(read_manifest_bytes(path))
    except (ManifestInvalid, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(labels, dict):
        raise _unreadable(path, 'it is no mapping')
    for label, version in labels.items():
        if not is_label(label) or not isinstance(version, str) or not is_version(version):
            raise _unreadable(path, f'{label!r}: {version!r} is no label with its version')
    return labels


def write_labels(model_folder: Path, labels: Mapping[str, str]) -> None:
    """Write the labels of a model in one step.

    Raises:
        OSError: they cannot be written; the old ones stand.
    """
    content = json.dumps(dict(sorted(labels.items())), indent=2) + '\n'
    replace_durably(model_folder / LABELS_NAME, content.encode('utf-8'))


def _unreadable(path: Path, why: str) -> StoreError:
    return StoreError(
        f'{path} cannot be used: {why}',
        expected='{"label": "version", ...}',
        remedy='remove the file and set the labels again with edge_seg model label',
    )
