"""What masks suffer while the model changes: reloads, rollbacks and refused reloads."""

from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
import time

from edge_seg.cli.bench.log import merge, MS, Traffic, Window
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, Target
from edge_seg.cli.bench.rig import Rig, RigPlan
from edge_seg.cli.bench.store import BadModel, FIRST, SECOND
from edge_seg.offline.reporting.charts import Chart, Series
import numpy as np

STEADY_S = 4.0
BACK_S = 0.5
LEAST_WINDOW_S = 2.0
GAP_MS = 67.0
AGE_RATIO = 1.5
SAME_RATE, SAME_AGE = 0.98, 1.15
"""How much rate and median age of two windows differ on a busy machine when nothing happens."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A window in which something happened, and the quiet one just before it.

    Attributes:
        steady: before.
        during: while it happened.
        window: when that was.
        marks: moments in it (ns, text).
        loading: of a reload, the part before the swap.
        on_trial: of a reload, the part after it.
    """

    steady: Traffic
    during: Traffic
    window: Window
    marks: tuple[tuple[int, str], ...] = ()
    loading: Traffic | None = None
    on_trial: Traffic | None = None

    @property
    def excess(self) -> float:
        """Unanswered frames beyond what the quiet window lets expect."""
        return self.during.unanswered - self.steady.unanswered_share * self.during.frames


def measure_swaps(plan: RigPlan, bad: tuple[BadModel, ...], options: BenchOptions) -> Part:
    """Reload, roll back and be refused, again and again, under a steady camera."""
    part = Part()
    with Rig(options.folder / 'swaps', plan) as rig:
        rig.start_all()
        for request in (SECOND, FIRST):  # once, so that the cache holds both
            _must_serve(rig, request)
        reloads = []
        for index in range(options.repeats(12, 3)):
            reloads.append(_reload(rig, SECOND if index % 2 == 0 else FIRST))
            options.say(f'reload {index + 1}: {_words(reloads[-1])}')
        _report_reloads(part, rig, reloads)
        builds = []
        for index in range(options.repeats(5, 1)):
            _empty(Path(plan.cache_dir))
            builds.append(_reload(rig, SECOND if index % 2 == 0 else FIRST))
            options.say(f'reload with a build {index + 1}: {_words(builds[-1])}')
        _report_builds(part, builds)
        _must_serve(rig, SECOND)
        _must_serve(rig, FIRST)
        rollbacks = [_roll_back(rig) for _ in range(options.repeats(8, 3))]
        _report_rollbacks(part, rollbacks)
        options.say(f'rollbacks: {[frames for frames, _ in rollbacks]} frames')
        refusals = []
        for _, wrong in zip(range(options.repeats(12, 6)), cycle(bad), strict=False):
            refusals.append(_refuse(rig, wrong))
            options.say(f'refused at {wrong.stage}: {_words(refusals[-1])}')
        _report_refusals(part, refusals)
        part.figures['told_busy_although_at_rest'] = rig.client.busy_at_rest
        part.figures['stages_ms'] = {
            key: value for key, value in rig.client.diagnostics.items() if '_ms.' in key
        }
    return part


def _empty(cache: Path) -> None:
    for entry in cache.iterdir():
        entry.unlink()


def _must_serve(rig: Rig, request: str) -> None:
    note = rig.client.load(request)
    if note.stage != 'serving' or note.model != request:
        raise MeasurementFailed(f'{request} does not serve: {note.last_error or note.stage}')


def _reload(rig: Rig, request: str) -> Disturbance:
    steady = rig.watch(STEADY_S)
    heard = len(rig.client.notes)
    begin_ns = time.time_ns()
    _must_serve(rig, request)
    window = Window(begin_ns, time.time_ns())
    marks = [(note.time_ns, note.stage) for note in rig.client.notes[heard:]]
    traffic = rig.traffic(window)
    swaps = (time_ns for time_ns, stage in marks if stage == 'probation')
    swapped_ns = next(swaps, window.end_ns)
    return Disturbance(
        steady,
        traffic,
        window,
        tuple(marks),
        loading=rig.logs.traffic(Window(begin_ns, swapped_ns)),
        on_trial=rig.logs.traffic(Window(swapped_ns, window.end_ns)),
    )


