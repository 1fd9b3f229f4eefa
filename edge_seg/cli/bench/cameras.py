"""``edge_seg bench cameras``: several cameras on one model, more frames than it can segment."""

from dataclasses import dataclass, replace
from typing import Any

from edge_seg.cli.bench.log import merge, Traffic
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Listing, Served, Target
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import age_cells, AGE_COLUMNS, ages, median, trimmed
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.offline.reporting.charts import Chart, Series

COUNTS = (1, 2, 4, 8)
KEPT, JAIN = 0.95, 0.98
FIRST_HZ, FASTER, A_LITTLE_FASTER, HIGHEST_HZ = 80.0, 1.4, 1.08, 1500.0
TOO_MUCH = 0.25
"""Share of frames without a mask at which the node, and nothing else, sets the rate of masks."""
ENOUGH = 0.18
"""Share that the load which is measured with has at least: in single runs it may be less."""
FEW = 0.10
"""Share below which cameras set the rate of masks."""
ALIKE = 0.05
"""How far the frames of different numbers of cameras may be apart to be the same load."""
WATCH_S, QUICK_WATCH_S, SETTLE_S = 4.0, 2.5, 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of cameras in one run, each camera by itself."""

    cameras: tuple[Traffic, ...]
    cpu_share: float
    served: Served

    @property
    def total_hz(self) -> float:
        """Masks a second of all cameras."""
        return sum(each.rate_hz for each in self.cameras)

    @property
    def offered_hz(self) -> float:
        """Frames a second that the cameras really published."""
        return sum(each.frames / each.seconds for each in self.cameras)

    @property
    def jain(self) -> float:
        """Fairness: 1 when all cameras get as many masks, 1/n when one gets all."""
        return jain([each.rate_hz for each in self.cameras])

    @property
    def whole(self) -> Traffic:
        """All cameras taken as one; its rate is the mean."""
        return merge(list(self.cameras))


Round = dict[int, Measured]


def run(options: BenchOptions) -> BenchResult:
    """Spread the same number of frames over 1, 2, 4 and 8 cameras."""
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    offered_hz = _too_many(plan, options)
    rounds: list[Round] = []
    for _ in range(options.rounds):
        rounds.append({count: _measure(plan, options, count, offered_hz) for count in COUNTS})
        totals = ', '.join(f'{n}: {each.total_hz:.0f}' for n, each in rounds[-1].items())
        options.say(f'masks/s by cameras: {totals}; fairness of 8: {rounds[-1][8].jain:.3f}')
    return joined('cameras', 'Several cameras on one model, 640x480', [_part(rounds, offered_hz)])


def jain(rates: list[float]) -> float:
    """Give Jain's index of fairness; NaN when nobody got anything."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else float('nan')


def _too_many(plan: RigPlan, options: BenchOptions) -> float:
    """Find how many frames a second are about a third more than the node segments."""

    def unanswered(rate_hz: float) -> Traffic:
        return _measure(plan, options, 1, rate_hz).whole

    rate_hz = FIRST_HZ
    while (found := unanswered(rate_hz)).unanswered_share < TOO_MUCH:
        if rate_hz * FASTER > HIGHEST_HZ:
            break
        rate_hz *= FASTER
    else:
        # The steps are wide: at this rate it may be a quarter of the frames or a half. With fewer
        # of them the node answers more, so it is seen whether they are still too many.
        rate_hz = found.rate_hz / (1 - TOO_MUCH)
        while (found := unanswered(rate_hz)).unanswered_share < ENOUGH:
            if rate_hz * A_LITTLE_FASTER > HIGHEST_HZ:
                break
            rate_hz *= A_LITTLE_FASTER
    options.say(f'{rate_hz:.0f} frames/s in all: one camera gets {found.rate_hz:.0f} masks/s')
    return rate_hz


def _measure(plan: RigPlan, options: BenchOptions, count: int, offered_hz: float) -> Measured:
    names = tuple(f'camera{index + 1}' for index in range(count))
    seconds = QUICK_WATCH_S if options.quick else WATCH_S
    here = replace(plan, cameras=names, rate_hz=offered_hz / count)
    with Rig(options.folder / f'rig{count}', here) as rig:
        rig.start_all()
        rig.client.rest(SETTLE_S)
        traffic = rig.watch_all(seconds)
        cpu_share = rig.cost.cpu_s[NODE] / traffic[0].seconds
        return Measured(tuple(traffic), cpu_share, rig.served())


