"""``edge_seg kpi``: list, compare and export the runs that were measured."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
import json
from pathlib import Path
from typing import Any

import click
from edge_seg.cli.main import EXIT_CODES, LazyGroup
from edge_seg.cli.view import in_bytes, json_option, show_json, show_table
from edge_seg.models.workspace import reported
from edge_seg.offline.kpi.comparing import (
    compare_runs,
    database_to_read,
    FigurePair,
    find_run,
    read_runs,
    Wanted,
)
from edge_seg.offline.kpi.exporting import as_csv, run_document
from edge_seg.offline.kpi.run import KINDS, KpiRow

COMMANDS: Mapping[str, tuple[str, str]] = {
    'list': ('edge_seg.cli.kpi:list_runs', 'List runs, the newest last.'),
    'compare': ('edge_seg.cli.kpi:compare', 'Set two runs side by side.'),
    'export': ('edge_seg.cli.kpi:export', 'Write runs as CSV or JSON.'),
}
UNITS = {'miou': '', 'p50_ms': 'ms', 'p95_ms': 'ms', 'size_bytes': '', 'energy_j': 'J'}
NAMES = {
    'miou': 'mIoU',
    'p50_ms': 'latency p50',
    'p95_ms': 'latency p95',
    'size_bytes': 'size',
    'energy_j': 'energy/frame',
}
COLUMNS = (
    'RUN', 'TIME (UTC)', 'KIND', 'MODEL', 'BACKEND', 'PRECISION', 'MIOU', 'P50', 'P95', 'SIZE',
    'ENERGY', 'DEVICE',
)  # fmt: skip
DEVICE = COLUMNS.index('DEVICE')
Command = Callable[..., Any]


@click.group(cls=LazyGroup, table=COMMANDS, epilog=EXIT_CODES)
def command() -> None:
    """Compare what was measured.

    edge_seg model evaluate, optimize, parity, profile and edge_seg bench record each run in
    $EDGE_SEG_KPI, else ~/.local/state/edge_seg/kpi.sqlite. EDGE_SEG_KPI=off records nothing.
    """


def wanted_options(function: Command) -> Command:
    """Give a command the options that choose runs; it takes ``path`` and ``wanted``."""

    @click.option(
        '--database', 'path', type=click.Path(dir_okay=False, path_type=Path), help='The file.'
    )
    @click.option('--kind', type=click.Choice(KINDS), default=None, help='Which command it was.')
    @click.option('--model', default='', help='NAME, NAME@VERSION or the start of its sha256.')
    @click.option('--backend', default='', help='Name of the backend.')
    @click.option('--device', default='', help="A part of the device's name.")
    @click.option('--precision', default='', help='For example int8.')
    @wraps(function)
    def with_wanted(
        *args: Any,
        kind: str | None,
        model: str,
        backend: str,
        device: str,
        precision: str,
        **kwargs: Any,
    ) -> Any:
        wanted = Wanted(
            model=model, kind=kind or '', backend=backend, device=device, precision=precision
        )
        return function(*args, wanted=wanted, **kwargs)

    return with_wanted


@click.command('list')
@wanted_options
@click.option(
    '--last', type=click.IntRange(min=1), default=30, show_default=True, help='How many.'
)
@json_option
def list_runs(path: Path | None, wanted: Wanted, last: int, as_json: bool) -> None:
    """List runs, the newest last; a dash is what was not measured or is not known."""
    rows = read_runs(path, wanted)[-last:]
    if as_json:
        show_json([run_document(row) for row in rows])
        return
    if not rows:
        click.echo(f'{database_to_read(path)}: no such runs')
        return
    _show_known(COLUMNS, [_row(row) for row in rows])


@click.command()
@click.argument('a')
@click.argument('b')
@wanted_options
@json_option
def compare(a: str, b: str, path: Path | None, wanted: Wanted, as_json: bool) -> None:
    """Set run B beside run A, each a number of edge_seg kpi list or a model's newest run.

    With --kind, --device and so on, a model's newest run of that sort.
    """
    rows = read_runs(path, wanted)
    result = compare_runs(find_run(rows, a), find_run(rows, b))
    if as_json:
        show_json(
            {
                'a': run_document(result.a),
                'b': run_document(result.b),
                'figures': {
                    each.name: {
                        'a': each.a,
                        'b': each.b,
                        'difference': each.difference,
                        'ratio': each.ratio,
                    }
                    for each in result.figures
                },
                'notes': list(result.notes),
            }
        )
        return
    table = [_facts(name, result.a, result.b) for name in ('model', 'kind', 'time', 'precision')]
    table += [_facts(name, result.a, result.b) for name in ('backend', 'device')]
    table += [_figure(each) for each in result.figures]
    show_table(
        ['', f'A (run {result.a.number})', f'B (run {result.b.number})', 'B - A', 'B / A'], table
    )
    for note in result.notes:
        click.echo(f'note: {note}')


@click.command()
@wanted_options
@click.option(
    '--format',
    'form',
    type=click.Choice(['csv', 'json']),
    default='csv',
    show_default=True,
    help='JSON has everything, CSV the columns.',
)
@click.option(
    '--output',
    '-o',
    type=click.Path(dir_okay=False, path_type=Path),
    help='File; standard output without it.',
)
def export(path: Path | None, wanted: Wanted, form: str, output: Path | None) -> None:
    """Write runs, oldest first."""
    rows = read_runs(path, wanted)
    text = as_csv(rows)
    if form == 'json':
        documents = [run_document(row) for row in rows]
        text = json.dumps(documents, indent=2, ensure_ascii=False) + '\n'
    if output is None:
        click.echo(text, nl=False)
        return
    with reported(output):
        output.write_text(text, 'utf-8')
    click.echo(f'{output}: {len(rows)} runs', err=True)


def _show_known(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show the columns in which anything is known; a device that all have is named once."""
    known = [number for number, cells in enumerate(zip(*rows, strict=True)) if {*cells} != {'-'}]
    devices = {row[DEVICE] for row in rows}
    if len(devices) == 1:
        known = [number for number in known if number != DEVICE]
    show_table(
        [columns[number] for number in known], [[row[number] for number in known] for row in rows]
    )
    if len(devices) == 1 and devices != {'-'}:
        click.echo(f'all on {devices.pop()}')


def _row(row: KpiRow) -> list[str]:
    run = row.run
    return [
        str(row.number),
        run.time.replace('T', ' ')[:16],
        run.kind,
        run.model or str(run.document.get('benchmark', '-')),
        run.backend or '-',
        run.precision or '-',
        *(_shown(name, getattr(run, name)) for name in NAMES),
        run.device or '-',
    ]


def _facts(name: str, a: KpiRow, b: KpiRow) -> list[str]:
    return [name, str(getattr(a.run, name) or '-'), str(getattr(b.run, name) or '-'), '', '']


def _figure(pair: FigurePair) -> list[str]:
    difference, ratio = '', ''
    if pair.difference is not None:
        sign = '+' if pair.difference > 0 else ''
        difference = sign + _shown(pair.name, pair.difference)
        if pair.name == 'miou':
            difference = f'{sign}{100 * pair.difference:.2f} points'
    if pair.ratio is not None:
        ratio = f'{pair.ratio:.3f}'
    return [
        NAMES[pair.name],
        _shown(pair.name, pair.a),
        _shown(pair.name, pair.b),
        difference,
        ratio,
    ]


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return '-'
    if name == 'size_bytes':
        return ('-' if value < 0 else '') + in_bytes(abs(int(value)))
    if name == 'miou':
        return f'{value:.2%}'
    return f'{value:.3g} {UNITS[name]}'
