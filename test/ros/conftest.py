"""A store with models whose masks are known exactly, and segmentation nodes for single tests."""

from collections.abc import Iterator
import os
from pathlib import Path

import colour_models
from edge_seg.models.store import ModelStore
from edge_seg.ros import shared_memory
import pytest
from segmentation_nodes import segmentation_nodes, Start
from segmentation_process import dds_environment


@pytest.fixture(scope='session', autouse=True)
def _dds_profile() -> Iterator[None]:
    """Use the DDS profile for camera images; a process reads it once, at its first node."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dds_environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def fast_dds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after shared memory whatever the middleware of these tests is."""
    monkeypatch.setattr(
        shared_memory, 'get_rmw_implementation_identifier', lambda: 'rmw_fastrtps_cpp'
    )


@pytest.fixture(scope='session')
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """Give a store with the models of colour_models; not to be changed."""
    folder = tmp_path_factory.mktemp('models')
    made = ModelStore(folder / 'store')
    colour_models.publish_colours(made, folder / 'sources', 1)
    return made


@pytest.fixture
def start_node(tmp_path: Path, store: ModelStore, ros_domain_id: int) -> Iterator[Start]:
    """Start nodes in a ROS domain of the test's own."""
    assert os.environ['ROS_DOMAIN_ID'] == str(ros_domain_id)
    with segmentation_nodes(tmp_path, store) as start:
        yield start
