"""``edge_seg model report``: all that is known of a model, as one HTML file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from edge_seg.cli.model.evaluate import kpi_run
from edge_seg.cli.model.measure import (
    frame_request,
    frames_options,
    kpi_option,
    opened_frames,
    record_run,
    run_options,
    to_run_options,
)
from edge_seg.cli.model.signature import signature_options
from edge_seg.cli.view import in_bytes, json_option, show_json, stores_option
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.workspace import reported
from edge_seg.offline.evaluation.evaluating import evaluate
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.evaluation.running import RunOptions
from edge_seg.offline.kpi.comparing import read_runs
from edge_seg.offline.kpi.recording import default_database
from edge_seg.offline.kpi.run import KpiRow
from edge_seg.offline.reporting.facts import collect, ModelReport
from edge_seg.offline.reporting.page import render
from edge_seg.offline.reporting.pages import check_pages
from edge_seg.offline.reporting.plots import check_plots
from edge_seg.offline.reporting.samples import draw_samples

NOT_RECORDED = 0  # numbers begin with 1


@click.command()
@click.argument('model')
@click.option(
    '--output',
    '-o',
    type=click.Path(dir_okay=False, path_type=Path),
    help='File; default: NAME-VERSION.html here.',
)
@click.option(
    '--samples',
    type=click.IntRange(0, 50),
    default=4,
    show_default=True,
    help='Frames to show with their masks.',
)
@click.option(
    '--evaluate', 'anew', is_flag=True, help='Evaluate MODEL first, as edge_seg model evaluate.'
)
@frames_options(100)
@run_options
@signature_options
@kpi_option
@click.option(
    '--database',
    type=click.Path(dir_okay=False, path_type=Path),
    help='KPI database to read; default: $EDGE_SEG_KPI, else ~/.local/state/edge_seg/kpi.sqlite.',
)
@stores_option
@json_option
def report(
    model: str,
    output: Path | None,
    samples: int,
    anew: bool,
    policy: SignaturePolicy,
    kpi: bool,
    database: Path | None,
    stores: LayeredStore,
    as_json: bool,
    **settings: Any,
) -> None:
    """Write what is known of MODEL as one HTML file that needs nothing else.

    Manifest, provenance, signature, sample frames; accuracy, latency and energy of its runs in
    the KPI database, beside those of its other versions.
    """
    check_pages()
    check_plots()
    package = stores.resolve(model)
    request = frame_request(settings)
    options = to_run_options(**settings)
    rows = _recorded(database)
    if anew:
        rows = (*rows, _evaluated(stores, package, request, options, kpi=kpi))
    shown = draw_samples(stores, package, replace(request, count=samples), options)
    made = collect(stores, package, rows, shown, policy)
    spec = package.manifest.spec
    target = output or Path(f'{spec.name}-{spec.version}.html')
    content = render(made).encode('utf-8')
    with reported(target):
        target.write_bytes(content)
    if as_json:
        show_json(_document(made, target, len(content)))
        return
    known = 'not evaluated yet' if made.accuracy is None else f'{made.accuracy.frames} frames'
    click.echo(f'{target}: {package.identity}, {in_bytes(len(content))}, accuracy: {known}')
    if shown.note and samples:
        click.echo(f'edge_seg: no samples: {shown.note}', err=True)


def _recorded(database: Path | None) -> tuple[KpiRow, ...]:
    if database is None and default_database() is None:
        return ()
    return read_runs(database)


def _evaluated(
    stores: LayeredStore,
    package: ModelPackage,
    request: FrameRequest,
    options: RunOptions,
    *,
    kpi: bool,
) -> KpiRow:
    with opened_frames(package.identity, request) as (frames, progress):
        result = evaluate(stores, package, frames, options=options, progress=progress)
    run = kpi_run(result)
    return KpiRow(record_run(kpi, run) or NOT_RECORDED, run)


def _document(made: ModelReport, target: Path, size: int) -> dict[str, Any]:
    return {
        'report': str(target),
        'size': size,
        'model': made.package.identity,
        'model_sha256': made.package.manifest_sha256,
        'signature': 'wrong' if made.signature is None else made.signature.state,
        'evaluated': made.accuracy is not None,
        'miou': None if made.accuracy is None else made.accuracy.miou,
        'runs': [row.number for row in made.runs],
        'samples': len(made.samples.frames),
    }
