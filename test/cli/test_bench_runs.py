"""The figures that are made of several runs: tails, highest rates, saturation."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge_seg.cli.bench import cameras
from edge_seg.cli.bench.log import Traffic
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, Served
from edge_seg.cli.bench.rig import Cost, NODE, RigPlan
from edge_seg.cli.bench.runs import spread
from edge_seg.cli.bench.throughput import highest_rate, Search, steady_searches, Tried
import numpy as np
import pytest

FRAMES = 150
PACKAGE: Any = None
SERVED = Served(package=PACKAGE, backend='openvino', precision='fp32')


def run_with(late: int) -> Traffic:
    """Make a run of 10 ms with so many masks of 30 ms."""
    ages_ms = np.full(FRAMES, 10.0)
    ages_ms[:late] = 30.0
    return Traffic(FRAMES, 0, ages_ms, 33.0, 30.0, 5.0)


def test_the_tail_is_that_of_all_runs_together() -> None:
    # Of 450 frames four are late, under 1 %; two of them are over 1 % of their own run.
    assert spread([run_with(late) for late in (0, 0, 2, 2, 2)]) == pytest.approx(1.0)


def test_one_disturbed_run_does_not_make_the_tail() -> None:
    assert spread([run_with(late) for late in (0, 0, 10, 0, 0)]) == pytest.approx(1.0)


def test_a_tail_of_every_run_is_the_tail() -> None:
    assert spread([run_with(4)] * 5) == pytest.approx(3.0)


def tried(rate_hz: float, kept_up: bool) -> Tried:
    return Tried(rate_hz, 0.0 if kept_up else 0.3, kept_up, {})


def test_a_search_comes_close_to_the_highest_rate() -> None:
    found = highest_rate(lambda hz: tried(hz, hz < 200), 300.0, steps=6)

    assert max(each.offered_hz for each in found if each.kept_up) == pytest.approx(200, abs=5)


def test_one_stutter_at_each_rate_does_not_lower_the_highest() -> None:
    stuttered: set[float] = set()

    def attempt(rate_hz: float) -> Tried:
        first = rate_hz not in stuttered
        stuttered.add(rate_hz)
        return tried(rate_hz, rate_hz < 200 and not first)

    found = highest_rate(attempt, 300.0, steps=6)

    assert max(each.offered_hz for each in found if each.kept_up) == pytest.approx(200, abs=5)


def search(before_hz: float, after_hz: float) -> Search:
    return Search(tried(90.0, True), (before_hz, after_hz), SERVED, ())


def test_a_search_during_which_the_machine_changed_is_made_anew(tmp_path: Path) -> None:
    said: list[str] = []
    searches = iter([search(100, 80), search(100, 109), search(89, 100), search(100, 100)])

    kept = steady_searches(lambda: next(searches), BenchOptions(tmp_path, said.append, runs=2))

    assert [each.apps_hz for each in kept] == [(100, 109), (100, 100)]
    assert 'rejected: benchmark_app 100 Hz before, 80 after' in said


def test_a_machine_that_is_never_steady_cannot_be_measured(tmp_path: Path) -> None:
    options = BenchOptions(tmp_path, lambda _: None, runs=2)

    with pytest.raises(MeasurementFailed, match='more than a tenth'):
        steady_searches(lambda: search(100, 120), options)


class LimitedRig:
    """A rig whose node makes so many masks a second and no more."""

    masks_hz = 0.0

    def __init__(self, _: Path, plan: RigPlan) -> None:
        self._plan = plan
        self.client = SimpleNamespace(rest=lambda _: None)
        self.cost = Cost({NODE: 1.0})

    def __enter__(self) -> 'LimitedRig':
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start_all(self) -> None:
        pass

    def served(self) -> Served:
        return SERVED

    def watch_all(self, seconds: float) -> list[Traffic]:
        count = len(self._plan.cameras)
        rate_hz = min(self._plan.rate_hz, self.masks_hz / count)
        frames, masks = round(self._plan.rate_hz * seconds), round(rate_hz * seconds)
        ages_ms = np.full(masks, 10.0)
        return [Traffic(frames, frames - masks, ages_ms, 30.0, rate_hz, seconds)] * count


@pytest.mark.parametrize(('masks_hz', 'met'), [(50.0, True), (500.0, True), (5000.0, False)])
def test_many_cameras_are_judged_only_beside_one_that_the_node_cannot_follow(
    masks_hz: float, met: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedRig, 'masks_hz', masks_hz)
    monkeypatch.setattr(cameras, 'Rig', LimitedRig)
    monkeypatch.setattr(cameras, 'good_store', lambda root: SimpleNamespace(root=root))

    result = cameras.run(BenchOptions(tmp_path, lambda _: None, quick=True))

    assert result.targets['8_cameras_total_to_one'].met is met
    if met:  # the same load on every machine: a third more than is answered
        assert result.figures['offered_frames_per_s'] == pytest.approx(masks_hz / 0.75, rel=0.02)
    assert any('say nothing' in note for note in result.notes) is not met
