"""``edge_seg bench latency``: age of the mask, beside raw inference and a node written plainly."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edge_seg.cli.bench.log import merge, Traffic
from edge_seg.cli.bench.naive import NaiveRig
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.raw import raw_inference, RawInference
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Listing, Served, Target
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import age_cells, AGE_COLUMNS, ages, median, settled, spread, trimmed
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.core.values import Size
from edge_seg.offline.reporting.charts import Chart, Series

SIZES = (Size(640, 480), Size(1920, 1080))
RATES_HZ = (10.0, 30.0, 60.0)
TARGET_RATE_HZ = 30.0
AGE_TARGETS = {Size(640, 480): 0.20, Size(1920, 1080): 0.25}
SPREAD = 2.0
CPU_MS = 3.0
WATCH_S, SETTLE_S, RAW_S = 5.0, 1.0, 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: our node, the plain node, and inference alone, one right after the other."""

    ours: Traffic
    naive: Traffic
    raw: RawInference
    cpu_ms: float
    stages: dict[str, str]
    served: Served

    @property
    def ratio(self) -> float:
        """What our node adds to inference, against what the plain one adds."""
        return (self.ours.age_ms(50) - self.raw.ms) / (self.naive.age_ms(50) - self.raw.ms)


Found = dict[tuple[Size, float], list[Run]]


def run(options: BenchOptions) -> BenchResult:
    """Measure each size at each rate."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    part = Part()
    rates = (TARGET_RATE_HZ,) if options.quick else RATES_HZ
    found: Found = {}
    for size in SIZES:
        for rate_hz in rates:
            here = replace(plan, size=size, rate_hz=rate_hz)
            runs = [_run(here, options) for _ in range(options.rounds)]
            found[size, rate_hz] = _report(part, here, runs, options.say)
    part.listings.append(_listing(found))
    part.charts += [_chart(size, found) for size in SIZES]
    part.notes.append(
        'Each run measures our node, the plain node of bench/naive_node.py (with the default '
        'transport) and inference alone, one after the other, all three in the same precision; '
        'ratios are taken within a run, the best and the worst run are dropped, and the median '
        'of the others is shown; p99 / p50 is that of the others taken together. Inference alone '
        'is paced as the camera is.'
    )
    title = 'Age of the mask, camera stamp to arrival at the consumer'
    return joined('latency', title, [part])


def _run(plan: RigPlan, options: BenchOptions) -> Run:
    with Rig(options.folder / 'ours', plan) as rig:
        rig.start_all()
        rig.client.rest(SETTLE_S)
        ours = rig.watch(WATCH_S)
        cpu_s = rig.cost.cpu_s[NODE]
        stages = {key: text for key, text in rig.client.diagnostics.items() if '_ms.' in key}
        served = rig.served(ours)
    with NaiveRig(options.folder / 'naive', plan, precision=served.precision) as naive_rig:
        naive_rig.start_all()
        naive_rig.client.rest(SETTLE_S)
        naive = naive_rig.watch(WATCH_S)
    raw = raw_inference(
        served.package.path, precision=served.precision, rate_hz=plan.rate_hz, seconds=RAW_S
    )
    frames = max(1, ours.frames - ours.unanswered)
    return Run(ours, naive, raw, cpu_s * 1e3 / frames, stages, served)


def _report(part: Part, plan: RigPlan, runs: list[Run], say: Callable[[str], None]) -> list[Run]:
    """Report on one size and rate; gives the runs that are left without the best and the worst."""
    kept = trimmed(runs, lambda each: each.ratio)
    name = f'{plan.size.width}x{plan.size.height}_{plan.rate_hz:g}hz'
    ratio = median(kept, lambda each: each.ratio)
    # Each by its own best and worst: the run of the best ratio need not be the one of these.
    tail = spread([each.ours for each in runs])
    outside_ms = settled([each.cpu_ms - each.raw.cpu_ms for each in runs])
    if plan.rate_hz == TARGET_RATE_HZ:
        where = f'{plan.size.width}x{plan.size.height}'
        part.targets[f'{name}_added_age_to_naive'] = Target(
            ratio,
            '',
            AGE_TARGETS[plan.size],
            what=f"(age - inference) to naive's, {where}",
        )
        part.targets[f'{name}_age_p99_to_p50'] = Target(
            tail, '', SPREAD, what=f'age p99 / p50 at 30 Hz, {where}'
        )
        if plan.size == SIZES[0]:
            part.served = kept[len(kept) // 2].served
            part.targets[f'{name}_cpu_outside_inference'] = Target(
                outside_ms, 'ms', CPU_MS, what=f'CPU per frame outside inference, {where}'
            )
    part.figures[name] = {
        **_medians(kept),
        'added_age_to_naive': ratio,
        'age_p99_to_p50': tail,
        'cpu_outside_inference_ms': outside_ms,
        'ours': _summary(merge([each.ours for each in kept])),
        'naive': _summary(merge([each.naive for each in kept])),
        'precision': kept[0].raw.precision,
        'stages': kept[len(kept) // 2].stages,
    }
    medians = ', '.join(f'{key} {value:.1f}' for key, value in _medians(kept).items())
    say(f'{name}: {medians} ms; added age {ratio:.2f} of the naive one, p99/p50 {tail:.1f}')
    return kept


def _listing(found: Found) -> Listing:
    rows = []
    for (size, rate_hz), runs in found.items():
        where = f'{size.width}x{size.height}, {rate_hz:g} Hz'
        for name, parts in (
            ('edge_seg', [each.ours for each in runs]),
            ('naive', [each.naive for each in runs]),
        ):
            whole = merge(parts)
            share = f'{whole.unanswered_share:.1%}'
            rows.append((f'{where}, {name}', *age_cells(whole), share))
        raw_ms = median(runs, lambda each: each.raw.ms)
        rows.append((f'{where}, inference alone', f'{raw_ms:.1f}', '', '', ''))
    return Listing(('', *AGE_COLUMNS, 'unanswered'), tuple(rows))


def _chart(size: Size, found: Found) -> Chart:
    here = {rate_hz: _medians(runs) for (each, rate_hz), runs in found.items() if each == size}
    places = tuple(map(float, range(len(here))))
    return Chart(
        title=f'Age of the mask at the consumer, {size.width}x{size.height}',
        x_label='camera rate in Hz',
        y_label='age in ms (median)',
        series=tuple(
            Series(name, places, tuple(each[name] for each in here.values()))
            for name in ('edge_seg', 'naive', 'inference')
        ),
        categories=tuple(f'{rate_hz:g}' for rate_hz in here),
    )


def _medians(runs: list[Run]) -> dict[str, float]:
    return {
        'edge_seg': median(runs, lambda each: each.ours.age_ms(50)),
        'naive': median(runs, lambda each: each.naive.age_ms(50)),
        'inference': median(runs, lambda each: each.raw.ms),
        'inference without pause': median(runs, lambda each: each.raw.busy_ms),
        'cpu': median(runs, lambda each: each.cpu_ms),
        'cpu of inference': median(runs, lambda each: each.raw.cpu_ms),
    }


def _summary(traffic: Traffic) -> dict[str, Any]:
    return {
        'age_ms': ages(traffic),
        'rate_hz': traffic.rate_hz,
        'unanswered_share': traffic.unanswered_share,
    }
