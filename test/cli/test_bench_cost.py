"""What a watched window cost: up to its end, without the wait for its last masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
import pytest

CORES, WATTS = 0.5, 4.0


class Passing:
    """Client and processes of a rig in which only time passes."""

    now_s = 100.0

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> 'Passing':
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rest(self, seconds: float) -> None:
        Passing.now_s += seconds

    def cpu_s(self) -> dict[str, float]:
        return {NODE: CORES * self.now_s}

    def ended(self) -> dict[str, int]:
        return {}


@contextmanager
def energy_used(backend: str) -> Iterator[SimpleNamespace]:
    begin_s, reading = Passing.now_s, SimpleNamespace(joules=None)
    yield reading
    reading.joules = WATTS * (Passing.now_s - begin_s)


@pytest.mark.parametrize('watch', ['watch', 'watch_all', 'watch_answers'])
def test_a_window_costs_what_was_used_up_to_its_end(
    watch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('BenchClient', 'BenchProcesses'):
        monkeypatch.setattr(f'edge_seg.cli.bench.rig.{name}', Passing)
    monkeypatch.setattr('edge_seg.cli.bench.rig.energy_used', energy_used)

    with Rig(tmp_path, RigPlan(tmp_path, 'demo', 'none')) as rig:
        getattr(rig, watch)(2.0)

    assert rig.cost.cpu_s == pytest.approx({NODE: CORES * 2.0})
    assert rig.cost.joules == pytest.approx(WATTS * 2.0)
