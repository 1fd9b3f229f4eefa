"""Puts the models of the evaluation tests within reach."""

from pathlib import Path
import sys

from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
import pytest

sys.path.append(str(Path(__file__).parents[1] / 'evaluation'))
sys.path.append(str(Path(__file__).parents[2] / 'backends'))

pytest.importorskip('openvino', reason='models are optimised with OpenVINO')


@pytest.fixture
def stores(tmp_path: Path) -> LayeredStore:
    """Give an empty store."""
    return LayeredStore(ModelStore(tmp_path / 'store'))
