"""``edge_seg bench memory``: does the node grow while it does nothing but its work."""

from edge_seg.cli.bench_endurance import slope
from edge_seg.cli.bench_part import joined, Part
from edge_seg.cli.bench_result import BenchOptions, BenchResult, Chart, Series, Target
from edge_seg.cli.bench_rig import NODE, Rig, RigPlan
from edge_seg.cli.bench_store import good_store, SECOND

GROWTH_MIB = 1.0
SECONDS, QUICK_SECONDS, EVERY_S, WARM_UP_S = 600, 60, 2.0, 20.0


def run(options: BenchOptions) -> BenchResult:
    """Watch the node's memory for ten minutes at 30 Hz."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    seconds = options.repeats(SECONDS, QUICK_SECONDS)
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        rig.client.rest(WARM_UP_S)
        samples = []
        for index in range(int(seconds / EVERY_S)):
            rig.client.rest(EVERY_S)
            samples.append(rig.processes.figures(NODE))
            if index % 30 == 29:
                options.say(f'{(index + 1) * EVERY_S:.0f} s: {samples[-1].own_kib / 1024:.2f} MiB')
    growth_mib = slope([float(each.own_kib) for each in samples]) * len(samples) / 1024
    resident_mib = slope([float(each.resident_kib) for each in samples]) * len(samples) / 1024
    part.targets[f'memory_growth_in_{seconds}_s'] = Target(growth_mib, 'MiB', GROWTH_MIB)
    part.figures['memory'] = {
        'seconds': seconds,
        'own_kib': [each.own_kib for each in samples],
        'resident_growth_mib': resident_mib,
        'threads': [samples[0].threads, samples[-1].threads],
        'files': [samples[0].files, samples[-1].files],
    }
    part.charts.append(
        Chart(
            title='Memory of the node',
            x_label='seconds',
            y_label='MiB without shared memory',
            series=(
                Series(
                    'node',
                    tuple(EVERY_S * (index + 1) for index in range(len(samples))),
                    tuple(each.own_kib / 1024 for each in samples),
                ),
            ),
        )
    )
    part.notes.append('Growth is the Theil-Sen slope over the whole time, without shared memory.')
    return joined('memory', 'Memory of the node at 640x480, 30 Hz', [part])
