"""A store with models whose masks are known exactly, and segmentation nodes for single tests."""

from collections.abc import Iterator
import os
from pathlib import Path

import colour_models
from edge_seg.models.store import ModelStore
import pytest
from segmentation_nodes import segmentation_nodes, Start


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
