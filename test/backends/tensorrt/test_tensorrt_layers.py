"""An engine is asked for its layers, and everything that was made for that is freed."""

from collections.abc import Callable
from contextlib import suppress

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.layer_profile import LayerProfiling
from edge_seg.backends.tensorrt.serving import layers as layers_module
from edge_seg.errors import CompileFailed, EdgeSegError
from fake_machine import FakeMachine
from fake_plan import plan_of
import pytest
from tiny_models import TinyModel

MODEL = TinyModel()
TOLD = [
    {
        'Name': 'conv1',
        'LayerType': 'CaskConvolution',
        'TacticName': 'sm80_xmma',
        'Inputs': [{'Name': 'image', 'Format/Datatype': 'Half'}],
    },
    'conv2',
]


def profile(machine: FakeMachine, layers: object = TOLD, **extra: str) -> list[tuple[str, str]]:
    plan = plan_of(MODEL, machine.version)
    plan.layers = layers  # type: ignore[assignment]
    options = CompileOptions(extra=tuple(extra.items()))
    assert isinstance(machine.backend, LayerProfiling)
    found = machine.backend.profile_layers(machine.engine(plan), MODEL.spec, options, runs=1)
    return [(each.name, each.precision) for each in found]


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_layers_are_told_with_their_precision(machine: FakeMachine, layer: str) -> None:
    assert profile(machine, cuda=layer) == [('conv1', 'fp16'), ('conv2', '')]


@pytest.mark.parametrize('told', [[], {}, None])
def test_an_engine_that_tells_nothing_has_no_layers(machine: FakeMachine, told: object) -> None:
    assert profile(machine, told) == []


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_each_call_may_fail(machine: FakeMachine, layer: str) -> None:
    profile(machine, cuda=layer)
    for number, name in enumerate(list(machine.gpu.calls)):
        machine.gpu.calls.clear()
        machine.gpu.fail_at = number
        with suppress(EdgeSegError):
            assert profile(machine, cuda=layer) == []
        machine.gpu.fail_at = -1
        assert machine.settled() == [], (number, name)


def test_an_inspection_that_does_not_end_is_given_up(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()
    monkeypatch.setattr(layers_module, 'TIMEOUT_S', 0.0)
    with pytest.raises(CompileFailed, match='cannot be inspected'):
        profile(machine)
    monkeypatch.setattr(layers_module, 'TIMEOUT_S', 30.0)
    machine.settle()
