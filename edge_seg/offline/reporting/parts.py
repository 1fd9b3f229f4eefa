"""Pieces of a page: sections, tables, tiles, numbers as people read them; text is escaped."""

from collections.abc import Sequence
from html import escape

NOT_KNOWN = '-'
WRONG = 'wrong'
ALARMING = (WRONG,)
"""Values of a tile that nobody should overlook."""


def section(title: str, content: str) -> str:
    """Give a section; ``content`` is HTML."""
    return f'<section><h2>{escape(title)}</h2>{content}</section>\n'


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    digest: int = -1,
) -> str:
    """Give a table.

    Args:
        heads: text above the columns.
        rows: text of the cells.
        numbers: columns that are aligned on the right.
        digest: the column of digests, which are small and may be broken anywhere.
    """

    def cell(name: str, column: int, text: str) -> str:
        kind = ' class="number"' if column in numbers else ''
        kind = ' class="digest"' if column == digest else kind
        return f'<{name}{kind}>{escape(text)}</{name}>'

    head = ''.join(cell('th', column, text) for column, text in enumerate(heads))
    body = ''.join(
        f'<tr>{"".join(cell("td", column, text) for column, text in enumerate(row))}</tr>'
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def facts_table(facts: Sequence[tuple[str, str]]) -> str:
    """Give a table of names and values."""
    rows = ''.join(
        f'<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts
    )
    return f'<div class="wide"><table class="facts">{rows}</table></div>'


def tiles(shown: Sequence[tuple[str, str, str]]) -> str:
    """Give tiles of a name, a value and a remark each."""
    inner = ''.join(
        f'<div class="tile{" bad" if value in ALARMING else ""}"><b>{escape(value)}</b>'
        f'<span>{escape(name)}</span><small>{escape(remark)}</small></div>'
        for name, value, remark in shown
    )
    return f'<div class="tiles">{inner}</div>'


def as_percent(value: float | None) -> str:
    """Return a share as people read it."""
    return NOT_KNOWN if value is None else f'{value:.1%}'


def as_milliseconds(value: float | None) -> str:
    """Return milliseconds as people read them."""
    if value is None:
        return NOT_KNOWN
    return f'{value:.0f} ms' if value >= 100 else f'{value:.3g} ms'


def as_bytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    value = float(count)
    for unit in ('B', 'kB', 'MB'):
        if value < 1000:
            return f'{value:.0f} B' if unit == 'B' else f'{value:.1f} {unit}'
        value /= 1000
    return f'{value:.1f} GB'