def _roll_back(rig: Rig) -> tuple[int, Disturbance]:
    """Give the camera frames until the previous model answered, and what happened meanwhile."""
    rig.client.await_trigger('segmentation/rollback')
    steady = rig.watch(STEADY_S / 2)
    heard = len(rig.client.notes)
    begin_ns = time.time_ns()
    answer = rig.client.trigger('segmentation/rollback')
    if not answer.success:
        raise MeasurementFailed(f'rollback was refused: {answer.message}')
    client = rig.client
    client.await_that(
        lambda: any(note.since_ns for note in client.notes[heard:]), 'a frame', limit_s=10.0
    )
    since_ns = next(note.since_ns for note in client.notes[heard:] if note.since_ns)
    client.rest(BACK_S)
    window = Window(begin_ns, time.time_ns())
    traffic = rig.traffic(window)
    passed = rig.logs.traffic(Window(begin_ns, max(begin_ns, since_ns))).frames
    return passed, Disturbance(steady, traffic, window)


def _refuse(rig: Rig, wrong: BadModel) -> Disturbance:
    steady = rig.watch(STEADY_S)
    begin_ns = time.time_ns()
    note = rig.client.load(wrong.request)
    if note.stage != 'rejected':
        raise MeasurementFailed(f'{wrong.request} ({wrong.what}) was not refused: {note.stage}')
    left_s = LEAST_WINDOW_S - (time.time_ns() - begin_ns) * 1e-9
    if left_s > 0:
        rig.client.rest(left_s)
    window = Window(begin_ns, time.time_ns())
    return Disturbance(steady, rig.traffic(window), window)


