"""``edge_seg bench idle``: processor time of a node that has nothing to do."""

from edge_seg.cli.bench.client import DEACTIVATE
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import BenchOptions, BenchResult, MeasurementFailed, Target
from edge_seg.cli.bench.rig import CONSUMER, NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import settled
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.offline.reporting.charts import Chart, Series

IDLE_PERCENT = 1.0
WATCH_S, SETTLE_S = 8.0, 4.0
NO_SUBSCRIBER, INACTIVE = 'active, no subscriber', 'inactive'


def run(options: BenchOptions) -> BenchResult:
    """Measure with a camera and no subscriber, then inactive."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        part.served = rig.served()
        busy = _percent(rig, 1)
        rig.processes.stop(CONSUMER)
        without = _percent(rig, options.rounds)
        if not rig.client.transition(DEACTIVATE):
            raise MeasurementFailed('the node does not deactivate')
        inactive = _percent(rig, options.rounds)
    part.figures['cpu_percent'] = {'busy': busy, 'no_subscriber': without, 'inactive': inactive}
    shown = (('no_subscriber', NO_SUBSCRIBER, without), ('inactive', INACTIVE, inactive))
    for name, what, values in shown:
        percent = settled(values)
        part.targets[f'idle_cpu_{name}'] = Target(
            percent, '%', IDLE_PERCENT, what=f'idle CPU, {what}'
        )
        options.say(f'{what}: {percent:.2f} % of a core')
    part.charts.append(
        Chart(
            title=f'Processor time of the node in windows of {WATCH_S:g} s',
            x_label='run',
            y_label='processor time in % of one core',
            series=tuple(
                Series(what, tuple(float(i + 1) for i in range(len(values))), tuple(values))
                for _, what, values in shown
            ),
            bound=IDLE_PERCENT,
        )
    )
    part.notes.append(
        'Percent of one core while a camera publishes 640x480 at 30 Hz and an operator listens to '
        f'diagnostics and model status. With a consumer it is {busy[0]:.0f} %.'
    )
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
