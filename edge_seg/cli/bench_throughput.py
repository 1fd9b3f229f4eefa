"""``edge_seg bench throughput``: the highest camera rate that the node keeps up with."""

from dataclasses import replace
from pathlib import Path
import re
import shutil
import subprocess
import sys

from edge_seg.cli.bench_part import joined, Part
from edge_seg.cli.bench_result import (
    BenchOptions,
    BenchResult,
    Chart,
    MeasurementFailed,
    Series,
    Target,
)
from edge_seg.cli.bench_rig import Rig, RigPlan
from edge_seg.cli.bench_store import good_store, SECOND
from edge_seg.models.store import ModelStore
import numpy as np

SHARE = 0.85
UNANSWERED = 0.05
LOWEST_HZ = 5.0
STEPS = 6
WATCH_S, SETTLE_S, APP_S = 3.0, 1.0, 5
APP_LIMIT_S = 120.0


def run(options: BenchOptions) -> BenchResult:
    """Search the rate, and compare it with OpenVINO's own benchmark_app."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    pairs = []
    tried: list[tuple[float, float]] = []
    for _ in range(options.repeats(5, 1)):
        limit_hz = app_rate_hz(plan)
        rate_hz = _highest(plan, options, limit_hz=limit_hz, tried=tried)
        pairs.append((rate_hz, limit_hz))
        options.say(f'{rate_hz:.0f} Hz; benchmark_app {limit_hz:.0f} Hz')
    kept = sorted(pairs, key=lambda pair: pair[0] / pair[1])
    kept = kept[1:-1] if len(kept) > 2 else kept
    ratio = float(np.median([rate / limit for rate, limit in kept]))
    part.targets['throughput_to_benchmark_app'] = Target(ratio, '', SHARE, 'at least')
    part.figures['throughput'] = {
        'rates_hz': [rate for rate, _ in pairs],
        'benchmark_app_hz': [limit for _, limit in pairs],
    }
    rates, shares = zip(*sorted(tried), strict=True)
    part.charts.append(
        Chart(
            title='Frames without a mask at each camera rate that was tried',
            x_label='camera rate in Hz',
            y_label='share',
            series=(Series('unanswered', rates, shares, 'dots'),),
            bound=UNANSWERED,
        )
    )
    part.notes.append(
        'benchmark_app has both cores to itself; the node shares them with camera and consumer.'
    )
    return joined('throughput', 'Highest camera rate with under 5 % unanswered frames', [part])


def _highest(
    plan: RigPlan, options: BenchOptions, *, limit_hz: float, tried: list[tuple[float, float]]
) -> float:
    """Halve the interval between what is kept up with and what is not."""
    low, high = LOWEST_HZ, 1.2 * limit_hz
    for _ in range(STEPS):
        middle = (low + high) / 2
        with Rig(options.folder / 'rig', replace(plan, rate_hz=middle)) as rig:
            rig.start_all()
            rig.client.rest(SETTLE_S)
            traffic = rig.watch(WATCH_S)
        # A camera that cannot keep its own rate must not pass for one that does.
        offered_hz = traffic.frames / WATCH_S
        tried.append((offered_hz, traffic.unanswered_share))
        if traffic.unanswered_share < UNANSWERED and offered_hz > 0.95 * middle:
            low = middle
        else:
            high = middle
    return low


def app_rate_hz(plan: RigPlan) -> float:
    """Ask benchmark_app with the latency hint, in inferences a second.

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
    done = subprocess.run(words, capture_output=True, text=True, timeout=APP_LIMIT_S, check=False)
    found = re.search(r'Throughput:\s+([\d.]+)', done.stdout)
    if done.returncode or not found:
        raise MeasurementFailed(f'benchmark_app failed: {done.stderr.strip()[-300:]}')
    return float(found.group(1))
