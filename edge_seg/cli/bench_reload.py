"""``edge_seg bench reload``: models that change while the robot runs, and processes that die."""

from edge_seg.cli.bench_cold_start import measure_cold_start
from edge_seg.cli.bench_endurance import measure_endurance, ROOMY
from edge_seg.cli.bench_kills import measure_kills
from edge_seg.cli.bench_part import joined
from edge_seg.cli.bench_result import BenchOptions, BenchResult
from edge_seg.cli.bench_rig import RigPlan
from edge_seg.cli.bench_store import bad_models, copy_as, FIRST, good_store, nudge
from edge_seg.cli.bench_swaps import measure_swaps

TITLE = 'Reload, rollback, refusal, endurance, kill -9 and cold start at 640x480, 30 Hz'


def run(options: BenchOptions) -> BenchResult:
    """Measure everything that issue of models changing at run time asks for."""
    store = good_store(options.folder / 'store')
    bad = bad_models(store)
    copy_as(store.resolve(FIRST), store.root, ROOMY.partition('@')[2], change=nudge, golden=True)
    plan = RigPlan(store.root, FIRST, str(options.folder / 'cache'))
    options.say('reloads, rollbacks and refusals under a steady camera')
    swaps = measure_swaps(plan, bad, options)
    options.say('endurance')
    endurance = measure_endurance(plan, bad, options, roomy=ROOMY)
    options.say('kill -9')
    kills = measure_kills(plan, options)
    options.say('cold start')
    cold = measure_cold_start(plan, options)
    return joined('reload', TITLE, (swaps, endurance, kills, cold))
