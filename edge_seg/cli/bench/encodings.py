"""``edge_seg bench encodings``: what each camera encoding costs the node."""

from edge_seg.cli.bench.client import ACTIVATE, DEACTIVATE
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Listing, MeasurementFailed
from edge_seg.cli.bench.rig import CAMERA, NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import settled
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.core.encode import ENCODABLE
from edge_seg.offline.reporting.charts import Chart, Series

WATCH_S, SETTLE_S = 2.0, 0.5
SHOWN = {'decode_p50': 'decoding (median)', 'cpu': 'processor time', 'age_p50': 'age (median)'}


def run(options: BenchOptions) -> BenchResult:
    """Let the camera publish each encoding in turn."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    rounds: list[dict[str, dict[str, float]]] = []
    for index in range(options.rounds):
        with Rig(options.folder / 'rig', plan) as rig:
            rig.start_all()
            part.served = rig.served()
            rounds.append({encoding: _measure(rig, encoding) for encoding in ENCODABLE})
        options.say(f'run {index + 1} of {options.rounds}')
    costs: dict[str, dict[str, float]] = {}
    for encoding in ENCODABLE:
        runs = [each[encoding] for each in rounds]
        costs[encoding] = {key: settled([each[key] for each in runs]) for key in runs[0]}
    part.figures['encodings'] = costs
    rows = ((encoding, *(f'{cost[key]:.2f}' for key in SHOWN)) for encoding, cost in costs.items())
    part.listings.append(Listing(('ms per frame', *SHOWN.values()), tuple(rows)))
    part.charts.append(
        Chart(
            title='Cost of each encoding',
            x_label='encoding',
            y_label='ms per frame',
            series=tuple(
                Series(
                    what,
                    tuple(float(index) for index in range(len(costs))),
                    tuple(cost[key] for cost in costs.values()),
                    'dots',
                )
                for key, what in SHOWN.items()
            ),
            categories=tuple(costs),
        )
    )
    part.notes.append('Processor time is that of the node, inference included, all threads.')
    return joined('encodings', 'Cost of each input encoding at 640x480, 30 Hz', [part])


def _measure(rig: Rig, encoding: str) -> dict[str, float]:
    rig.processes.stop(CAMERA)
    for transition in (DEACTIVATE, ACTIVATE):  # the node forgets what the last encoding took
        if not rig.client.transition(transition):
            raise MeasurementFailed('the segmentation node refused to deactivate or activate')
    rig.change_camera(encoding=encoding)
    rig.client.rest(SETTLE_S)
    traffic = rig.watch(WATCH_S)
    values = rig.client.diagnostics
    return {
        'decode_p50': float(values.get('decode_ms.p50', 'nan')),
        'preprocess_p50': float(values.get('preprocess_ms.p50', 'nan')),
        'cpu': rig.cost.cpu_s[NODE] * 1e3 / max(1, traffic.frames - traffic.unanswered),
        'age_p50': traffic.age_ms(50),
    }
