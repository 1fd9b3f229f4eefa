"""What is done with the runs of a benchmark: the best and the worst are dropped."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from edge_seg.cli.bench.log import merge, Traffic
import numpy as np

AGE_PERCENTILES = (50, 95, 99)
AGE_COLUMNS = ('age p50, ms', 'p95', 'p99')

RunT = TypeVar('RunT')


def trimmed(runs: Sequence[RunT], key: Callable[[RunT], float]) -> list[RunT]:
    """Drop the best and the worst run by ``key``, when there are three or more."""
    ordered = sorted(runs, key=key)
    return ordered[1:-1] if len(ordered) > 2 else ordered


def median(runs: Sequence[RunT], key: Callable[[RunT], float]) -> float:
    """Give the median of ``key`` over the runs."""
    return float(np.median([key(run) for run in runs]))


def spread(parts: Sequence[Traffic]) -> float:
    """Give p99 of the ages against their median, over all runs but the best and the worst.

    The ages of the runs are taken together: of one run of 150 frames p99 is the second-worst.
    """
    return _spread(merge(trimmed(parts, _spread)))


def _spread(traffic: Traffic) -> float:
    return traffic.age_ms(99) / traffic.age_ms(50)


def age_cells(traffic: Traffic) -> tuple[str, ...]:
    """Give median, p95 and p99 of the ages for AGE_COLUMNS."""
    return tuple(f'{traffic.age_ms(percent):.1f}' for percent in AGE_PERCENTILES)


def ages(traffic: Traffic) -> dict[str, float]:
    """Give median, p95 and p99 of the ages for the JSON."""
    return {f'p{percent}': traffic.age_ms(percent) for percent in AGE_PERCENTILES}


def settled(values: Sequence[float]) -> float:
    """Give the median of what is left without the best and the worst value."""
    return float(np.median(trimmed(values, lambda value: value)))
