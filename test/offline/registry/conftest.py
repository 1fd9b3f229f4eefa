"""A model to push, robots to pull it, and one MLflow server for all tests here."""

from collections.abc import Iterator
import importlib.util
from pathlib import Path

from edge_seg.models.store import ModelStore
from mlflow_server import mlflow_server
import pytest
from registry_parts import desk_store


@pytest.fixture
def desk(tmp_path: Path) -> ModelStore:
    """Give a store with road@1 and road@2, the first of them stable."""
    return desk_store(tmp_path / 'desk')


@pytest.fixture
def robot(tmp_path: Path) -> ModelStore:
    """Give an empty store."""
    return ModelStore(tmp_path / 'robot')


@pytest.fixture(scope='session')
def mlflow_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real MLflow server."""
    if importlib.util.find_spec('mlflow') is None:
        pytest.skip('mlflow is not installed: tools/setup_env --tests')
    with mlflow_server(tmp_path_factory.mktemp('mlflow')) as address:
        yield address
