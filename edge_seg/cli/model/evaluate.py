"""``edge_seg model evaluate``: how good a model is, with the frame path of the node."""

from typing import Any

import click
from edge_seg.cli.model.measure import (
    frame_request,
    in_percent,
    in_words,
    kpi_row,
    measuring_options,
    opened_frames,
    record_run,
    show_result,
    to_run_options,
)
from edge_seg.cli.view import show_pairs, show_table
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.evaluating import evaluate as evaluate_model
from edge_seg.offline.evaluation.results import ClassScore, EvaluationResult
from edge_seg.offline.kpi import KpiRun

COLUMNS = ('CLASS', 'IOU', 'OF PIXELS')
MAX_COLUMNS = 12
"""Classes whose confusion matrix still fits a terminal."""


@click.command()
@click.argument('model')
@click.option(
    '--reference', default='', metavar='MODEL', help='Take its masks for true: no labels needed.'
)
@click.option('--min-miou', type=click.FloatRange(0, 1), help='Exit with 1 below this mIoU.')
@measuring_options(0)
def evaluate(
    model: str,
    reference: str,
    min_miou: float | None,
    stores: LayeredStore,
    kpi: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Score MODEL against label maps, rendered scenes, or the masks of another model.

    Frames go through the same pre- and postprocessing as in the node.
    """
    request = frame_request(settings)
    options = to_run_options(**settings)
    with opened_frames(model, request) as (frames, progress):
        result = evaluate_model(
            stores, model, frames, options=options, reference=reference, progress=progress
        )
    show_result(result, _show, as_json=as_json)
    record_run(kpi, kpi_run(result))
    if min_miou is None or (result.miou is not None and result.miou >= min_miou):
        return 0
    click.echo(
        f'edge_seg: {result.run.model}: mIoU is {in_percent(result.miou)}; '
        f'expected at least {min_miou:.2%}',
        err=True,
    )
    return 1


def kpi_run(result: EvaluationResult) -> KpiRun:
    """Make the row of the KPI database."""
    miou = result.miou if result.truth == 'labels' else None
    return kpi_row(
        'evaluate', result.run, result, total=result.total, energy_j=result.energy_j, miou=miou
    )


def _show(result: EvaluationResult) -> None:
    total = result.total
    against = 'label maps' if result.truth == 'labels' else f'the masks of {result.truth}'
    show_pairs(
        [
            ('model', in_words(result.run)),
            ('frames', f'{result.frames}, {result.data}'),
            ('against', against),
            ('mIoU', in_percent(result.miou)),
            ('pixel accuracy', in_percent(result.pixel_accuracy)),
            ('latency', f'{total.p50_ms:.1f} ms median, 95 % within {total.p95_ms:.1f} ms'),
        ]
    )
    click.echo()
    if len(result.classes) <= MAX_COLUMNS:
        _show_confusion(result)
    else:
        _show_classes(result)


def _show_confusion(result: EvaluationResult) -> None:
    names = [score.name for score in result.classes]
    rows = [
        [*_score(result, score), *(f'{count / max(1, score.pixels):.1%}' for count in row)]
        for score, row in zip(result.classes, result.confusion, strict=True)
    ]
    show_table([*COLUMNS, *(f'AS {name}' for name in names), 'AS NONE'], rows)


def _show_classes(result: EvaluationResult) -> None:
    """Show many classes, each with the one that it is taken for most."""
    names = [*(score.name for score in result.classes), 'none']
    rows = []
    for number, (score, row) in enumerate(zip(result.classes, result.confusion, strict=True)):
        wrong = [0 if index == number else count for index, count in enumerate(row)]
        most = max(range(len(wrong)), key=lambda index: wrong[index])
        share = wrong[most] / max(1, score.pixels)
        mistaken = f'{share:.1%} as {names[most]}' if wrong[most] else '-'
        rows.append([*_score(result, score), mistaken])
    show_table([*COLUMNS, 'MOSTLY MISTAKEN'], rows)


def _score(result: EvaluationResult, score: ClassScore) -> list[str]:
    share = score.pixels / max(1, result.pixels)
    return [score.name, in_percent(score.iou), in_percent(share)]
