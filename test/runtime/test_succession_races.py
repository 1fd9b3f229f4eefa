"""A model is withdrawn for its own fault only, whoever takes over in the same moment."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
import threading
from types import SimpleNamespace

from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import DecodedImage
from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.loading import succession as succession_module
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions, LoadedModel
from edge_seg.runtime.loading.probation import ProbationRules
from edge_seg.runtime.loading.succession import Succession
from fake_backend import FakeBackend, FakeRegistry, write_model
from model_flow import ModelFlow, STRIPES
import pytest

SLOW = Answer(None, DecodedImage(STRIPES, 'rgb'), STRIPES[..., 0], 1.0)
Misbehave = Callable[[Succession, LoadedModel], None]


class LockWithSeams:
    """Does something as soon as it is free, as another thread may that waits for it.

    Threads of their own get the lock there too rarely: once in hundreds of tries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pass_over = 0
        self._action: Callable[[], None] | None = None

    def at_release(self, number: int, action: Callable[[], None]) -> None:
        """Do something after so many further releases."""
        self._pass_over, self._action = number, action

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._pass_over > 0:
            self._pass_over -= 1
            return
        action, self._action = self._action, None
        if action is not None:
            action()


def loading(store: Path, *names: str) -> Callable[[str], LoadedModel]:
    """Publish models; gives a function that loads one of them, each time anew."""
    factory = CandidateFactory(
        LayeredStore(ModelStore(store)),
        CandidateOptions('auto', CompileOptions(), warmup_runs=1),
        choose_backend=FakeRegistry([FakeBackend()]),
    )
    prepared = {}
    for name in names:
        write_model(store, name, '1')
        prepared[name] = factory.prepare(factory.resolve(name), on_stage=lambda _: None)
    return lambda name: factory.bring_up(prepared[name], camera=None, on_stage=lambda _: None)


def fail_on_a_frame(succession: Succession, bad: LoadedModel) -> None:
    succession.frame_failed(bad.model, 'device lost')


def end_probation_badly(succession: Succession, bad: LoadedModel) -> None:
    succession.frame_answered(bad.model, SLOW)


@pytest.mark.parametrize(
    ('probation', 'misbehave', 'seams'),
    [(5, fail_on_a_frame, 1), (1, end_probation_badly, 3), (0, fail_on_a_frame, 1)],
    ids=['an error on probation', 'the verdict', 'an error after probation'],
)
def test_who_takes_over_while_another_model_is_withdrawn_serves_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    probation: int,
    misbehave: Misbehave,
    seams: int,
) -> None:
    lock = LockWithSeams()
    monkeypatch.setattr(succession_module, 'threading', SimpleNamespace(Lock=lambda: lock))
    rules = ProbationRules(
        frames=probation, max_errors_in_a_row=1, latency_budget_s=1e-3, shadow_every=0
    )
    flow = ModelFlow(tmp_path, rules=rules)
    load = loading(tmp_path, 'good', 'bad', 'other')

    def install(name: str) -> LoadedModel:
        loaded = load(name)
        flow.succession.install(loaded, wanted=lambda: True)
        return loaded

    install('good')
    heirs: list[LoadedModel] = []
    for seam in count():
        bad = install('bad')
        lock.at_release(seam, lambda: heirs.append(install('other')))
        misbehave(flow.succession, bad)
        if len(heirs) == seam:  # nobody let go of the lock so often
            lock.at_release(0, lambda: None)
            break
        assert flow.succession.served is heirs[-1], flow.withdrawn
    flow.close()

    assert seam >= seams
    assert {told.partition('@')[0] for told in flow.withdrawn} == {'bad'}
