"""``edge_seg bench nav2``: mask, confidence and overlay, beside a Nav2-tutorial-style node."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import importlib.metadata
from typing import Any

from edge_seg.cli.bench.log import merge, Traffic
from edge_seg.cli.bench.naive import NaiveRig, NAV2_STYLE
from edge_seg.cli.bench.network import MODEL, network_store, SIZE
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.raw import raw_inference, RawInference
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Listing, Served, Target
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import age_cells, AGE_COLUMNS, ages, median, trimmed
from edge_seg.offline.reporting.charts import Chart, Series

RATES_HZ = (10.0, 30.0)
AGE_SHARES = {10.0: 1 / 2, 30.0: 1 / 8}
FULL_RATE_HZ, WANTED_HZ = 30.0, 29.7
"""30 answers a second but for one frame in a hundred."""
FURTHER = ('segmentation/confidence', 'segmentation/overlay')
WATCH_S, QUICK_WATCH_S = 5.0, 3.0
SETTLE_S = 3.0
"""By then the queue of the other node has filled."""
RAW_S = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: our node, the other node, and inference alone, one right after the other.

    Attributes:
        ours: masks of our node.
        ours_whole: mask, confidence and overlay of our node, when the last of them is there.
        theirs: masks of the other node.
        theirs_whole: all three of the other node.
        raw: inference of the same network on OpenVINO.
        cpu_ms: processor time of our node per frame.
        stages: what our node says of its stages.
        served: what it ran.
    """

    ours: Traffic
    ours_whole: Traffic
    theirs: Traffic
    theirs_whole: Traffic
    raw: RawInference
    cpu_ms: float
    stages: dict[str, str]
    served: Served

    @property
    def ratio(self) -> float:
        """Age of our whole answer against that of the other node."""
        return self.ours_whole.age_ms(50) / self.theirs_whole.age_ms(50)


def run(options: BenchOptions) -> BenchResult:
    """Measure both nodes at each rate."""
    store = network_store(options.folder / 'store')
    plan = RigPlan(store.root, MODEL, str(options.folder / 'cache'), size=SIZE, further=FURTHER)
    part = Part()
    found: dict[float, list[Run]] = {}
    for rate_hz in RATES_HZ:
        here = replace(plan, rate_hz=rate_hz)
        runs = [_run(here, options) for _ in range(options.rounds)]
        found[rate_hz] = trimmed(runs, lambda each: each.ratio)
        _report(part, rate_hz, found[rate_hz], options.say)
    part.figures['other_node'] = {'engine': _engine(), 'source': str(NAV2_STYLE.source)}
    part.listings.append(_listing(found))
    part.charts.append(_chart(found))
    part.notes.append(
        f'A network of {SIZE.width}x{SIZE.height} with 8 classes, random weights, and a consumer '
        'of mask, confidence and overlay. Ages are those of whole answers: the last of the three '
        'has arrived. Each run measures our node, the node of bench/nav2_node.py '
        f'({_engine()}, default transport, queue of ten) and inference alone, one after the '
        'other; ratios are taken within a run.'
    )
    title = 'Mask, confidence and overlay of a network of 640x480'
    return joined('nav2', title, [part])


def _run(plan: RigPlan, options: BenchOptions) -> Run:
    seconds = QUICK_WATCH_S if options.quick else WATCH_S
    with Rig(options.folder / 'ours', plan) as rig:
        rig.start_all()
        rig.client.rest(SETTLE_S)
        ours, ours_whole = rig.watch_answers(seconds)
        cpu_s = rig.cost.cpu_s[NODE]
        stages = {key: text for key, text in rig.client.diagnostics.items() if '_ms.' in key}
        served = rig.served(ours_whole)
    with NaiveRig(options.folder / 'other', plan, NAV2_STYLE, precision=served.precision) as other:
        other.start_all()
        other.client.rest(SETTLE_S)
        theirs, theirs_whole = other.watch_answers(seconds)
    raw = raw_inference(
        served.package.path, precision=served.precision, rate_hz=plan.rate_hz, seconds=RAW_S
    )
    frames = max(1, ours.frames - ours.unanswered)
    cpu_ms = cpu_s * 1e3 / frames
    return Run(ours, ours_whole, theirs, theirs_whole, raw, cpu_ms, stages, served)


