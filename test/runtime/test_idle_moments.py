"""The loader takes the processor right after a frame, and waits for none that does not come."""

from pathlib import Path
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import Size
from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
from edge_seg.runtime.loading.idle_moments import FRESH_S, IdleMoments
from fake_backend import FakeBackend, FakeRegistry, write_model
import pytest

PATIENCE_S = 30.0


def test_work_begins_once_a_frame_is_finished() -> None:
    asked = threading.Event()
    order: list[str] = []

    def clock() -> float:
        if threading.current_thread() is waiting:
            asked.set()  # under the lock: what comes next waits until ``wait`` listens
        return 1.0

    moments = IdleMoments(patience_s=PATIENCE_S, clock=clock)

    def work() -> None:
        moments.wait()
        order.append('work')

    waiting = threading.Thread(target=work)
    moments.frame_finished()
    waiting.start()
    assert asked.wait(PATIENCE_S)
    order.append('frame')
    moments.frame_finished()
    waiting.join(PATIENCE_S)
    assert order == ['frame', 'work']


def test_nobody_waits_where_no_frames_come() -> None:
    now_s = [0.0]
    moments = IdleMoments(patience_s=1e6, clock=lambda: now_s[0])
    moments.wait()
    moments.frame_finished()
    now_s[0] = FRESH_S
    moments.wait()


def test_a_camera_that_stops_is_not_waited_for_long() -> None:
    moments = IdleMoments(patience_s=0.01, clock=lambda: 1.0)
    moments.frame_finished()
    moments.wait()


def test_a_candidate_asks_before_whatever_takes_the_processor(tmp_path: Path) -> None:
    write_model(tmp_path, 'net', '1')
    asked: list[str] = []
    factory = CandidateFactory(
        LayeredStore(ModelStore(tmp_path)),
        CandidateOptions('auto', CompileOptions(), warmup_runs=3),
        pause=lambda: asked.append(stages[-1]),
        choose_backend=FakeRegistry([FakeBackend()]),
    )
    stages: list[str] = []

    def note(stage: object) -> None:
        stages.append(str(getattr(stage, 'value', stage)))

    prepared = factory.prepare(factory.resolve('net@1'), on_stage=note)
    factory.bring_up(prepared, camera=Size(32, 24), on_stage=note)

    assert asked == ['load', *['warm'] * 5]  # three runs, the look at the scores, golden sample


def test_a_candidate_that_is_cancelled_runs_no_further(tmp_path: Path) -> None:
    write_model(tmp_path, 'net', '1')
    backend = FakeBackend()
    turns: list[str] = []

    def pause() -> None:
        turns.append('taken')
        if len(turns) == 2:
            factory.cancel()

    factory = CandidateFactory(
        LayeredStore(ModelStore(tmp_path)),
        CandidateOptions('auto', CompileOptions(), warmup_runs=1000),
        pause=pause,
        choose_backend=FakeRegistry([backend]),
    )
    prepared = factory.prepare(factory.resolve('net@1'), on_stage=lambda _stage: None)
    with pytest.raises(ModelRejected, match='cancelled') as refusal:
        factory.bring_up(prepared, camera=None, on_stage=lambda _stage: None)

    assert refusal.value.stage is LoadStage.WARM
    assert len(turns) == 2
    assert backend.made[0].closed == 1
