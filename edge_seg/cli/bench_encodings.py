"""``edge_seg bench encodings``: what each camera encoding costs the node."""

from dataclasses import replace

from edge_seg.cli.bench_part import joined, Part
from edge_seg.cli.bench_result import BenchOptions, BenchResult, Chart, Series
from edge_seg.cli.bench_rig import NODE, Rig, RigPlan
from edge_seg.cli.bench_store import good_store, SECOND
from edge_seg.core.encode import ENCODABLE
import numpy as np

WATCH_S = 4.0


def run(options: BenchOptions) -> BenchResult:
    """Let the camera publish each encoding in turn."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    costs: dict[str, dict[str, float]] = {}
    for encoding in ENCODABLE:
        runs = [
            _measure(replace(plan, encoding=encoding), options)
            for _ in range(options.repeats(3, 1))
        ]
        cost = {key: float(np.median([each[key] for each in runs])) for key in runs[0]}
        costs[encoding] = cost
        options.say(f'{encoding}: ' + ', '.join(f'{k} {v:.2f} ms' for k, v in cost.items()))
    part.figures['encodings'] = costs
    part.figures['order_of_chart'] = list(costs)
    part.charts.append(
        Chart(
            title='Cost of each encoding, in the order of the table in the JSON',
            x_label=', '.join(costs),
            y_label='ms per frame',
            series=tuple(
                Series(
                    key,
                    tuple(float(index) for index in range(len(costs))),
                    tuple(cost[key] for cost in costs.values()),
                )
                for key in ('decode_p50', 'cpu', 'age_p50')
            ),
        )
    )
    return joined('encodings', 'Cost of each input encoding at 640x480, 30 Hz', [part])


def _measure(plan: RigPlan, options: BenchOptions) -> dict[str, float]:
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        before = rig.processes.figures(NODE).cpu_s
        traffic = rig.watch(WATCH_S)
        cpu_s = rig.processes.figures(NODE).cpu_s - before
        values = rig.client.diagnostics
    return {
        'decode_p50': float(values.get('decode_ms.p50', 'nan')),
        'preprocess_p50': float(values.get('preprocess_ms.p50', 'nan')),
        'cpu': cpu_s * 1e3 / max(1, traffic.frames - traffic.unanswered),
        'age_p50': traffic.age_ms(50),
    }
