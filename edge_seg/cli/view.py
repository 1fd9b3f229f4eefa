"""How the model commands show things: tables and JSON; and the store options."""

from collections.abc import Callable, Sequence
import json
from pathlib import Path
import sys
from typing import Any, TypeVar

import click
from edge_seg.models.layered import open_stores
from edge_seg.models.manifest import Manifest
from edge_seg.models.share import share_path
from edge_seg.models.store import default_store_root, ModelStore

Function = TypeVar('Function', bound=Callable[..., Any])
STORE_HELP = 'Model store; default: $EDGE_SEG_STORE, else ~/.local/share/edge_seg/models.'
GAP = 2
NOT_A_TERMINAL_COLUMNS = 10_000
"""No line is folded in a pipe."""
NEVER_FOLDED = 16
"""Characters of a cell that stay on one line, even if the whole line gets too long by that."""


def store_option(function: Function) -> Function:
    """Give a command that writes the option --store; it takes ``store``, a ModelStore."""
    return click.option('--store', metavar='FOLDER', callback=_to_store, help=STORE_HELP)(function)


def stores_option(function: Function) -> Function:
    """Give a command that reads the option --store; it takes ``stores``, a LayeredStore.

    They are those of a node whose parameter model_store is the option.
    """
    return click.option(
        '--store',
        'stores',
        metavar='FOLDER',
        callback=_to_stores,
        help=f'{STORE_HELP} Without it, models installed with the package are seen too.',
    )(function)


def json_option(function: Function) -> Function:
    """Give a command the option --json; it takes a parameter ``as_json``."""
    return click.option('--json', 'as_json', is_flag=True, help='Print JSON.')(function)


def show_json(document: object) -> None:
    """Print a document as JSON."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, aligned; long cells are folded on a terminal, never in a pipe."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style='bold')
    least = []
    for number, heading in enumerate(columns):
        longest = max(len(cell) for cell in (heading, *(row[number] for row in rows)))
        least.append(min(NEVER_FOLDED, longest))
        table.add_column(heading, overflow='fold', min_width=least[-1])
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: names are no markup
    console = Console(highlight=False)
    console.width = max(console.width, sum(least) + GAP * (len(least) - 1))
    if not sys.stdout.isatty():
        console.width = NOT_A_TERMINAL_COLUMNS
    console.print(table)


def show_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f'{name:<{width}}  {value}'.rstrip())


def in_bytes(count: int) -> str:
    """Return a number of bytes as people read it, e.g. '3.4 MB'."""
    value = float(count)
    for unit in ('B', 'kB', 'MB'):
        if value < 1000:
            return f'{value:.0f} B' if unit == 'B' else f'{value:.1f} {unit}'
        value /= 1000
    return f'{value:.1f} GB'


def size_of(folder: Path, manifest: Manifest) -> int:
    """Return the bytes of a model's files that are there."""
    paths = [folder / file.path for file in manifest.files()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _to_store(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    return ModelStore(Path(value) if value else default_store_root())


def _to_stores(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    return open_stores(
        value or '', own=default_store_root(), installed=lambda: share_path('models')
    )
