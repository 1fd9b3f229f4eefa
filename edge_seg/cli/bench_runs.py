"""What is done with the runs of a benchmark: the best and the worst are dropped."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

RUNS = 5
"""Runs of each measurement; three of them count."""

RunT = TypeVar('RunT')


def trimmed(runs: Sequence[RunT], key: Callable[[RunT], float]) -> list[RunT]:
    """Drop the best and the worst run by ``key``, when there are three or more."""
    ordered = sorted(runs, key=key)
    return ordered[1:-1] if len(ordered) > 2 else ordered


def median(runs: Sequence[RunT], key: Callable[[RunT], float]) -> float:
    """Give the median of ``key`` over the runs."""
    return float(np.median([key(run) for run in runs]))


def settled(values: Sequence[float]) -> float:
    """Give the median of what is left without the best and the worst value."""
    return float(np.median(trimmed(values, lambda value: value)))
