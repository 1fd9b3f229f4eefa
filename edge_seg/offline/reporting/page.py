"""The report of a model as one page of HTML; the words are in ``model.html``."""

from collections.abc import Sequence
from pathlib import Path

import edge_seg
from edge_seg.models.manifest import Manifest
from edge_seg.offline.kpi.commit import source_commit
from edge_seg.offline.kpi.run import now
from edge_seg.offline.reporting.charts import Bar, BarChart, Matrix, Plot
from edge_seg.offline.reporting.facts import Accuracy, ModelReport, size_of
from edge_seg.offline.reporting.pages import as_milliseconds, as_percent, fill
from edge_seg.offline.reporting.plots import draw

TEMPLATE = Path(__file__).with_name('model.html')
MAX_CLASS_BARS = 60
MAX_CELLS = 24
"""Classes in a matrix; with more of them nobody can read the numbers."""


def render(report: ModelReport) -> str:
    """Return the report as one HTML page.

    Raises:
        BackendUnavailable: Jinja2 or Matplotlib is not installed, or does not import.
    """
    accuracy = report.accuracy
    run = accuracy.row.run if accuracy is not None else next((r.run for r in report.runs), None)
    manifest = report.package.manifest
    provenance = manifest.provenance
    return fill(
        TEMPLATE,
        title=report.package.identity,
        report=report,
        run=run,
        size_of=size_of,
        signature=_signature(report),
        accuracy_plots=[] if accuracy is None else _accuracy_plots(accuracy),
        speed_plots=_speed_plots(report),
        about=_about(manifest),
        origin=[
            *provenance.fields,
            *((name, f'{value:g}') for name, value in provenance.metrics),
        ],
        made_by=f'{edge_seg.__version__} {source_commit()}'.rstrip() + f', {now()}',
    )


def _signature(report: ModelReport) -> tuple[str, str, bool]:
    """Give the state, a remark, and whether nobody should overlook it."""
    found = report.signature
    if found is None:
        return 'wrong', report.signature_problem, True
    if found.state == 'unsigned':
        return 'not signed', '', False
    key = f'{found.algorithm} key {found.key_id}'
    if found.state == 'good':
        return 'good', key, False
    return 'not checked', f'{key} is not trusted here', False


def _accuracy_plots(accuracy: Accuracy) -> list[Plot]:
    title, classes = 'IoU of each class', list(accuracy.classes)
    if len(classes) > MAX_CLASS_BARS:
        title = f'IoU of the {MAX_CLASS_BARS} worst of {len(classes)} classes'
        classes.sort(key=lambda each: -1.0 if each.iou is None else each.iou)
        del classes[MAX_CLASS_BARS:]
    bars = [
        Bar(
            each.name,
            None if each.iou is None else 100 * each.iou,
            as_percent(each.iou),
            each.color,
        )
        for each in classes
    ]
    plots = [draw(BarChart(title, 'IoU in %', bars, full=100.0))]
    names = [each.name for each in accuracy.classes]
    if 0 < len(names) <= MAX_CELLS:
        plots.append(draw(Matrix('Confusion', names, accuracy.confusion)))
    return plots


def _speed_plots(report: ModelReport) -> list[Plot]:
    bars = [
        Bar(
            f'{row.run.backend} {row.run.precision}, {row.run.kind}',
            row.run.p50_ms,
            as_milliseconds(row.run.p50_ms),
            mark=row.run.p95_ms,
        )
        for row in report.runs
    ]
    chart = BarChart(
        'Latency',
        'latency in ms',
        bars,
        value_name='median',
        mark_name='95 % of the frames keep it',
    )
    return [draw(chart)] if bars else []


def _about(manifest: Manifest) -> list[tuple[str, str]]:
    into, out = manifest.spec.input, manifest.spec.output
    normalisation = 'in the artifact'
    if into.dtype != 'uint8':
        normalisation = f'(pixel / {into.scale:g} - {_list(into.mean)}) / {_list(into.std)}'
    size = f'{into.size.width}x{into.size.height}'
    return [
        ('licence', manifest.licence),
        ('input', f'{size} {into.color_order}, {into.layout} {into.dtype}'),
        ('resize', f'{into.resize.mode.value}, {into.resize.anchor}'),
        ('normalisation', normalisation),
        ('output', f'{out.kind.value}, {out.layout}'),
    ]


def _list(values: Sequence[float]) -> str:
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
