"""``edge_seg bench throughput``: the highest camera rate that the node keeps up with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from edge_seg.cli.bench.naive import hint_of
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import (
    BenchOptions,
    BenchResult,
    Listing,
    MeasurementFailed,
    Served,
    Target,
)
from edge_seg.cli.bench.rig import CAMERA, CONSUMER, NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import median, trimmed
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.models.store import ModelStore
from edge_seg.offline.reporting.charts import Chart, Series

SHARE = 0.85
UNANSWERED = 0.05
LOWEST_HZ = 5.0
STEPS, QUICK_STEPS = 6, 4
WATCH_S, SETTLE_S, APP_S = 3.0, 1.0, 4
APP_LIMIT_S = 120.0
STEADY = 1.1
"""How far benchmark_app before and after a search may be apart."""
PARTS = (NODE, CAMERA, CONSUMER)


@dataclass(frozen=True, slots=True)
class Tried:
    """One camera rate that was tried.

    Attributes:
        offered_hz: frames that the camera really published.
        unanswered_share: of them, without a mask.
        kept_up: the camera held its rate, and under 5 % went unanswered.
        cpu_ms: processor time per frame of each process.
    """

    offered_hz: float
    unanswered_share: float
    kept_up: bool
    cpu_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Search:
    """One run: the highest rate that was kept up with, beside benchmark_app before and after."""

    best: Tried
    apps_hz: tuple[float, float]
    served: Served
    tried: tuple[Tried, ...]

    @property
    def app_hz(self) -> float:
        """Rate of benchmark_app."""
        return sum(self.apps_hz) / 2

    @property
    def steady(self) -> bool:
        """Whether the machine was as fast after the search as before."""
        return max(self.apps_hz) <= STEADY * min(self.apps_hz)

    @property
    def precision(self) -> str:
        """In which both compute."""
        return self.served.precision

    @property
    def ratio(self) -> float:
        """Our rate against that of benchmark_app."""
        return self.best.offered_hz / self.app_hz


def run(options: BenchOptions) -> BenchResult:
    """Search the rate, and compare it with OpenVINO's own benchmark_app."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    searches = steady_searches(lambda: _search(plan, options), options)
    title = 'Highest camera rate with under 5 % unanswered frames, 640x480'
    return joined('throughput', title, [_part(searches)])


def steady_searches(search: Callable[[], Search], options: BenchOptions) -> list[Search]:
    """Search once a round, and anew, up to as often again, where the machine was not steady.

    Raises:
        MeasurementFailed: it never was.
    """
    searches: list[Search] = []
    for _ in range(2 * options.rounds):
        found = search()
        options.say(
            f'{found.best.offered_hz:.0f} Hz; benchmark_app {found.app_hz:.0f} Hz in '
            f'{found.precision}; ratio {found.ratio:.2f}'
        )
        if found.steady:
            searches.append(found)
        else:
            before_hz, after_hz = found.apps_hz
            options.say(f'rejected: benchmark_app {before_hz:.0f} Hz before, {after_hz:.0f} after')
        if len(searches) == options.rounds:
            break
    if not searches:
        raise MeasurementFailed(
            'benchmark_app before and after each search differed by more than a tenth',
            remedy='measure again on a quiet machine',
        )
    return searches


def highest_rate(
    attempt: Callable[[float], Tried], high_hz: float, *, steps: int
) -> tuple[Tried, ...]:
    """Halve the interval between what is kept up with and what is not.

    A step that fails is made once more: one stutter of the machine is no limit of the node.

    Args:
        attempt: tries one camera rate.
        high_hz: above every rate that could be kept up with.
        steps: how often to halve.

    Returns:
        All that was tried.
    """
    low_hz, tried = LOWEST_HZ, []
    for _ in range(steps):
        middle_hz = (low_hz + high_hz) / 2
        tried.append(attempt(middle_hz))
        if not tried[-1].kept_up:
            tried.append(attempt(middle_hz))
        if tried[-1].kept_up:
            low_hz = middle_hz
        else:
            high_hz = middle_hz
    return tuple(tried)


def _search(plan: RigPlan, options: BenchOptions) -> Search:
    """Search the rate between two runs of benchmark_app."""
    steps = options.repeats(STEPS, QUICK_STEPS)
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        served = rig.served()
        rig.processes.stop(CAMERA)
        before_hz = app_rate_hz(plan, served.precision)
        tried = highest_rate(lambda hz: _try(rig, hz), 1.2 * before_hz, steps=steps)
        rig.processes.stop(CAMERA)
        # Once more: the machine may not be what it was a minute ago.
        after_hz = app_rate_hz(plan, served.precision)
    kept = [each for each in tried if each.kept_up]
    if not kept:
        raise MeasurementFailed(
            f'the node does not even keep up with {tried[-1].offered_hz:.0f} Hz'
        )
    best = max(kept, key=lambda each: each.offered_hz)
    return Search(best, (before_hz, after_hz), served, tried)


