"""A machine with TensorRT's builder for the tests of other layers, in any process."""

from pathlib import Path

from edge_seg.backends import registry
from edge_seg.backends.tensorrt import TensorRtBackend
from edge_seg.backends.tensorrt.building.ahead import BuildsEngines
from fake_builder import use_builder
from fake_machine import FakeMachine
import pytest


class Able(TensorRtBackend, BuildsEngines):
    """The backend with its building half."""


def install(version: str, patch: pytest.MonkeyPatch) -> FakeMachine:
    """Make this process one on an Orin with a version of TensorRT.

    Args:
        version: one of the contract's.
        patch: undoes it.
    """
    machine = FakeMachine(version, patch, Path())
    use_builder(machine, patch)
    patch.setitem(registry._BACKENDS, 'tensorrt', 'able_machine:Able')
    return machine
