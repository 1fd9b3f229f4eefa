"""Models to publish: a folder with a manifest that is right, and ways to make it wrong."""

from collections.abc import Callable
import hashlib
from pathlib import Path
from typing import Any

from edge_seg.models.store import ModelStore
import pytest
import yaml

WEIGHTS = b'the weights of a network'


def right_document(name: str = 'floor', version: object = 1) -> dict[str, Any]:
    """Give a manifest that is right, as the mapping that its YAML means."""
    return {
        'schema': 1,
        'name': name,
        'version': version,
        'artifacts': [
            {
                'format': 'onnx',
                'files': [
                    {
                        'path': 'floor.onnx',
                        'sha256': hashlib.sha256(WEIGHTS).hexdigest(),
                        'size': len(WEIGHTS),
                    }
                ],
            }
        ],
        'input': {'name': 'image', 'width': 512, 'height': 288},
        'output': {'name': 'scores', 'kind': 'logits'},
        'classes': [
            {'name': 'other', 'color': [0, 0, 0]},
            {'name': 'floor', 'color': [0, 200, 0]},
        ],
        'licence': 'Apache-2.0',
    }


def write_model(folder: Path, document: dict[str, Any], weights: bytes = WEIGHTS) -> Path:
    """Write a model's folder without checking anything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'floor.onnx').write_bytes(weights)
    (folder / 'manifest.yaml').write_text(yaml.safe_dump(document), 'utf-8')
    return folder


@pytest.fixture
def document() -> dict[str, Any]:
    return right_document()


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a right model outside the store and give its folder."""

    def make(name: str = 'floor', version: object = 1, **changes: object) -> Path:
        folder = tmp_path / 'sources' / name / str(version)
        return write_model(folder, {**right_document(name, version), **changes})

    return make


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / 'store')


@pytest.fixture
def publish(store: ModelStore, make_model: Callable[..., Path]) -> Callable[..., None]:
    """Publish right models, named by 'name@version'."""

    def publish_all(*references: str) -> None:
        for reference in references:
            name, _, version = reference.partition('@')
            store.publish(make_model(name, int(version) if version.isdigit() else version))

    return publish_all
