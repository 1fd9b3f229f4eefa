"""What is left of a benchmark: JSON, plots, a page of HTML and a table on the screen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from edge_seg.cli.bench.result import BenchResult, Listing, Target
from edge_seg.offline.reporting.charts import Plot
from edge_seg.offline.reporting.pages import fill
from edge_seg.offline.reporting.plots import draw
from rich.table import Table

TEMPLATE = Path(__file__).with_name('report.html')


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
    """Write <name>.json, <name>.html and one SVG for each chart; gives the paths.

    Raises:
        BackendUnavailable: Jinja2 or Matplotlib is not installed, or does not import.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = report.result
    data = folder / f'{result.name}.json'
    data.write_text(json.dumps(document(report), indent=2) + '\n', 'utf-8')
    paths = [data]
    for old in folder.glob(f'{result.name}-[0-9]*.svg'):
        old.unlink()
    plots = _plots(report)
    for index, plot in enumerate(plots):
        path = folder / f'{result.name}-{index + 1}.svg'
        path.write_text(plot.svg, 'utf-8')
        paths.append(path)
    page = folder / f'{result.name}.html'
    page.write_text(_page(f'edge_seg bench {result.name}', [(report, plots)]), 'utf-8')
    return [*paths, page]


def write_index(folder: Path, reports: Sequence[Report]) -> Path:
    """Write index.html: the table of all benchmarks of a run, then each of them.

    Raises:
        BackendUnavailable: see :func:`write_report`.
    """
    path = folder / 'index.html'
    content = _page(
        'edge_seg bench',
        [(report, _plots(report)) for report in reports],
        together=[pair for report in reports for pair in report.result.targets.items()],
        noisy=[report.result.name for report in reports if report.warning],
    )
    path.write_text(content, 'utf-8')
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
            table.add_row(each.title(name), each.measured, each.wanted, verdict)
    return table


def listing_of(listing: Listing) -> Table:
    """Make a table of figures for the screen."""
    table = Table()
    for index, column in enumerate(listing.columns):
        table.add_column(column, justify='right' if index else 'left', no_wrap=index > 0)
    for row in listing.rows:
        table.add_row(*row)
    return table


def _plots(report: Report) -> list[Plot]:
    return [draw(chart) for chart in report.result.charts]


def _page(
    title: str,
    reports: Sequence[tuple[Report, Sequence[Plot]]],
    *,
    together: Sequence[tuple[str, Target]] = (),
    noisy: Sequence[str] = (),
) -> str:
    first, _ = reports[0]
    where = {**first.environment, **first.load, **first.how}
    return fill(
        TEMPLATE,
        title=title,
        reports=reports,
        together=together,
        noisy=noisy,
        where=[(name, _plain(value)) for name, value in where.items()],
    )


def _plain(value: object) -> str:
    return f'{value:.3g}' if isinstance(value, float) else str(value)


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _known(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return round(value, 4) if math.isfinite(value) else None
