"""Stores with models for the tests of registries."""

import hashlib
from pathlib import Path

from edge_seg.models.store import ModelStore
import yaml


def add_version(store: ModelStore, folder: Path, *, name: str = 'road', version: int = 1) -> None:
    """Publish a model with weights of its own."""
    weights = f'weights of {name} {version} '.encode() * 200
    source = folder / f'{name}-{version}'
    source.mkdir(parents=True)
    (source / 'road.tflite').write_bytes(weights)
    file = {'path': 'road.tflite', 'sha256': hashlib.sha256(weights).hexdigest()}
    document = {
        'schema': 1,
        'name': name,
        'version': version,
        'artifacts': [{'format': 'tflite', 'files': [file]}],
        'input': {'name': 'image', 'width': 64, 'height': 32},
        'output': {'name': 'scores', 'kind': 'logits'},
        'classes': [
            {'name': 'other', 'color': [0, 0, 0]},
            {'name': 'road', 'color': [128, 64, 128]},
        ],
        'licence': 'MIT',
    }
    (source / 'manifest.yaml').write_text(yaml.safe_dump(document), 'utf-8')
    store.publish(source)


def desk_store(folder: Path) -> ModelStore:
    """Give a store with road@1 and road@2, the first of them stable."""
    store = ModelStore(folder / 'store')
    for version in (1, 2):
        add_version(store, folder, version=version)
    store.set_label('road', 'stable', '1')
    return store
