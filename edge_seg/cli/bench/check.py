"""``edge_seg bench --check FILE``: compares ratios with a baseline, to catch what costs speed."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path

from edge_seg.cli.bench.result import BenchResult, MeasurementFailed, Target

Baseline = Mapping[str, Mapping[str, float]]
"""'<benchmark>/<target>' → {'value', 'tolerance'}."""


@dataclass(frozen=True, slots=True)
class Regression:
    """A figure that is worse than the baseline by more than it may be.

    Attributes:
        name: '<benchmark>/<target>'.
        before: in the baseline.
        now: measured.
        tolerance: share by which it may be worse.
    """

    name: str
    before: float
    now: float
    tolerance: float

    def __str__(self) -> str:
        return (
            f'{self.name}: {self.now:.3g}, the baseline is {self.before:.3g} '
            f'(tolerance {self.tolerance:.0%})'
        )


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        MeasurementFailed: the file is missing or is no such table.
    """
    try:
        document = json.loads(path.read_text('utf-8'))
        table: dict[str, Mapping[str, float]] = {
            name: {key: float(entry[key]) for key in ('value', 'tolerance')}
            for name, entry in document['ratios'].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MeasurementFailed(
            f'the baseline {path} cannot be read: {error}',
            expected='{"ratios": {"latency/...": {"value": 0.2, "tolerance": 0.3}}}',
        ) from error
    return table


def regressions(result: BenchResult, baseline: Baseline) -> list[Regression]:
    """List what became worse; only what the baseline names is judged."""
    found = []
    for name, target in result.targets.items():
        key = f'{result.name}/{name}'
        entry = baseline.get(key)
        if entry is not None and _worse(target, entry['value'], entry['tolerance']):
            found.append(Regression(key, entry['value'], target.value, entry['tolerance']))
    return found


def _worse(target: Target, before: float, tolerance: float) -> bool:
    if target.sense == 'at most':
        return not target.value <= before * (1 + tolerance)
    return not target.value >= before * (1 - tolerance)
