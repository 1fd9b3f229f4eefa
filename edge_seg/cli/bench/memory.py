"""``edge_seg bench memory``: does the node grow while it does nothing but its work."""

from edge_seg.cli.bench.endurance import slope
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.process_figures import ProcessFigures
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Target
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.offline.reporting.charts import Chart, Series

GROWTH_MIB = 1.0
OVER_S = 600.0
"""The time for which growth is stated, whatever was measured."""
QUICK_S, EVERY_S, WARM_UP_S = 60.0, 2.0, 30.0


def run(options: BenchOptions) -> BenchResult:
    """Watch the node's memory at 30 Hz."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    seconds = QUICK_S if options.quick else options.minutes * 60
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        rig.client.rest(WARM_UP_S)
        part.served, samples = rig.served(), []
        for index in range(int(seconds / EVERY_S)):
            rig.client.rest(EVERY_S)
            samples.append(rig.processes.figures(NODE))
            if index % 30 == 29:
                options.say(f'{(index + 1) * EVERY_S:.0f} s: {samples[-1].own_kib / 1024:.2f} MiB')
    in_mib = OVER_S / EVERY_S / 1024
    growth_mib = slope([float(each.own_kib) for each in samples]) * in_mib
    resident_mib = slope([float(each.resident_kib) for each in samples]) * in_mib
    part.targets['memory_growth_in_10_min'] = Target(
        growth_mib, 'MiB', GROWTH_MIB, what='growth of memory in 10 minutes at 30 Hz'
    )
    part.figures['memory'] = {
        'seconds': seconds,
        'own_kib': [each.own_kib for each in samples],
        'resident_growth_mib_in_10_min': resident_mib,
        'threads': [samples[0].threads, samples[-1].threads],
        'files': [samples[0].files, samples[-1].files],
    }
    part.charts.append(_chart(samples))
    part.notes.append(
        f'The Theil-Sen slope over {seconds:g} s after {WARM_UP_S:g} s of warm-up, stated for ten '
        "minutes; of memory that is the node's alone, without shared memory and mapped files."
    )
    return joined('memory', 'Memory of the node at 640x480, 30 Hz', [part])


def _chart(samples: list[ProcessFigures]) -> Chart:
    seconds = tuple(EVERY_S * (index + 1) for index in range(len(samples)))
    mib = tuple(each.own_kib / 1024 for each in samples)
    return Chart(
        title='Memory of the node',
        x_label='time in s',
        y_label='memory of its own in MiB',
        series=(Series('node', seconds, mib),),
    )
