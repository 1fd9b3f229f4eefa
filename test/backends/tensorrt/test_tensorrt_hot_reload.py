"""Every test of the model flow once more, with each model an engine on the fake TensorRT.

What goes wrong with a model is decided by the test, as there; that it loads, computes the right
scores, is closed once and leaves nothing on the GPU is the engine's part.
"""

from collections.abc import Iterator, Sequence
import inspect
from pathlib import Path

from contract import UNDER_TEST
from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import AnyArray
from edge_seg.models.manifest import load_manifest
import fake_backend
from fake_backend import FakeModel, Faults, HEIGHT, WIDTH, write_model
from fake_machine import add_record, FakeMachine
from fake_plan import FakePlan
import numpy as np
import pytest
import test_model_flow

# The oldest and the newest that is supported; any other when the tests run on that alone.
VERSIONS = [each for each in ('10.3.0', '11.4.0') if each in UNDER_TEST] or UNDER_TEST[:1]
ON_MODELS = {
    name: test
    for name, test in vars(test_model_flow).items()
    if name.startswith('test_') and 'flow' in inspect.signature(test).parameters
}
globals().update(ON_MODELS)
flow = test_model_flow.flow


def scoring_plan(version: str) -> FakePlan:
    """Make a network whose score of class c is channel c of the image, as FakeModel has it."""
    image, scores = [1, HEIGHT, WIDTH, 3], [1, 3, HEIGHT, WIDTH]
    tensors = [
        {
            'name': 'image', 'mode': 'INPUT', 'shape': image, 'dtype': 'UINT8',
            'profiles': [[image] * 3],
        },
        {'name': 'scores', 'mode': 'OUTPUT', 'shape': scores, 'dtype': 'FLOAT'},
    ]  # fmt: skip
    one_hot = np.eye(3).tolist()
    return FakePlan(
        version, tensors, one_hot, [0.0] * 3, [0.0] * 3, [1.0] * 3, 1.0, input_layout='NHWC'
    )


@pytest.fixture(params=VERSIONS, autouse=True)
def machine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeMachine]:
    """Make each model an engine; set up before ``flow``, and so checked after its end."""
    machine = FakeMachine(request.param, monkeypatch, tmp_path)
    elsewhere = write_model(tmp_path / 'engine', 'net', '1')
    spec = load_manifest(elsewhere / 'manifest.yaml').spec
    plan = scoring_plan(machine.version).save(elsewhere / 'net.plan')
    add_record(plan, machine.version)

    class EngineModel(FakeModel):
        def __init__(self, backend: str, faults: Faults) -> None:
            super().__init__(backend, faults)
            self._engine = machine.backend.compile_model(plan, spec, CompileOptions())
            assert self._engine.inputs == self.inputs
            assert self._engine.outputs == self.outputs

        def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
            expected = super().infer(tensors)
            answers = self._engine.infer(tensors)
            if any(vars(self._faults).values()):
                return expected
            np.testing.assert_array_equal(answers[0], expected[0])
            return answers

        def close(self) -> None:
            super().close()
            self._engine.close()

    monkeypatch.setattr(fake_backend, 'FakeModel', EngineModel)
    yield machine
    assert machine.gpu.calls.count('execute_async_v3') == machine.gpu.calls.count('event_sync')
    assert machine.settled() == []


def test_the_whole_model_flow_is_here() -> None:
    assert len(ON_MODELS) >= 30
