"""Hundreds of reloads, good and failed: what stays behind in the node."""

from dataclasses import replace
from itertools import cycle
import os
from pathlib import Path

from edge_seg.cli.bench.client import CLEANUP, DEACTIVATE
from edge_seg.cli.bench.counted_node import (
    CloseCount,
    LOG_VARIABLE,
    MISFIT_VERSION,
    MUTE_VERSION,
    read_close_count,
)
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.process_figures import ProcessFigures
from edge_seg.cli.bench.result import BenchOptions, MeasurementFailed, Target
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.store import BadModel, copy_as, FIRST, NAME, nudge, SECOND
from edge_seg.errors import LoadStage
from edge_seg.models.store import ModelStore
from edge_seg.offline.reporting.charts import Chart, Series
import numpy as np

SETTLE_S = 0.1
SETTLING = 0.25
"""Share of the reloads that may still fill caches and pools: 50 of 200."""
SLOPE_KIB = 20.0
OVERSIZE_BYTES = 1 << 42
REPORT_EVERY = 25
NOTE = (
    'Memory is that of the node without shared memory (the DDS segments); slopes are Theil-Sen '
    f'estimates after the first {SETTLING:.0%} of the reloads. The failures at check and swap are '
    'made in the node: what check would find in a model, OpenVINO finds at build.'
)
RESIDENT = (
    'Resident memory (VmRSS) grew by {:.1f} and {:.1f} KiB for each good and failed reload; '
    'without shared memory, but with mapped files, by {:.1f} and {:.1f}.'
)
KINDS = ('good', 'failed')


def measure_endurance(
    plan: RigPlan, bad: tuple[BadModel, ...], options: BenchOptions, *, roomy: str
) -> Part:
    """Reload, each time to the other version; then ask for broken models, each kind in turn.

    Args:
        plan: what runs.
        bad: models to be refused.
        options: how many.
        roomy: a good model, whose compiled form is made to look too large for the memory.
    """
    part = Part()
    log = options.folder / 'endurance' / 'models.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    counted = replace(
        plan,
        node={**plan.node, 'probation_frames': 10},
        node_module='edge_seg.cli.bench.counted_node',
        node_environment={LOG_VARIABLE: str(log)},
    )
    with Rig(options.folder / 'endurance', counted) as rig:
        rig.start_all()
        oversized = _oversized(rig, Path(plan.cache_dir), roomy)
        good, failed = _good_reloads(rig, options)
        # Last: a build of another model would trim what is so large from the cache.
        kinds = (*bad, *_faulty(plan), oversized)
        wrong, refused = _failed_reloads(rig, kinds, options)
        for number in (DEACTIVATE, CLEANUP):
            if not rig.client.transition(number):
                raise MeasurementFailed('the node does not come down after the reloads')
        closed = read_close_count(log)
    if closed.opened < options.reloads:
        raise MeasurementFailed(
            f'{closed.opened} opened models were counted', expected=f'{options.reloads} or more'
        )
    report_memory(part, good, refused)
    _report_models(part, wrong, closed)
    _report_stages(part, kinds[: options.reloads], failed)
    return part


def _good_reloads(rig: Rig, options: BenchOptions) -> tuple[list[ProcessFigures], list[str]]:
    """Give a sample after each, and what failed."""
    samples, failed = [], []
    for index in range(options.reloads):
        request = SECOND if index % 2 == 0 else FIRST
        note = rig.client.load(request)
        if note.stage != 'serving' or note.model != request:
            failed.append(f'reload {index + 1} to {request}: {note.stage} {note.last_error}')
        samples.append(_sample(rig))
        if (index + 1) % REPORT_EVERY == 0:
            options.say(f'{index + 1} reloads: {_words(samples[-1])}')
    return samples, failed


def _failed_reloads(
    rig: Rig, bad: tuple[BadModel, ...], options: BenchOptions
) -> tuple[list[str], list[ProcessFigures]]:
    """Give what failed otherwise than expected, and a sample after each."""
    samples, wrong = [], []
    for index, model in zip(range(options.reloads), cycle(bad), strict=False):
        if model.oversized is not None:
            os.truncate(model.oversized, OVERSIZE_BYTES)
        note = rig.client.load(model.request)
        if note.stage != 'rejected' or not note.last_error.startswith(f'{model.stage}: '):
            wrong.append(f'{model.what}: {note.stage} {note.last_error}')
        samples.append(_sample(rig))
        if (index + 1) % REPORT_EVERY == 0:
            options.say(f'{index + 1} failed reloads: {_words(samples[-1])}')
    return wrong, samples


