"""The figures that are made of several runs: tails, highest rates, saturation."""

from edge_seg.cli.bench.log import Traffic
from edge_seg.cli.bench.runs import spread
import numpy as np
import pytest

FRAMES = 150


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
