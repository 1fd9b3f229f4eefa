"""Kills processes at the worst moments, and looks at what is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
import shutil
import time

from edge_seg.cli.bench.log import Traffic
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.process_figures import children_of
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, Target
from edge_seg.cli.bench.rig import MANAGER, NODE, Rig, RigPlan
from edge_seg.cli.bench.store import FIRST, SECOND
from edge_seg.errors import ModelError
from edge_seg.models.package import verify_artifacts
from edge_seg.models.store import ModelStore
import numpy as np

NODE_KILLS = 20
"""What a killed reader leaves behind harms 1 of 20 to 100 times (docs/adr/0008)."""
BACK_S = 3.0
SAME_RATE = 0.98
WATCH_S = 4.0
AFTER_MASKS = 75
"""Masks of 2.5 s: the manager counts the node as recovered."""
ORPHAN_LIMIT_S = 3.0
STAGE_LIMIT_S = 30.0


def measure_kills(plan: RigPlan, options: BenchOptions) -> Part:
    """Kill the node, the manager, and both."""
    part = Part()
    with _managed(plan, options.folder / 'kills') as rig:
        _kill_node(part, rig, options)
        _kill_manager(part, rig, options)
        _kill_both(part, rig)
    return part


def measure_kills_in_loads(plan: RigPlan, options: BenchOptions) -> Part:
    """Kill the node during a build, before a swap, as it begins, and after it."""
    part = Part()
    with _managed(plan, options.folder / 'kills_in_loads') as rig:
        invalid = _kill_at(rig, ('build',), options, build=True)
        for stage in ('warm', 'swap', 'probation'):
            invalid += _kill_at(rig, (stage,), options, build=False)
    part.targets['invalid_after_kill_in_build_or_swap'] = Target(len(invalid), 'entries', 0.0)
    part.figures['invalid_after_kill'] = invalid
    return part


@contextmanager
def _managed(plan: RigPlan, folder: Path) -> Iterator[Rig]:
    """Run a node that a manager looks after, with a cache of its own."""
    cache = folder / 'cache'
    shutil.rmtree(cache, ignore_errors=True)
    with Rig(folder, replace(plan, cache_dir=str(cache))) as rig:
        rig.start_camera()
        rig.start_consumer()
        rig.start_manager()
        rig.start_node()
        rig.await_masks(10)
        yield rig


def _kill_manager(part: Part, rig: Rig, options: BenchOptions) -> None:
    pid = rig.processes.pid(NODE)
    steady = rig.watch(WATCH_S)
    begin_ns = time.time_ns()
    rig.processes.kill(MANAGER)
    without = rig.watch(WATCH_S)
    rig.start_manager()
    again = rig.watch(WATCH_S)
    if rig.processes.pid(NODE) != pid or NODE in rig.processes.ended():
        raise MeasurementFailed('the node died with the manager')
    ratio = _ratio(min(without.rate_hz, again.rate_hz), steady.rate_hz)
    part.targets['manager_killed_rate_to_steady'] = Target(ratio, '', SAME_RATE, 'at least')
    part.figures['manager_killed'] = {
        'rates_hz': [steady.rate_hz, without.rate_hz, again.rate_hz],
        'unanswered': [steady.unanswered, without.unanswered, again.unanswered],
        'seconds': (time.time_ns() - begin_ns) * 1e-9,
    }
    options.say(f'manager killed: rate {ratio:.3f} of the steady one')


def _kill_node(part: Part, rig: Rig, options: BenchOptions) -> None:
    served = _serve(rig, SECOND)
    steady = rig.watch(WATCH_S)
    times_s, models = [], []
    for _ in range(options.repeats(NODE_KILLS, 2)):
        times_s.append(_restart(rig))
        rig.await_masks(AFTER_MASKS)
        models.append(rig.client.newest.model if rig.client.newest else '')
        options.say(f'node killed: masks {times_s[-1]:.2f} s after its restart, {models[-1]}')
    part.targets['node_killed_to_masks'] = Target(float(np.median(times_s)), 's', BACK_S)
    part.targets['node_killed_to_masks_worst'] = Target(max(times_s), 's', BACK_S)
    part.targets['node_killed_and_back_with_another_model'] = Target(
        sum(1 for model in models if model != served), 'times', 0.0
    )
    part.figures['node_killed'] = {'seconds': times_s, 'models': models}
    _compare_rates(part, steady, rig.watch(WATCH_S))


def _compare_rates(part: Part, steady: Traffic, after: Traffic) -> None:
    """See whether a camera whose readers were killed still publishes, and all is answered."""
    camera_hz = [each.frames / each.seconds for each in (steady, after)]
    mask_hz = [each.rate_hz for each in (steady, after)]
    for name, (before, now) in (('camera', camera_hz), ('mask', mask_hz)):
        part.targets[f'{name}_rate_after_node_kills_to_steady'] = Target(
            _ratio(now, before), '', SAME_RATE, 'at least'
        )
    part.figures['node_killed_rates_hz'] = {'camera': camera_hz, 'masks': mask_hz}


def _ratio(rate_hz: float, steady_hz: float) -> float:
    """Compare with the steady rate; NaN, which meets no target, when nothing came before."""
    return rate_hz / steady_hz if steady_hz else np.nan


def _kill_both(part: Part, rig: Rig) -> None:
    """See what a manager knows that was not there when the node was brought up."""
    served = _serve(rig, SECOND)
    rig.await_masks(AFTER_MASKS)
    _restart(rig)
    rig.await_masks(AFTER_MASKS)
    found = rig.client.newest.model if rig.client.newest else ''
    part.targets['back_with_another_model_by_a_new_manager'] = Target(
        float(found != served), 'times', 0.0
    )


def _restart(rig: Rig) -> float:
    """Kill the node, start it again as launch would; seconds until the first mask."""
    rig.processes.kill(NODE)
    rig.client.forget()
    begin_ns = time.time_ns()
    rig.start_node()
    return rig.await_first_mask(begin_ns)


def _serve(rig: Rig, request: str) -> str:
    note = rig.client.load(request)
    if note.model != request:
        raise MeasurementFailed(f'{request} does not serve: {note.stage} {note.last_error}')
    return request


def _kill_at(
    rig: Rig, stages: tuple[str, ...], options: BenchOptions, *, build: bool
) -> list[str]:
    """Kill the node when a load reaches a stage; say what is not valid afterwards."""
    wrong: list[str] = []
    client = rig.client
    for _ in range(options.repeats(3, 1)):
        rig.await_masks(AFTER_MASKS)
        _serve(rig, FIRST)
        if build:
            _forget_compiled(rig)
        before = client.request_id
        client.ask_for(SECOND)
        client.await_stage(stages, after=before, limit_s=STAGE_LIMIT_S)
        orphans = _builders(rig) if build else ()
        seconds = _restart(rig)
        if _still_there(rig, orphans):
            wrong.append('a build went on after its node was killed')
        rig.await_masks(AFTER_MASKS)
        for request in (SECOND, FIRST):
            note = client.load(request)
            if note.stage != 'serving' or note.model != request:
                wrong.append(f'{request} after a kill at {stages[0]}: {note.last_error}')
        wrong += _problems(rig)
        options.say(f'killed at {stages[0]}: masks {seconds:.2f} s after the restart')
    return wrong


def _forget_compiled(rig: Rig) -> None:
    for path in Path(rig.plan.cache_dir).iterdir():
        path.unlink()


def _builders(rig: Rig) -> tuple[int, ...]:
    """Wait until the child that compiles is there."""
    pid = rig.processes.pid(NODE)
    rig.client.await_that(
        lambda: bool(children_of(pid)), 'the process that compiles', limit_s=STAGE_LIMIT_S
    )
    return children_of(pid)


def _still_there(rig: Rig, pids: tuple[int, ...]) -> bool:
    def gone() -> bool:
        return not any(_runs(pid) for pid in pids)

    try:
        rig.client.await_that(gone, 'the end of the build', limit_s=ORPHAN_LIMIT_S)
    except MeasurementFailed:
        return True
    return False


def _runs(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text('utf-8').rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def _problems(rig: Rig) -> list[str]:
    """Look at cache and store."""
    found = [
        f'the cache holds {path.name}'
        for path in Path(rig.plan.cache_dir).iterdir()
        if path.name.endswith('.bad')
    ]
    store = ModelStore(rig.plan.store)
    for request in (FIRST, SECOND):
        try:
            verify_artifacts(store.resolve(request))
        except ModelError as error:
            found.append(str(error))
    return found
