"""``edge_seg bench levers``: what each lever of the frame path is worth, by doing without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_seg.cli.bench.log import merge, Traffic
from edge_seg.cli.bench.naive import NO_PROFILE
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Listing, MeasurementFailed, Served
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.runs import age_cells, AGE_COLUMNS, ages, median, trimmed
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.core.values import Size

WATCH_S, SETTLE_S = 4.0, 1.0
WITHOUT = Path('bench', 'node_without.py')
VGA, HD = Size(640, 480), Size(1920, 1080)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the camera publishes."""

    size: Size
    rate_hz: float

    def __str__(self) -> str:
        return f'{self.size.height}p{self.rate_hz:g}'


USUAL, LARGE, FAST = SCENES = Scene(VGA, 30.0), Scene(HD, 30.0), Scene(VGA, 150.0)


@dataclass(frozen=True, slots=True)
class Variant:
    """The node without one lever, or as it is.

    Attributes:
        name: what is in place of the lever.
        scenes: where it is measured.
        node: parameters of the node.
        without: name of the lever in bench/node_without.py; '' where a parameter does.
        environment: of all processes.
    """

    name: str
    scenes: tuple[Scene, ...] = (USUAL,)
    node: Mapping[str, Any] = field(default_factory=dict)
    without: str = ''
    environment: Mapping[str, str | None] = field(default_factory=dict)

    def in_place_of(self, plan: RigPlan) -> RigPlan:
        """Give the plan of this variant."""
        plan = replace(plan, node=self.node, environment=self.environment)
        if not self.without:
            return plan
        return replace(
            plan,
            node_module='.'.join(WITHOUT.with_suffix('').parts),
            node_environment={'EDGE_SEG_WITHOUT': self.without},
        )


VARIANTS = (
    Variant('as it is', (USUAL, LARGE, FAST)),
    Variant('default transports', (USUAL, LARGE), environment=NO_PROFILE),
    Variant('default allocator', (USUAL, LARGE), without='allocator'),
    Variant('executor callback', (USUAL, FAST), without='reader'),
    Variant('new message, copy', (USUAL, LARGE), without='message'),
    Variant('precision: fp32', node={'precision': 'fp32'}),
    Variant('threads: 2', (USUAL, FAST), node={'threads': 2}),
    Variant('pin_threads', node={'pin_threads': True}),
    Variant('lazy: false', node={'lazy': False}),
    Variant('argmax_in_graph', node={'argmax_in_graph': True}),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one kind of node in one scene."""

    masks: Traffic
    cpu_ms: float
    served: Served


Found = dict[tuple[Scene, str], list[Measured]]


def run(options: BenchOptions) -> BenchResult:
    """Measure the node as it is and without each lever, in turns."""
    if not WITHOUT.is_file():
        raise MeasurementFailed(
            f'{WITHOUT} is not here', remedy='run the benchmark from the source tree'
        )
    store = good_store(options.folder / 'store')
    plan = RigPlan(store.root, SECOND, str(options.folder / 'cache'))
    found: Found = {}
    for index in range(options.rounds):
        for scene in SCENES:
            here = replace(plan, size=scene.size, rate_hz=scene.rate_hz)
            for variant in VARIANTS:
                if scene in variant.scenes:
                    measured = _measure(variant.in_place_of(here), options)
                    found.setdefault((scene, variant.name), []).append(measured)
        options.say(f'run {index + 1} of {options.rounds}')
    return joined('levers', 'What each lever of the frame path is worth', [_part(found)])


def _measure(plan: RigPlan, options: BenchOptions) -> Measured:
    with Rig(options.folder / 'rig', plan) as rig:
        rig.start_all()
        rig.client.rest(SETTLE_S)
        masks = rig.watch(WATCH_S)
        answered = max(1, masks.frames - masks.unanswered)
        return Measured(masks, rig.cost.cpu_s[NODE] * 1e3 / answered, rig.served())


def _part(found: Found) -> Part:
    part = Part(served=next(iter(found.values()))[0].served)
    rows = []
    for (scene, name), all_runs in found.items():
        runs = trimmed(all_runs, lambda each: each.masks.age_ms(50))
        masks = merge([each.masks for each in runs])
        cpu_ms = median(runs, lambda each: each.cpu_ms)
        part.figures[f'{scene}: {name}'] = {
            'age_ms': ages(masks),
            'cpu_ms_per_mask': cpu_ms,
            'unanswered_share': masks.unanswered_share,
        }
        row = (name, str(scene), *age_cells(masks), f'{cpu_ms:.1f}')
        rows.append((*row, f'{masks.unanswered_share:.0%}'))
    columns = ('node', 'camera', *AGE_COLUMNS, 'CPU, ms', 'unanswered')
    part.listings.append(Listing(columns, tuple(rows)))
    part.notes.append(
        'CPU is the processor time of the node for each mask, inference included. In each round '
        'the node runs as it is and without one lever after the other, started anew each time, '
        'with the same camera and consumer; what is named is in place of the lever.'
    )
    return part