def _report_reloads(part: Part, rig: Rig, reloads: list[Disturbance]) -> None:
    steady = merge([each.steady for each in reloads])
    during = merge([each.during for each in reloads])
    gaps = [each.during.longest_gap_ms for each in reloads]
    steady_gaps = [each.steady.longest_gap_ms for each in reloads]
    ratio = during.age_ms(99) / steady.age_ms(99)
    _report_unanswered(part, 'reload', reloads, bound=0.0)
    part.targets['reload_longest_gap'] = Target(float(np.median(gaps)), 'ms', GAP_MS)
    part.targets['reload_longest_gap_worst'] = Target(max(gaps), 'ms', GAP_MS)
    part.targets['reload_age_p99_to_steady'] = Target(ratio, '', AGE_RATIO)
    part.figures['reload'] = {
        'reloads': len(reloads),
        'seconds_median': float(np.median([each.window.seconds for each in reloads])),
        'frames': during.frames,
        'unanswered': during.unanswered,
        'unanswered_expected': steady.unanswered_share * during.frames,
        'excess_by_reload': [round(each.excess, 2) for each in reloads],
        'longest_gap_ms': gaps,
        'steady_longest_gap_ms': steady_gaps,
        'age_ms': _ages(during),
        'steady_age_ms': _ages(steady),
        'age_ms_before_swap': _ages(merge([each.loading for each in reloads if each.loading])),
        'age_ms_on_probation': _ages(merge([each.on_trial for each in reloads if each.on_trial])),
        'stages_ms': _stage_times(reloads),
    }
    part.notes.append(
        'Unanswered frames and the gap are medians over the reloads; *_worst is the worst reload. '
        f'The longest gap of the quiet windows in between was {np.median(steady_gaps):.0f} ms in '
        f'the median and {max(steady_gaps):.0f} ms at worst.'
    )
    typical = sorted(reloads, key=lambda each: each.during.longest_gap_ms)[len(reloads) // 2]
    part.charts.append(_timeline(rig, typical))


def _report_unanswered(
    part: Part, name: str, disturbances: list[Disturbance], *, bound: float
) -> None:
    """State the median, and the worst, which a median of many does not show."""
    excess = [max(0.0, each.excess) for each in disturbances]
    target = f'{name}_unanswered_beyond_steady'
    part.targets[target] = Target(float(np.median(excess)), 'frames', bound)
    part.targets[f'{target}_worst'] = Target(max(excess), 'frames', bound)


def _report_builds(part: Part, builds: list[Disturbance]) -> None:
    during = merge([each.during for each in builds])
    steady = merge([each.steady for each in builds])
    gap_ms = float(np.median([each.during.longest_gap_ms for each in builds]))
    part.targets['reload_with_build_longest_gap'] = Target(gap_ms, 'ms', GAP_MS)
    part.targets['reload_with_build_longest_gap_worst'] = Target(
        max(each.during.longest_gap_ms for each in builds), 'ms', GAP_MS
    )
    _report_unanswered(part, 'reload_with_build', builds, bound=0.0)
    part.figures['reload_with_build'] = {
        'seconds': [each.window.seconds for each in builds],
        'frames': during.frames,
        'unanswered': during.unanswered,
        'longest_gap_ms': [each.during.longest_gap_ms for each in builds],
        'age_ms': _ages(during),
        'steady_age_ms': _ages(steady),
        'stages_ms': _stage_times(builds),
    }


def _report_rollbacks(part: Part, rollbacks: list[tuple[int, Disturbance]]) -> None:
    frames = [passed for passed, _ in rollbacks]
    part.targets['rollback'] = Target(float(np.median(frames)), 'frames', 1.0)
    part.targets['rollback_worst'] = Target(float(max(frames)), 'frames', 1.0)
    _report_unanswered(part, 'rollback', [each for _, each in rollbacks], bound=1.0)
    part.figures['rollback'] = {
        'frames_until_previous_answers': frames,
        'longest_gap_ms': [each.during.longest_gap_ms for _, each in rollbacks],
    }


def _report_refusals(part: Part, refusals: list[Disturbance]) -> None:
    rates = [each.during.rate_hz / each.steady.rate_hz for each in refusals]
    ages = [each.during.age_ms(50) / each.steady.age_ms(50) for each in refusals]
    part.targets['refused_rate_to_steady'] = Target(
        float(np.median(rates)), '', SAME_RATE, 'at least'
    )
    part.targets['refused_age_p50_to_steady'] = Target(float(np.median(ages)), '', SAME_AGE)
    part.figures['refused'] = {
        'rate_ratios': rates,
        'age_p50_ratios': ages,
        'age_ms': _ages(merge([each.during for each in refusals])),
        'steady_age_ms': _ages(merge([each.steady for each in refusals])),
    }


def _timeline(rig: Rig, reload: Disturbance) -> Chart:
    wide = replace(
        reload.window,
        begin_ns=reload.window.begin_ns - 1_000_000_000,
        end_ns=reload.window.end_ns + 500_000_000,
    )
    masks = rig.logs.arrivals()
    masks = masks[wide.contains(masks[:, 0])]
    zero = reload.window.begin_ns
    return Chart(
        title='Age of each mask around a typical reload',
        x_label='time since the request in s',
        y_label='age in ms',
        series=(
            Series(
                'mask',
                tuple((masks[:, 0] - zero) * 1e-9),
                tuple((masks[:, 1] - masks[:, 0]) * MS),
                'dots',
            ),
        ),
        marks=tuple(((time_ns - zero) * 1e-9, text) for time_ns, text in reload.marks),
    )


def _stage_times(reloads: list[Disturbance]) -> dict[str, float]:
    """Give the median time spent at each stage, in ms."""
    spent: dict[str, list[float]] = {}
    for each in reloads:
        ends = [time_ns for time_ns, _ in each.marks[1:]]
        for (begin_ns, stage), end_ns in zip(each.marks, ends, strict=False):
            spent.setdefault(stage, []).append((end_ns - begin_ns) * MS)
    return {stage: float(np.median(times)) for stage, times in spent.items()}


def _ages(traffic: Traffic) -> dict[str, float]:
    return {f'p{percent}': traffic.age_ms(percent) for percent in (50, 95, 99)}


def _words(each: Disturbance) -> str:
    return (
        f'{each.window.seconds:.1f} s, {each.during.unanswered} of {each.during.frames} frames '
        f'unanswered ({each.steady.unanswered} of {each.steady.frames} before), longest gap '
        f'{each.during.longest_gap_ms:.0f} ms ({each.steady.longest_gap_ms:.0f}), age p99 '
        f'{each.during.age_ms(99):.1f} ms ({each.steady.age_ms(99):.1f})'
    )
