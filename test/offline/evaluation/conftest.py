"""A store with the colour model in it."""

from pathlib import Path

from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from measured_models import colours, publish
import pytest

pytest.importorskip('openvino', reason='models are measured with OpenVINO')


@pytest.fixture
def stores(tmp_path: Path) -> LayeredStore:
    """Give a store with colours@1."""
    made = LayeredStore(ModelStore(tmp_path / 'store'))
    publish(made, tmp_path / 'colours', colours())
    return made
