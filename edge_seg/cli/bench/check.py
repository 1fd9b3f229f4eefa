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
        now: measured; None when it is not measured any more.
        tolerance: share by which it may be worse.
    """

    name: str
    before: float
    now: float | None
    tolerance: float

    def __str__(self) -> str:
        now = 'not measured' if self.now is None else f'{self.now:.3g}'
        return (
            f'{self.name}: {now}, the baseline is {self.before:.3g} '
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
    """List what became worse or is missing; only what the baseline names is judged."""
    found = []
    for key, entry in baseline.items():
        benchmark, _, name = key.partition('/')
        if benchmark != result.name:
            continue
        target = result.targets.get(name)
        if target is None or _worse(target, entry['value'], entry['tolerance']):
            now = None if target is None else target.value
            found.append(Regression(key, entry['value'], now, entry['tolerance']))
    return found


def _worse(target: Target, before: float, tolerance: float) -> bool:
    if target.sense == 'at most':
        return not target.value <= before * (1 + tolerance)
    return not target.value >= before * (1 - tolerance)
