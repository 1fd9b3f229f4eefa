"""How long a robot waits for its first mask: processes started as the launch file does."""

import shutil
import time

from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Target
from edge_seg.cli.bench.rig import MANAGER, Rig, RigPlan
from edge_seg.cli.bench.runs import settled
from edge_seg.cli.bench.store import FIRST, good_store
from edge_seg.offline.reporting.charts import Chart, Series

WARM_S, COLD_S = 2.5, 4.0


def run(options: BenchOptions) -> BenchResult:
    """``edge_seg bench cold-start``: measure it alone."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, FIRST, str(options.folder / 'cache'))
    title = 'Process start to first mask, with and without compiled models in the cache'
    return joined('cold-start', title, [measure_cold_start(plan, options)])


def measure_cold_start(plan: RigPlan, options: BenchOptions) -> Part:
    """Start node and manager together, with camera and consumer already there."""
    part = Part()
    with Rig(options.folder / 'cold_start', plan) as rig:
        rig.start_camera()
        rig.start_consumer()
        _start(rig)  # fills the cache, and the file cache of the system
        part.served = rig.served()
        warm = _repeat(rig, options.rounds, options, keep_cache=True)
        cold = _repeat(rig, options.rounds, options, keep_cache=False)
    what = 'process start to first mask'
    part.targets['cold_start_warm_cache'] = Target(
        settled(warm), 's', WARM_S, what=f'{what}, warm cache'
    )
    part.targets['cold_start_empty_cache'] = Target(
        settled(cold), 's', COLD_S, what=f'{what}, empty cache'
    )
    part.figures['cold_start'] = {'warm_cache_s': warm, 'empty_cache_s': cold}
    part.charts.append(
        Chart(
            title='Process start to first mask',
            x_label='repetition',
            y_label='time in s',
            series=(_series('compiled models in the cache', warm), _series('empty cache', cold)),
        )
    )
    return part


def _repeat(rig: Rig, count: int, options: BenchOptions, *, keep_cache: bool) -> list[float]:
    durations_s = []
    for _ in range(count):
        rig.processes.stop(MANAGER)
        rig.stop_node()
        if not keep_cache:
            shutil.rmtree(rig.plan.cache_dir)
        durations_s.append(_start(rig))
        kind = 'warm cache' if keep_cache else 'empty cache'
        options.say(f'{kind}: first mask after {durations_s[-1]:.2f} s')
    return durations_s


def _start(rig: Rig) -> float:
    begin_ns = time.time_ns()
    rig.start_node()
    rig.start_manager()
    duration_s = rig.await_first_mask(begin_ns)
    rig.await_masks(5)
    return duration_s


def _series(name: str, values: list[float]) -> Series:
    return Series(name, tuple(float(index + 1) for index in range(len(values))), tuple(values))
