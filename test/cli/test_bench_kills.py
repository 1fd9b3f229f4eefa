"""The node is killed often enough to meet rare faults, and a camera that suffered shows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge_seg.cli.bench import kills
from edge_seg.cli.bench.log import Traffic
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.result import BenchOptions
from edge_seg.cli.bench.rig import NODE, RigPlan
import numpy as np
import pytest

WELL = Traffic(
    frames=120, unanswered=0, ages_ms=np.ones(120), longest_gap_ms=34.0, rate_hz=30.0, seconds=4.0
)
Measured = tuple[Part, list[str]]
Measure = Callable[..., Measured]


class FakeRig:
    """Processes that come back at once; ``suffers`` from so many kills of the node on."""

    def __init__(self, suffers: tuple[int, Traffic]) -> None:
        self.killed: list[str] = []
        self.suffers_after, self.then = suffers
        self.processes = SimpleNamespace(
            kill=self.killed.append, pid=lambda _: self.killed.count(NODE), ended=dict
        )
        self.client = SimpleNamespace(newest=None, load=self._load, forget=lambda: None)

    def __enter__(self) -> 'FakeRig':
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it is."""

    def watch(self, _seconds: float) -> Traffic:
        return self.then if self.killed.count(NODE) >= self.suffers_after else WELL

    def await_first_mask(self, _since_ns: int) -> float:
        return 1.0

    def _load(self, request: str) -> Any:
        self.client.newest = SimpleNamespace(model=request, stage='serving', last_error='')
        return self.client.newest

    def __getattr__(self, name: str) -> Callable[..., None]:
        assert name.startswith(('start_', 'await_')), name
        return lambda *_: None


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measure kills with fake processes; gives the figures and who was killed."""

    def measure(*, quick: bool = False, suffers: tuple[int, Traffic] = (0, WELL)) -> Measured:
        rig = FakeRig(suffers)
        monkeypatch.setattr(kills, 'Rig', lambda *_: rig)
        plan = RigPlan(store=tmp_path, model='floor@1', cache_dir='none')
        options = BenchOptions(tmp_path, lambda _: None, quick=quick)
        return kills.measure_kills(plan, options), rig.killed

    return measure


@pytest.mark.parametrize(('quick', 'times'), [(False, 20), (True, 2)])
def test_the_node_is_killed_often_enough_to_meet_rare_faults(
    measure: Measure, quick: bool, times: int
) -> None:
    part, killed = measure(quick=quick)

    assert len(part.figures['node_killed']['seconds']) == times
    assert killed.count(NODE) == times + 1  # once more, after the manager
    assert [name for name, target in part.targets.items() if not target.met] == []


@pytest.mark.parametrize(
    ('after', 'missed'),
    [
        (replace(WELL, frames=60, rate_hz=15.0), {'camera', 'mask'}),
        (replace(WELL, frames=0, rate_hz=0.0), {'camera', 'mask'}),
        (replace(WELL, unanswered=40, rate_hz=20.0), {'mask'}),
    ],
    ids=['a slow camera', 'a hanging camera', 'unanswered frames'],
)
def test_a_camera_that_suffered_from_the_kills_shows(
    measure: Measure, after: Traffic, missed: set[str]
) -> None:
    part, _ = measure(suffers=(20, after))

    targets = {name: each for name, each in part.targets.items() if 'after_node_kills' in name}
    assert len(targets) == 2
    assert {name.split('_')[0] for name, each in targets.items() if not each.met} == missed
