"""An idle worker keeps its model warm when it is asked to, and only then."""

import threading

from edge_seg.backends.base import CompiledModel
from edge_seg.core.values import ClassInfo, InputSpec, ModelSpec, OutputSpec, Size
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.worker import FrameWorker
from fake_backend import CLASSES, FakeModel, Faults, HEIGHT, WIDTH
import pytest

SPEC = ModelSpec(
    'net',
    '1',
    InputSpec('image', Size(WIDTH, HEIGHT)),
    OutputSpec('scores'),
    tuple(ClassInfo(f'c{index}', (index, 0, 0)) for index in range(CLASSES)),
)


class Counting(FakeModel):
    """Tells when it ran."""

    def __init__(self) -> None:
        super().__init__('fake', Faults())
        self.ran = threading.Event()

    def infer(self, tensors):  # type: ignore[no-untyped-def]
        self.ran.set()
        return super().infer(tensors)


def worker_over(model: CompiledModel, keep_warm_s: float) -> FrameWorker[None]:
    slot: ModelSlot[ServingModel] = ModelSlot()
    slot.exchange(ServingModel(SPEC, model, sha256=''))
    return FrameWorker(
        [],  # no camera: no frame ever comes
        threading.Condition(),
        slot,
        observer=None,  # type: ignore[arg-type]
        clock=lambda: 0.0,
        keep_warm_s=keep_warm_s,
    )


@pytest.mark.parametrize(('keep_warm_s', 'runs'), [(0.01, True), (0.0, False)])
def test_an_idle_model_runs_only_when_it_is_to_be_kept_warm(
    keep_warm_s: float, runs: bool
) -> None:
    model = Counting()
    worker = worker_over(model, keep_warm_s)
    worker.start()

    assert model.ran.wait(30.0 if runs else 1.2) is runs
    assert worker.stop(30.0)