def _report(part: Part, rate_hz: float, runs: list[Run], say: Callable[[str], None]) -> None:
    name = f'nav2_{rate_hz:g}hz'
    ratio = median(runs, lambda each: each.ratio)
    ours_hz = rate_hz * (1 - median(runs, lambda each: each.ours_whole.unanswered_share))
    theirs_hz = rate_hz * (1 - median(runs, lambda each: each.theirs_whole.unanswered_share))
    if rate_hz == FULL_RATE_HZ:
        part.served = runs[len(runs) // 2].served
        part.targets[f'{name}_rate'] = Target(
            ours_hz, '/s', WANTED_HZ, 'at least', f'mask+confidence+overlay at {rate_hz:g} Hz'
        )
    part.targets[f'{name}_age_to_nav2_style'] = Target(
        ratio, '', AGE_SHARES[rate_hz], what=f"their age to the Nav2 node's, {rate_hz:g} Hz"
    )
    part.figures[name] = {
        'ours': _summary([each.ours_whole for each in runs]),
        'ours_mask_alone': _summary([each.ours for each in runs]),
        'nav2_style': _summary([each.theirs_whole for each in runs]),
        'nav2_style_mask_alone': _summary([each.theirs for each in runs]),
        'inference_ms': median(runs, lambda each: each.raw.ms),
        'inference_without_pause_ms': median(runs, lambda each: each.raw.busy_ms),
        'cpu_ms_per_frame': median(runs, lambda each: each.cpu_ms),
        'cpu_ms_per_inference': median(runs, lambda each: each.raw.cpu_ms),
        'precision': runs[0].raw.precision,
        'stages': runs[len(runs) // 2].stages,
    }
    ours_ms = median(runs, lambda each: each.ours_whole.age_ms(50))
    theirs_ms = median(runs, lambda each: each.theirs_whole.age_ms(50))
    say(
        f'{rate_hz:g} Hz: {ours_hz:.1f} answers/s at {ours_ms:.0f} ms; the other node '
        f'{theirs_hz:.1f} at {theirs_ms:.0f} ms; {ratio:.3f} of its age'
    )


def _listing(found: dict[float, list[Run]]) -> Listing:
    rows = []
    for rate_hz, runs in found.items():
        for name, parts in (
            ('edge_seg', [each.ours_whole for each in runs]),
            ('Nav2 style', [each.theirs_whole for each in runs]),
        ):
            whole = merge(parts)
            rows.append((f'{rate_hz:g} Hz, {name}', f'{whole.rate_hz:.1f}', *age_cells(whole)))
        raw_ms = median(runs, lambda each: each.raw.ms)
        rows.append((f'{rate_hz:g} Hz, inference alone', '', f'{raw_ms:.1f}', '', ''))
    return Listing(('', 'answers/s', *AGE_COLUMNS), tuple(rows))


def _chart(found: dict[float, list[Run]]) -> Chart:
    places = tuple(map(float, range(len(found))))
    ages_ms: dict[str, Callable[[Run], float]] = {
        'edge_seg': lambda each: each.ours_whole.age_ms(50),
        'Nav2 style': lambda each: each.theirs_whole.age_ms(50),
        'inference alone': lambda each: each.raw.ms,
    }
    return Chart(
        title='Age of mask, confidence and overlay at the consumer',
        x_label='camera rate in Hz',
        y_label='age in ms (median)',
        series=tuple(
            Series(name, places, tuple(median(runs, age_ms) for runs in found.values()))
            for name, age_ms in ages_ms.items()
        ),
        categories=tuple(f'{rate_hz:g}' for rate_hz in found),
    )


def _summary(parts: list[Traffic]) -> dict[str, Any]:
    whole = merge(parts)
    return {
        'age_ms': ages(whole),
        'rate_hz': whole.rate_hz,
        'unanswered_share': whole.unanswered_share,
    }


def _engine() -> str:
    """Name what the other node infers with."""
    for package, name in (('onnxruntime', 'ONNX Runtime'), ('openvino', 'OpenVINO')):
        try:
            return f'{name} {importlib.metadata.version(package)}'
        except importlib.metadata.PackageNotFoundError:
            continue
    return 'nothing'
