"""Shared by the tests of the backends: one way to run a model on raw pixels."""

from edge_seg.backends.base import CompiledModel
from edge_seg.core.values import AnyArray
import numpy as np
import pytest
from tiny_models import TinyModel


def run(compiled: CompiledModel, model: TinyModel, pixels: AnyArray) -> AnyArray:
    """Feed pixels the way the model asks for them, and copy its answer."""
    wanted = compiled.inputs[0]
    tensor = pixels if wanted.dtype == 'uint8' else model.normalised(pixels)
    if wanted.layout == 'NCHW':
        tensor = tensor.transpose(0, 3, 1, 2)
    tensor = np.ascontiguousarray(tensor, wanted.dtype)
    assert tensor.shape == wanted.shape
    (answer,) = compiled.infer([tensor])
    (described,) = compiled.outputs
    assert (answer.shape, answer.dtype.name) == (described.shape, described.dtype)
    return answer.copy()


@pytest.fixture(name='run')
def run_fixture() -> object:
    """Give tests the function ``run``."""
    return run
