"""The node without each lever is still a node; measuring it is told for each scene."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge_seg.cli.bench import levers
from edge_seg.cli.bench.levers import Variant, VARIANTS
from edge_seg.cli.bench.log import Traffic
from edge_seg.cli.bench.result import BenchOptions, Served
from edge_seg.cli.bench.rig import Cost, NODE, Rig, RigPlan
from edge_seg.cli.bench.store import good_store, SECOND
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE: Any = None


@pytest.mark.parametrize(
    'variant', [each for each in VARIANTS if each.without], ids=lambda each: each.without
)
def test_a_node_without_a_lever_answers_frames(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    plan = RigPlan(good_store(tmp_path / 'store').root, SECOND, 'none')

    with Rig(tmp_path / 'rig', variant.in_place_of(plan)) as rig:
        rig.start_all()
        rig.await_masks(5)
        assert rig.logs.masks() >= 5


class SlowWithoutProfile:
    """A rig whose masks are old where the DDS profile is taken away."""

    def __init__(self, _: Path, plan: RigPlan) -> None:
        self._age_ms = 15.0 if plan.environment else 5.0
        self._rate_hz = plan.rate_hz
        self.client = SimpleNamespace(rest=lambda _: None)
        self.cost = Cost({NODE: 0.4})

    def __enter__(self) -> 'SlowWithoutProfile':
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start_all(self) -> None:
        pass

    def served(self) -> Served:
        return Served(package=PACKAGE, backend='openvino', precision='fp32')

    def watch(self, seconds: float) -> Traffic:
        frames = round(self._rate_hz * seconds)
        return Traffic(frames, 0, np.full(frames, self._age_ms), 33.0, self._rate_hz, seconds)


def test_each_variant_is_told_beside_the_node_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(levers, 'Rig', SlowWithoutProfile)
    monkeypatch.setattr(levers, 'good_store', lambda root: SimpleNamespace(root=root))

    figures = levers.run(BenchOptions(tmp_path, lambda _: None, quick=True)).figures

    assert len(figures) == sum(len(each.scenes) for each in VARIANTS)
    assert figures['480p30: as it is']['age_ms']['p50'] == pytest.approx(5.0)
    assert figures['480p30: default transports']['age_ms']['p50'] == pytest.approx(15.0)
    assert figures['480p150: as it is']['cpu_ms_per_mask'] == pytest.approx(0.4e3 / 600)
