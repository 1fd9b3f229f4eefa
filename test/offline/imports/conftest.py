"""Puts tiny networks, the oracle of the core and nodes to test within reach."""

from collections.abc import Callable
from pathlib import Path
import sys
from typing import Any

from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.offline.imports.given import GivenOptions
from edge_seg.offline.imports.importing import import_model, ImportedModel, ImportRequest
import pytest

for _folder in ('backends', 'core', 'ros'):
    sys.path.append(str(Path(__file__).parents[2] / _folder))


@pytest.fixture
def stores(tmp_path: Path) -> LayeredStore:
    return LayeredStore(ModelStore(tmp_path / 'store'))


@pytest.fixture
def importing(stores: LayeredStore) -> Callable[..., ImportedModel]:
    """Give a function that imports a source with these options into the test's store."""

    def run(source: object, *, publish: bool = True, **options: Any) -> ImportedModel:
        request = ImportRequest(str(source), GivenOptions(**options), licence='MIT')
        return import_model(request, stores, publish=publish)

    return run
