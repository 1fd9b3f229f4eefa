"""The long benchmark brings back what it measured, when a part of it could not be measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_seg.cli.bench import publish_kills
from edge_seg.cli.bench import reload as bench_reload
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, Target
from edge_seg.cli.bench.store import good_store
from edge_seg.models.publication import publish, submission_from
import pytest

pytest.importorskip('onnx', reason='onnx makes the broken models')

PARTS = (
    'measure_swaps',
    'measure_endurance',
    'measure_kills',
    'measure_kills_in_loads',
    'measure_publish_kills',
    'measure_cold_start',
)


def measuring(name: str) -> Callable[..., Part]:
    def measure(*_what: Any, **_how: Any) -> Part:
        if name == 'measure_kills':
            raise MeasurementFailed('the node does not come back')
        if name == 'measure_publish_kills':
            raise FileNotFoundError('store')
        return Part(targets={name: Target(1.0, 's', 2.0)})

    return measure


def test_a_part_that_fails_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PARTS:
        monkeypatch.setattr(bench_reload, name, measuring(name))
    said: list[str] = []

    result = bench_reload.run(BenchOptions(tmp_path, said.append, quick=True))

    assert [name for name, target in result.targets.items() if target.met] == [
        'measure_swaps',
        'measure_endurance',
        'measure_kills_in_loads',
        'measure_cold_start',
    ]
    assert not result.targets['kill_9_of_node_and_manager_measured'].met
    assert not result.targets['kill_9_in_publish_measured'].met
    assert 'the node does not come back' in ' '.join(result.notes)
    assert any('kill -9 of node and manager: NOT measured' in text for text in said)


def test_a_run_in_which_no_publisher_was_killed_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish_in_peace(draft: Path, root: Path, _kill_after_s: float | None) -> float:
        publish(root, submission_from(draft))
        return 1.0

    monkeypatch.setattr(publish_kills, 'WEIGHTS_BYTES', 1000)
    monkeypatch.setattr(publish_kills, '_publish', publish_in_peace)
    good = good_store(tmp_path / 'good').root

    part = publish_kills.measure_publish_kills(
        good, BenchOptions(tmp_path, lambda _text: None, quick=True)
    )

    assert part.targets['invalid_after_kill_in_publish'].met
    assert not part.targets['killed_in_publish'].met
