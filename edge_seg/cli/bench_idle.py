"""``edge_seg bench idle``: processor time of a node that has nothing to do."""

from edge_seg.cli.bench_client import DEACTIVATE
from edge_seg.cli.bench_part import joined, Part
from edge_seg.cli.bench_result import BenchOptions, BenchResult, MeasurementFailed, Target
from edge_seg.cli.bench_rig import CONSUMER, NODE, Rig, RigPlan
from edge_seg.cli.bench_store import good_store, SECOND
import numpy as np

IDLE_PERCENT = 1.0
WATCH_S, SETTLE_S = 8.0, 2.0


def run(options: BenchOptions) -> BenchResult:
    """Measure with a camera and no subscriber, then inactive."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        busy = _percent(rig, 1)
        rig.processes.stop(CONSUMER)
        runs = options.repeats(5, 1)
        without = _percent(rig, runs)
        if not rig.client.transition(DEACTIVATE):
            raise MeasurementFailed('the node does not deactivate')
        inactive = _percent(rig, runs)
    for name, values in (('no_subscriber', without), ('inactive', inactive)):
        part.targets[f'idle_cpu_{name}'] = Target(float(np.median(values)), '%', IDLE_PERCENT)
        options.say(f'{name}: {np.median(values):.2f} % of a core')
    part.figures['cpu_percent'] = {'busy': busy, 'no_subscriber': without, 'inactive': inactive}
    part.notes.append('Percent of one core, while a camera publishes 640x480 at 30 Hz.')
    return joined('idle', 'Processor time of a node with nothing to do', [part])


def _percent(rig: Rig, runs: int) -> list[float]:
    """Give the share of one core that the node takes, in each run."""
    rig.client.rest(SETTLE_S)
    shares = []
    for _ in range(runs):
        before = rig.processes.figures(NODE).cpu_s
        rig.client.rest(WATCH_S)
        shares.append((rig.processes.figures(NODE).cpu_s - before) / WATCH_S * 100)
    return shares
