"""``edge_seg bench reload``: models that change while the robot runs, and processes that die."""

from collections.abc import Callable
import subprocess
import time

from edge_seg.cli.bench.cold_start import measure_cold_start
from edge_seg.cli.bench.endurance import measure_endurance, ROOMY
from edge_seg.cli.bench.kills import measure_kills, measure_kills_in_loads
from edge_seg.cli.bench.part import joined, Part
from edge_seg.cli.bench.publish_kills import measure_publish_kills
from edge_seg.cli.bench.result import BenchOptions, BenchResult, Target
from edge_seg.cli.bench.rig import RigPlan
from edge_seg.cli.bench.store import bad_models, copy_as, FIRST, good_store, nudge
from edge_seg.cli.bench.swaps import measure_swaps
from edge_seg.errors import EdgeSegError

TITLE = 'Reload, rollback, refusal, endurance, kill -9 and cold start at 640x480, 30 Hz'


def run(options: BenchOptions) -> BenchResult:
    """Measure everything that issue of models changing at run time asks for."""
    store = good_store(options.folder / 'store')
    bad = bad_models(store)
    copy_as(store.resolve(FIRST), store.root, ROOMY.partition('@')[2], change=nudge, golden=True)
    plan = RigPlan(store.root, FIRST, str(options.folder / 'cache'))
    parts = {
        'reloads, rollbacks and refusals under a steady camera': lambda: measure_swaps(
            plan, bad, options
        ),
        'endurance': lambda: measure_endurance(plan, bad, options, roomy=ROOMY),
        'kill -9 of node and manager': lambda: measure_kills(plan, options),
        'kill -9 in build and swap': lambda: measure_kills_in_loads(plan, options),
        'kill -9 in publish': lambda: measure_publish_kills(plan.store, options),
        'cold start': lambda: measure_cold_start(plan, options),
    }
    return joined('reload', TITLE, [_measured(name, parts[name], options) for name in parts])


def _measured(name: str, measure: Callable[[], Part], options: BenchOptions) -> Part:
    """Measure one part; one that cannot be measured does not cost the others."""
    begin_s = time.monotonic()
    options.say(name)
    try:
        part = measure()
    except (EdgeSegError, OSError, subprocess.SubprocessError) as failure:
        part = Part()
        slug = name.replace(' -', '_').replace(', ', '_').replace(' ', '_')
        part.targets[f'{slug}_measured'] = Target(0.0, 'parts', 1.0, 'at least')
        part.notes.append(f'{name}: not measured: {failure}')
        options.say(f'{name}: NOT measured: {failure}')
    options.say(f'{name}: {time.monotonic() - begin_s:.0f} s')
    return part
