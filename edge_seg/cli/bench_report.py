"""What is left of a benchmark: JSON, plots, a page of HTML and a table on the screen."""

from collections.abc import Mapping
from html import escape
import json
import math
from pathlib import Path
from typing import Any

from edge_seg.cli.bench_result import BenchResult, Target
from edge_seg.cli.bench_svg import draw
from rich.table import Table

STYLE = """
body { font-family: sans-serif; max-width: 60em; margin: 2em auto; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.met { color: #2c7a45; } .missed { color: #b0413e; font-weight: bold; }
svg { width: 100%; margin: 1em 0; }
"""


def document(result: BenchResult, about: Mapping[str, Any]) -> dict[str, Any]:
    """Give everything as JSON knows it; numbers that are not known become null.

    Args:
        result: the benchmark.
        about: environment and load of the machine.
    """
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
        **about,
        'targets': targets,
        'figures': result.figures,
        'notes': list(result.notes),
    }
    known: dict[str, Any] = _known(whole)
    return known


def write_report(folder: Path, result: BenchResult, about: Mapping[str, Any]) -> list[Path]:
    """Write <name>.json, <name>.html and one SVG for each chart; gives the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = document(result, about)
    data = folder / f'{result.name}.json'
    data.write_text(json.dumps(whole, indent=2) + '\n', 'utf-8')
    charts = [draw(chart) for chart in result.charts]
    paths = [data]
    for index, chart in enumerate(charts):
        path = folder / f'{result.name}-{index + 1}.svg'
        path.write_text(chart, 'utf-8')
        paths.append(path)
    page = folder / f'{result.name}.html'
    page.write_text(_page(result, whole, charts), 'utf-8')
    return [*paths, page]


def table_of(result: BenchResult) -> Table:
    """Make the table for the screen."""
    table = Table(title=result.title, title_justify='left')
    table.add_column('', overflow='fold')
    table.add_column('measured', justify='right')
    table.add_column('target')
    table.add_column('')
    for name, each in result.targets.items():
        verdict = '[green]met[/]' if each.met else '[bold red]missed[/]'
        table.add_row(name, _measured(each), each.wanted, verdict)
    return table


def _page(result: BenchResult, whole: Mapping[str, Any], charts: list[str]) -> str:
    rows = ''.join(
        f'<tr><td>{escape(name)}</td><td class="number">{_measured(each)}</td>'
        f'<td>{escape(each.wanted)}</td>'
        f'<td class="{_verdict(each)}">{_verdict(each)}</td></tr>'
        for name, each in result.targets.items()
    )
    about = ''.join(
        f'<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>'
        for name, value in {**whole.get('environment', {}), **whole.get('load', {})}.items()
    )
    notes = ''.join(f'<p>{escape(note)}</p>' for note in result.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(result.name)}'
        f'</title><style>{STYLE}</style><h1>{escape(result.name)}</h1><p>{escape(result.title)}.'
        f'</p><table><tr><th></th><th>measured</th><th>target</th><th></th></tr>{rows}</table>'
        f'{notes}{"".join(charts)}<h2>Where</h2><table>{about}</table></html>\n'
    )


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
