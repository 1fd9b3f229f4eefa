"""``edge_seg model evaluate``: how good a model is, with the frame path of the node."""

from typing import Any

import click
from edge_seg.cli.model_measure import (
    frame_progress,
    frame_request,
    frames_options,
    in_percent,
    in_words,
    kpi_option,
    record_run,
    run_fields,
    run_options,
    step_bar,
    to_run_options,
)
from edge_seg.cli.model_view import json_option, show_json, show_pairs, show_table, stores_option
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.evaluating import evaluate as evaluate_model
from edge_seg.offline.evaluation.frames import open_frames
from edge_seg.offline.evaluation.results import as_document, EvaluationResult
from edge_seg.offline.kpi import KpiRun


@click.command()
@click.argument('model')
@frames_options(300)
@click.option(
    '--reference', default='', metavar='MODEL', help='Take its masks for true: no labels needed.'
)
@click.option('--min-miou', type=click.FloatRange(0, 1), help='Exit with 1 below this mIoU.')
@run_options
@kpi_option
@stores_option
@json_option
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
    frames = open_frames(frame_request(settings))
    options = to_run_options(**settings)
    with step_bar(model) as move:
        result = evaluate_model(
            stores,
            model,
            frames,
            options=options,
            reference=reference,
            progress=frame_progress(move),
        )
    if as_json:
        show_json(as_document(result))
    else:
        _show(result)
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
    return KpiRun(
        kind='evaluate',
        **run_fields(result.run),
        miou=result.miou if result.truth == 'labels' else None,
        p50_ms=result.total.p50_ms,
        p95_ms=result.total.p95_ms,
        energy_j=result.energy_j,
        document=as_document(result),
    )


def _show(result: EvaluationResult) -> None:
    against = 'label maps' if result.truth == 'labels' else f'the masks of {result.truth}'
    show_pairs(
        [
            ('model', in_words(result.run)),
            ('frames', f'{result.frames}, {result.data}'),
            ('against', against),
            ('mIoU', in_percent(result.miou)),
            ('pixel accuracy', in_percent(result.pixel_accuracy)),
            ('latency', f'{result.total.p50_ms:.1f} ms median, {result.total.p95_ms:.1f} ms 95 %'),
        ]
    )
    click.echo()
    total = max(1, result.pixels)
    names = [score.name for score in result.classes]
    rows = [
        [score.name, in_percent(score.iou), in_percent(score.pixels / total)]
        + [f'{count / max(1, score.pixels):.1%}' for count in row]
        for score, row in zip(result.classes, result.confusion, strict=True)
    ]
    show_table(['CLASS', 'IOU', 'OF PIXELS', *(f'AS {name}' for name in names), 'AS NONE'], rows)