def _try(rig: Rig, rate_hz: float) -> Tried:
    rig.change_camera(rate_hz=rate_hz)
    rig.client.rest(SETTLE_S)
    traffic = rig.watch(WATCH_S)
    offered_hz = traffic.frames / traffic.seconds
    # A camera that cannot keep its own rate must not pass for one that does.
    held = offered_hz > 0.95 * rate_hz
    return Tried(
        offered_hz,
        traffic.unanswered_share,
        held and traffic.unanswered_share < UNANSWERED,
        {name: rig.cost.cpu_s[name] * 1e3 / max(1, traffic.frames) for name in PARTS},
    )


def _part(searches: list[Search]) -> Part:
    kept = trimmed(searches, lambda each: each.ratio)
    part = Part(served=kept[0].served)
    ratio = median(kept, lambda each: each.ratio)
    precision = kept[0].precision
    part.targets['throughput_to_benchmark_app'] = Target(
        ratio, '', SHARE, 'at least', "highest rate to benchmark_app's, 640x480"
    )
    part.figures['throughput'] = {
        'precision': precision,
        'rate_hz': median(kept, lambda each: each.best.offered_hz),
        'benchmark_app_hz': median(kept, lambda each: each.app_hz),
        'cpu_ms_per_frame': kept[len(kept) // 2].best.cpu_ms,
        'runs': [_summary(each) for each in searches],
    }
    part.listings.append(_listing(kept))
    points = sorted((t.offered_hz, t.unanswered_share) for each in searches for t in each.tried)
    rates, shares = zip(*points, strict=True)
    part.charts.append(
        Chart(
            title='Frames without a mask at each camera rate that was tried',
            x_label='camera rate in Hz',
            y_label='share of the frames',
            series=(Series('unanswered', rates, shares, 'dots'),),
            bound=UNANSWERED,
        )
    )
    part.notes.append(
        f'Both compute in {precision}. benchmark_app has all cores to itself, feeds one tensor '
        'again and again and does nothing else; the node shares the cores with camera and '
        'consumer. Its rate is the mean of two runs, before and after the search; a search after '
        'which it differs by more than a tenth from before does not count.'
    )
    return part


def _listing(kept: list[Search]) -> Listing:
    """Say where the processor time of a frame goes at the highest rate."""
    best = kept[len(kept) // 2].best
    rows = [('highest rate', f'{best.offered_hz:.0f} Hz')]
    rows.append(('benchmark_app', f'{median(kept, lambda each: each.app_hz):.0f} Hz'))
    rows += [(f'{name}, per frame', f'{ms:.2f} ms') for name, ms in best.cpu_ms.items()]
    return Listing(('processor time, all threads', ''), tuple(rows))


def _summary(search: Search) -> dict[str, Any]:
    return {
        'rate_hz': search.best.offered_hz,
        'benchmark_app_hz': search.app_hz,
        'benchmark_app_before_and_after_hz': search.apps_hz,
        'ratio': search.ratio,
        'tried': [(each.offered_hz, each.unanswered_share) for each in search.tried],
    }


def app_rate_hz(plan: RigPlan, precision: str) -> float:
    """Ask benchmark_app with the latency hint, in inferences a second.

    Args:
        plan: names store and model.
        precision: in which the node computes: 'fp32', 'bf16', ...; 'int8' is the network's own.

    Raises:
        MeasurementFailed: it is not installed, or fails.
    """
    beside = Path(sys.executable).with_name('benchmark_app')
    app = str(beside) if beside.is_file() else shutil.which('benchmark_app')
    if app is None:
        raise MeasurementFailed('benchmark_app is not installed', remedy='pip install openvino')
    package = ModelStore(plan.store).resolve(plan.model)
    network = package.path_of(package.manifest.artifacts[0].main)
    words = [app, '-m', str(network), '-d', 'CPU', '-hint', 'latency', '-t', str(APP_S)]
    words += ['-infer_precision', hint_of(precision)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=APP_LIMIT_S, check=False)
    found = re.search(r'Throughput:\s+([\d.]+)', done.stdout)
    if done.returncode or not found:
        raise MeasurementFailed(f'benchmark_app failed: {done.stderr.strip()[-300:]}')
    return float(found.group(1))
