"""The page: HTML with everything in it, which loads nothing and runs no script."""

from collections.abc import Sequence
from html import escape

import edge_seg
from edge_seg.offline.kpi.commit import source_commit
from edge_seg.offline.kpi.run import now
from edge_seg.offline.reporting.facts import Accuracy, ModelReport, size_of
from edge_seg.offline.reporting.parts import (
    as_bytes,
    as_milliseconds,
    as_percent,
    facts_table,
    section,
    table,
    tiles,
    WRONG,
)
from edge_seg.offline.reporting.samples import as_data, Samples
from edge_seg.offline.reporting.style import STYLE
from edge_seg.offline.reporting.svg import Bar, bars, matrix

BLUE, PALE = 'var(--p50)', 'var(--p95)'
MAX_CLASS_BARS = 60


def render(report: ModelReport) -> str:
    """Return the report as one HTML page."""
    identity = report.package.identity
    description = ' '.join(report.package.manifest.description.split())
    body = [
        f'<h1>{escape(identity)}</h1>',
        f'<p class="lead">{escape(description)}</p>' if description else '',
        _summary(report),
        _samples(report.samples),
        _accuracy(report.accuracy),
        _speed(report),
        _versions(report),
        _about(report),
        _files(report),
        section(
            'Manifest',
            f'<details><summary>manifest.yaml, sha256 {report.package.manifest_sha256}</summary>'
            f'<pre>{escape(report.manifest_text)}</pre></details>',
        ),
        (
            f'<footer>edge_seg {escape(edge_seg.__version__)} {escape(source_commit())}, '
            f'{escape(now())}</footer>'
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Names and texts come from strangers: whatever they are, nothing is loaded or run.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f'<title>{escape(identity)}</title><style>{STYLE}</style></head>\n<body><main>'
        f'{"".join(body)}</main></body></html>\n'
    )


def _summary(report: ModelReport) -> str:
    accuracy = report.accuracy
    run = accuracy.row.run if accuracy is not None else next((r.run for r in report.runs), None)
    shown = [
        (
            'mIoU' if accuracy is None or accuracy.truth == 'labels' else 'agreement (mIoU)',
            'not evaluated' if accuracy is None else as_percent(accuracy.miou),
            '' if accuracy is None else f'{accuracy.frames} frames',
        ),
        (
            'latency, median',
            'not measured' if run is None else as_milliseconds(run.p50_ms),
            '' if run is None else f'{run.backend}, {run.precision}',
        ),
        ('size', as_bytes(size_of(report.package)), _formats(report)),
        ('signature', *_signature(report)),
    ]
    if run is not None and run.energy_j is not None:
        shown.append(('energy a frame', f'{run.energy_j:.3g} J', run.backend))
    return tiles(shown)


def _signature(report: ModelReport) -> tuple[str, str]:
    found = report.signature
    if found is None:
        return WRONG, report.signature_problem
    if found.state == 'unsigned':
        return 'not signed', ''
    key = f'{found.algorithm} key {found.key_id}'
    return (
        ('good', key) if found.state == 'good' else ('not checked', f'{key} is not trusted here')
    )


def _formats(report: ModelReport) -> str:
    return ', '.join(artifact.format.value for artifact in report.package.manifest.artifacts)


def _samples(samples: Samples) -> str:
    if not samples.frames:
        return section('Samples', f'<p class="none">None: {escape(samples.note)}.</p>')
    shown = []
    for sample in samples.frames:
        pictures = [('camera', sample.camera), ('model', sample.overlay)]
        if sample.truth is not None:
            pictures.append(('truth', sample.truth))
        figures = ''.join(
            f'<figure><img alt="{escape(f"{sample.name}, {what}")}" src="{as_data(jpeg)}">'
            f'<figcaption>{what}</figcaption></figure>'
            for what, jpeg in pictures
        )
        shown.append(f'<div class="sample" title="{escape(sample.name)}">{figures}</div>')
    return section('Samples', f'<p>{escape(samples.data)}.</p>{"".join(shown)}')


def _accuracy(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        words = (
            'Not evaluated yet: <code>edge_seg model evaluate</code> does, then make this anew.'
        )
        return section('Accuracy', f'<p class="none">{words}</p>')
    against = 'label maps' if accuracy.truth == 'labels' else f'the masks of {accuracy.truth}'
    run = accuracy.row.run
    words = (
        f'{accuracy.frames} frames ({accuracy.data}) against {against}: mIoU '
        f'{as_percent(accuracy.miou)}, {as_percent(accuracy.pixel_accuracy)} of the pixels right. '
        f'{run.backend}, {run.precision}, {run.time[:10]}.'
    )
    listed = sorted(accuracy.classes, key=lambda each: -1.0 if each.iou is None else each.iou)
    rows = [
        Bar(each.name, each.iou, as_percent(each.iou), f'rgb{each.color}')
        for each in (listed[:MAX_CLASS_BARS] if len(listed) > MAX_CLASS_BARS else accuracy.classes)
    ]
    parts = [f'<p>{escape(words)}</p>', '<h3>IoU of each class</h3>', bars(rows, full=1.0)]
    if len(listed) > MAX_CLASS_BARS:
        parts.append(f'<p>The {MAX_CLASS_BARS} worst of {len(listed)} classes.</p>')
    drawn = matrix([each.name for each in accuracy.classes], accuracy.confusion)
    if drawn:
        parts += [
            '<h3>Confusion</h3>',
            (
                '<p>Rows: what pixels are. Columns: what the model takes '
                'them for, in percent of the row.</p>'
            ),
            drawn,
        ]
    return section('Accuracy', ''.join(parts))


def _speed(report: ModelReport) -> str:
    if not report.runs:
        return section('Speed', '<p class="none">Not measured yet.</p>')
    rows = [
        Bar(
            f'{row.run.backend} {row.run.precision}, {row.run.kind}',
            row.run.p50_ms,
            as_milliseconds(row.run.p50_ms),
            BLUE,
            row.run.p95_ms,
        )
        for row in report.runs
    ]
    listed = [
        [
            str(row.number or '-'),
            row.run.time.replace('T', ' ')[:16],
            row.run.kind,
            row.run.backend,
            row.run.precision,
            as_milliseconds(row.run.p50_ms),
            as_milliseconds(row.run.p95_ms),
            '-' if row.run.energy_j is None else f'{row.run.energy_j:.3g} J',
            row.run.device,
        ]
        for row in report.runs
    ]
    heads = ['run', 'time', 'kind', 'backend', 'precision', 'p50', 'p95', 'energy', 'device']
    return section(
        'Speed',
        '<p>From decoded frame to mask, of a bench from camera stamp to consumer: the bar is the '
        'median, the mark what 95 % of the frames keep.</p>'
        f'{bars(rows)}{table(heads, listed, numbers=(5, 6, 7))}',
    )


def _versions(report: ModelReport) -> str:
    rows = []
    for version in report.versions:
        run = None if version.run is None else version.run.run
        rows.append(
            [
                version.package.manifest.spec.version
                + (' (this one)' if version.package.path == report.package.path else ''),
                ', '.join(version.labels),
                as_bytes(version.size_bytes),
                '-' if run is None else run.precision,
                '-' if run is None or run.miou is None else as_percent(run.miou),
                '-' if run is None else as_milliseconds(run.p50_ms),
                '-' if run is None else as_milliseconds(run.p95_ms),
            ]
        )
    if len(rows) < 2:
        return ''
    heads = ['version', 'labels', 'size', 'precision', 'mIoU', 'p50', 'p95']
    return section(
        'Versions',
        '<p>Runs of the same kind, on the same machine and over the same frames; a dash where '
        f'there is none.</p>{table(heads, rows, numbers=(2, 4, 5, 6))}',
    )


def _about(report: ModelReport) -> str:
    manifest, spec = report.package.manifest, report.package.manifest.spec
    into, out = spec.input, spec.output
    normalisation = 'in the artifact'
    if into.dtype != 'uint8':
        normalisation = f'(pixel / {into.scale:g} - {_list(into.mean)}) / {_list(into.std)}'
    facts = [
        ('licence', manifest.licence),
        (
            'input',
            f'{into.size.width}x{into.size.height} {into.color_order}, {into.layout} {into.dtype}',
        ),
        ('resize', f'{into.resize.mode.value}, {into.resize.anchor}'),
        ('normalisation', normalisation),
        ('output', f'{out.kind.value}, {out.layout}'),
    ]
    origin = [
        *manifest.provenance.fields,
        *((name, f'{value:g}') for name, value in manifest.provenance.metrics),
    ]
    swatches = ''.join(
        f'<span class="class"><i style="background:rgb{info.color}"></i>{number} '
        f'{escape(info.name)}</span>'
        for number, info in enumerate(spec.classes)
    )
    parts = [facts_table(facts), f'<h3>Classes</h3><p>{swatches}</p>']
    if origin:
        parts += ['<h3>Provenance, as its maker says</h3>', facts_table(origin)]
    return section('About', ''.join(parts))


def _files(report: ModelReport) -> str:
    package = report.package
    rows = [
        [
            artifact.format.value,
            file.path,
            as_bytes(package.path_of(file).stat().st_size),
            file.sha256,
        ]
        for artifact in package.manifest.artifacts
        for file in artifact.files
    ]
    return section(
        'Files', table(['format', 'file', 'size', 'sha256'], rows, numbers=(2,), digest=3)
    )


def _list(values: Sequence[float]) -> str:
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
