"""What is left of a benchmark: JSON, plots, a page of HTML and a table on the screen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
import json
import math
from pathlib import Path
from typing import Any

from edge_seg.cli.bench.result import BenchResult, Listing, Target
from edge_seg.cli.bench.svg import draw
from rich.table import Table

STYLE = """
body { font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
h2 { margin-top: 2em; border-bottom: 2px solid #ddd; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left; }
td.number, td.bound { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.met { color: #2c7a45; } .missed { color: #b0413e; font-weight: bold; }
.noisy { background: #fdf0d5; border-left: .4em solid #d9822b; padding: .6em 1em; }
svg { width: 100%; margin: 1em 0; }
"""
HEAD = '<tr><th></th><th>measured</th><th>target</th><th></th></tr>'


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark and where it ran.

    Attributes:
        result: the figures.
        environment: machine, versions, commit.
        load: of the machine before and after, and what others computed meanwhile; 'noisy'.
        how: number of runs, quick or not, seconds that it took.
        warning: for people, '' on a quiet machine.
    """

    result: BenchResult
    environment: Mapping[str, str]
    load: Mapping[str, Any]
    how: Mapping[str, Any]
    warning: str = ''


def document(report: Report) -> dict[str, Any]:
    """Give everything as JSON knows it; numbers that are not known become null."""
    result = report.result
    targets = {
        name: {
            'value': each.value,
            'unit': each.unit,
            'target': each.wanted,
            'met': each.met,
        }
        for name, each in result.targets.items()
    }
    whole = {
        'benchmark': result.name,
        'title': result.title,
        'environment': report.environment,
        'load': report.load,
        'how': report.how,
        'targets': targets,
        'figures': result.figures,
        'notes': list(result.notes),
    }
    known: dict[str, Any] = _known(whole)
    return known


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write <name>.json, <name>.html and one SVG for each chart; gives the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    result = report.result
    data = folder / f'{result.name}.json'
    data.write_text(json.dumps(document(report), indent=2) + '\n', 'utf-8')
    paths = [data]
    for old in folder.glob(f'{result.name}-[0-9]*.svg'):
        old.unlink()
    for index, chart in enumerate(result.charts):
        path = folder / f'{result.name}-{index + 1}.svg'
        path.write_text(draw(chart), 'utf-8')
        paths.append(path)
    page = folder / f'{result.name}.html'
    body = f'<h1>{escape(result.name)}</h1>{_section(report)}{_where(report)}'
    page.write_text(_page(f'edge_seg bench {result.name}', body), 'utf-8')
    return [*paths, page]


def write_index(folder: Path, reports: Sequence[Report]) -> Path:
    """Write index.html: the table of all benchmarks of a run, then each of them."""
    rows = ''.join(_rows(report.result.targets) for report in reports)
    sections = ''.join(
        f'<h2>{escape(report.result.name)}</h2>{_section(report)}' for report in reports
    )
    noisy = ', '.join(report.result.name for report in reports if report.warning)
    warning = f'<p class="noisy">The machine was not quiet during {noisy}.</p>' if noisy else ''
    table = f'<table>{HEAD}{rows}</table>'
    body = f'<h1>edge_seg bench</h1>{warning}{table}{sections}{_where(reports[0])}'
    path = folder / 'index.html'
    path.write_text(_page('edge_seg bench', body), 'utf-8')
    return path


def table_of(title: str, reports: Iterable[Report]) -> Table:
    """Make the table for the screen."""
    table = Table(title=title, title_justify='left')
    table.add_column('', overflow='fold')
    table.add_column('measured', justify='right', no_wrap=True)
    table.add_column('target', no_wrap=True)
    table.add_column('', no_wrap=True)
    for report in reports:
        for name, each in report.result.targets.items():
            verdict = '[green]met[/]' if each.met else '[bold red]missed[/]'
            table.add_row(each.what or name, _measured(each), each.wanted, verdict)
    return table


def listing_of(listing: Listing) -> Table:
    """Make a table of figures for the screen."""
    table = Table()
    for index, column in enumerate(listing.columns):
        table.add_column(column, justify='right' if index else 'left', no_wrap=index > 0)
    for row in listing.rows:
        table.add_row(*row)
    return table


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n'
    )


def _section(report: Report) -> str:
    result = report.result
    noisy = f'<p class="noisy">{escape(report.warning)}</p>' if report.warning else ''
    table = f'<table>{HEAD}{_rows(result.targets)}</table>' if result.targets else ''
    notes = ''.join(f'<p>{escape(note)}</p>' for note in result.notes)
    charts = ''.join(map(draw, result.charts))
    listings = ''.join(map(_listing, result.listings))
    return f'<p>{escape(result.title)}.</p>{noisy}{table}{charts}{listings}{notes}'


def _listing(listing: Listing) -> str:
    heads = ''.join(f'<th>{escape(column)}</th>' for column in listing.columns)
    rows = ''.join(
        f'<tr><td>{escape(row[0])}</td>'
        + ''.join(f'<td class="number">{escape(cell)}</td>' for cell in row[1:])
        + '</tr>'
        for row in listing.rows
    )
    return f'<table><tr>{heads}</tr>{rows}</table>'


def _rows(targets: Mapping[str, Target]) -> str:
    return ''.join(
        f'<tr><td>{escape(each.what or name)}</td><td class="number">{_measured(each)}</td>'
        f'<td class="bound">{escape(each.wanted)}</td>'
        f'<td class="{_verdict(each)}">{_verdict(each)}</td></tr>'
        for name, each in targets.items()
    )


def _where(report: Report) -> str:
    rows = ''.join(
        f'<tr><td>{escape(name)}</td><td>{escape(_plain(value))}</td></tr>'
        for name, value in {**report.environment, **report.load, **report.how}.items()
    )
    return f'<h2>Where</h2><table>{rows}</table>'


def _plain(value: object) -> str:
    return f'{value:.3g}' if isinstance(value, float) else str(value)


def _verdict(target: Target) -> str:
    return 'met' if target.met else 'missed'


def _measured(target: Target) -> str:
    value = target.value
    text = (
        f'{value:.0f}' if abs(value) >= 1000 or value == _whole_or_nan(value) else f'{value:.3g}'
    )
    return f'{text} {target.unit}'.rstrip()


def _whole_or_nan(value: float) -> float:
    return value if math.isfinite(value) and value == int(value) else math.nan


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _known(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return round(value, 4) if math.isfinite(value) else None