def _part(rounds: list[Round], offered_hz: float) -> Part:
    most, one = max(COUNTS), min(COUNTS)
    kept = trimmed(rounds, lambda each: each[most].total_hz / each[one].total_hz)
    part = Part(served=kept[0][one].served)
    doubts = _doubts(kept)
    ratio = median(kept, lambda each: each[most].total_hz / each[one].total_hz)
    fairness = median(kept, lambda each: each[most].jain)
    part.targets[f'{most}_cameras_total_to_one'] = Target(
        float('nan') if doubts else ratio,
        '',
        KEPT,
        'at least',
        f'masks/s of {most} cameras to those of one',
    )
    part.targets[f'{most}_cameras_jain'] = Target(
        float('nan') if doubts else fairness,
        '',
        JAIN,
        'at least',
        f'fairness among {most} cameras (Jain index)',
    )
    part.figures['offered_frames_per_s'] = offered_hz
    for count in COUNTS:
        part.figures[f'{count}_cameras'] = _summary([each[count] for each in kept])
    part.listings.append(_listing(kept))
    part.charts += _charts(kept)
    part.notes.append(
        f'The same {offered_hz:.0f} frames a second, more than the node can segment, come from 1, '
        '2, 4 and 8 camera processes; one consumer process takes all masks. Ratios are taken '
        'within a run. Under such a load the age holds the wait for the other cameras.'
    )
    part.notes += doubts
    return part


def _doubts(kept: list[Round]) -> list[str]:
    """Say why masks of many cameras beside those of one say nothing; [] when they do."""
    doubts = []
    for count in (min(COUNTS), max(COUNTS)):
        share = merge([each[count].whole for each in kept]).unanswered_share
        if share < FEW:
            doubts.append(
                f'With {count} camera(s) nearly all frames got masks ({share:.0%} did not): they, '
                'not the node, set the rate, so ratio and fairness say nothing.'
            )
    offered = [median([each[n] for each in kept], lambda one: one.offered_hz) for n in COUNTS]
    if max(offered) > (1 + ALIKE) * min(offered):
        rates = ', '.join(f'{hz:.0f}' for hz in offered)
        doubts.append(
            f'Cameras did not hold their rates ({rates} frames/s in all): the ratio and fairness '
            'say nothing.'
        )
    return doubts


def _summary(runs: list[Measured]) -> dict[str, Any]:
    whole = merge([each.whole for each in runs])
    return {
        'total_masks_per_s': median(runs, lambda each: each.total_hz),
        'offered_frames_per_s': median(runs, lambda each: each.offered_hz),
        'jain': median(runs, lambda each: each.jain),
        'unanswered_share': whole.unanswered_share,
        'age_ms': ages(whole),
        'node_cpu_cores': median(runs, lambda each: each.cpu_share),
    }


def _listing(kept: list[Round]) -> Listing:
    rows = []
    for count in COUNTS:
        runs = [each[count] for each in kept]
        whole = merge([each.whole for each in runs])
        rows.append(
            (
                str(count),
                f'{median(runs, lambda each: each.total_hz):.1f}',
                f'{median(runs, lambda each: each.jain):.3f}',
                *age_cells(whole),
                f'{median(runs, lambda each: each.cpu_share):.2f}',
            )
        )
    columns = ('cameras', 'masks/s', 'Jain', *AGE_COLUMNS, 'cores of the node')
    return Listing(columns, tuple(rows))


def _charts(kept: list[Round]) -> list[Chart]:
    places = tuple(map(float, range(len(COUNTS))))
    names = tuple(map(str, COUNTS))
    totals = tuple(median([each[n] for each in kept], lambda one: one.total_hz) for n in COUNTS)
    wholes = [merge([each[n].whole for each in kept]) for n in COUNTS]
    return [
        Chart(
            title='Masks a second, all cameras together',
            x_label='number of cameras',
            y_label='masks/s',
            series=(Series('total', places, totals),),
            categories=names,
        ),
        Chart(
            title='Age of the mask at the consumer, more frames than the node can segment',
            x_label='number of cameras',
            y_label='age in ms',
            series=tuple(
                Series(f'p{percent}', places, tuple(whole.age_ms(percent) for whole in wholes))
                for percent in (50, 99)
            ),
            categories=names,
        ),
    ]