def _oversized(rig: Rig, cache: Path, roomy: str) -> BadModel:
    """Let a model be compiled, to find the file that is made to look too large."""
    before = set(cache.iterdir())
    rig.client.load(roomy)
    made = [path for path in set(cache.iterdir()) - before if path.suffix != '.lock']
    if len(made) != 1:
        raise MeasurementFailed(
            f'compiling {roomy} left {len(made)} new files in {cache}', expected='one'
        )
    if rig.client.load(FIRST).model != FIRST:
        raise MeasurementFailed(f'{FIRST} does not serve')
    what = 'a compiled form larger than the memory'
    return BadModel(roomy, 'load', what, oversized=made[0])


def _faulty(plan: RigPlan) -> tuple[BadModel, ...]:
    """Publish good models with which the counted node fails."""
    store = ModelStore(plan.store)
    for version in (MISFIT_VERSION, MUTE_VERSION):
        copy_as(store.resolve(FIRST), store.root, version, change=nudge, golden=True)
    return (
        BadModel(f'{NAME}@{MISFIT_VERSION}', 'check', 'outputs unlike the declared ones'),
        BadModel(f'{NAME}@{MUTE_VERSION}', 'swap', 'labels that cannot be published'),
    )


def _sample(rig: Rig) -> ProcessFigures:
    rig.client.rest(SETTLE_S)
    return rig.processes.figures(NODE)


def report_memory(part: Part, good: list[ProcessFigures], refused: list[ProcessFigures]) -> None:
    """Tell what stayed behind, from a sample after each reload."""
    for kind, samples in zip(KINDS, (good, refused), strict=True):
        late = samples[int(len(samples) * SETTLING) :]
        own = [float(each.own_kib) for each in late]
        part.targets[f'{kind}_reloads_memory'] = Target(slope(own), 'KiB/reload', SLOPE_KIB)
        part.targets[f'{kind}_reloads_threads'] = Target(
            drift([each.threads for each in late]), 'threads', 0.0
        )
        part.targets[f'{kind}_reloads_files'] = Target(
            drift([each.files for each in late]), 'files', 0.0
        )
        part.figures[f'{kind}_reloads'] = {
            'count': len(samples),
            'own_memory_kib': [each.own_kib for each in samples],
            'resident_slope_kib': slope([float(each.resident_kib) for each in late]),
            'resident_unshared_slope_kib': slope(
                [float(each.resident_kib - each.shared_kib) for each in late]
            ),
            'threads': [late[0].threads, late[-1].threads],
            'files': [late[0].files, late[-1].files],
        }
    slopes = (
        [part.figures[f'{kind}_reloads'][f'resident_{what}slope_kib'] for kind in KINDS]
        for what in ('', 'unshared_')
    )
    part.notes.append(RESIDENT.format(*(each for pair in slopes for each in pair)))
    part.charts.append(_chart(good, refused))


def _report_models(part: Part, wrong: list[str], closed: CloseCount) -> None:
    part.targets['failed_reloads_at_another_stage'] = Target(len(wrong), 'reloads', 0.0)
    part.targets['models_not_closed_exactly_once'] = Target(
        closed.open_still + closed.closed_again, 'models', 0.0
    )
    part.figures['models'] = {
        'opened': closed.opened,
        'closed_once': closed.closed_once,
        'failed_otherwise': wrong,
    }
    part.notes.append(NOTE)


def _report_stages(part: Part, asked: tuple[BadModel, ...], failed: list[str]) -> None:
    stages = {model.stage for model in asked}
    missing = [stage.value for stage in LoadStage if stage.value not in stages]
    part.targets['stages_that_nothing_failed_at'] = Target(len(missing), 'stages', 0.0)
    part.targets['good_reloads_that_failed'] = Target(len(failed), 'reloads', 0.0)
    part.figures['stages'] = {'provoked': sorted(stages), 'missing': missing}
    part.figures['good_reloads_that_failed'] = failed


def _chart(good: list[ProcessFigures], refused: list[ProcessFigures]) -> Chart:
    return Chart(
        title='Memory of the node over the reloads',
        x_label='reload',
        y_label='memory, not shared, in MiB',
        series=tuple(
            Series(
                name,
                tuple(float(index) for index in range(len(samples))),
                tuple(each.own_kib / 1024 for each in samples),
            )
            for name, samples in (('good reloads', good), ('failed reloads', refused))
        ),
    )


def slope(values: list[float]) -> float:
    """Give the Theil-Sen slope per step: the median of the slopes between all pairs."""
    y = np.asarray(values)
    first, second = np.triu_indices(len(y), k=1)
    return float(np.median((y[second] - y[first]) / (second - first))) if len(y) > 1 else 0.0


def drift(values: list[int]) -> float:
    """Give by how much the median of the last fifth exceeds that of the first fifth."""
    fifth = max(1, len(values) // 5)
    return float(np.median(values[-fifth:]) - np.median(values[:fifth]))


def _words(each: ProcessFigures) -> str:
    return f'{each.own_kib / 1024:.1f} MiB, {each.threads} threads, {each.files} files'


ROOMY = f'{NAME}@120'
"""The model for ``roomy``: as good as the others."""
