"""Bars and a confusion matrix as SVG that stands in a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
NAME_PX, VALUE_PX = 200, 90
ROW_PX, BAR_PX = 26, 16
CELL_PX, NAMES_PX, HEADS_PX = 46, 120, 90
MAX_CELLS = 24
"""Classes in a matrix; with more of them nobody can read the numbers."""
MAX_NAME = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        name: beside it on the left.
        value: its length; None draws no bar.
        text: beside it on the right.
        color: as in CSS.
        mark: a second value, drawn as a thin line, or None.
    """

    name: str
    value: float | None
    text: str
    color: str
    mark: float | None = None


def bars(rows: Sequence[Bar], *, full: float | None = None) -> str:
    """Draw horizontal bars.

    Args:
        rows: from the top.
        full: value of a bar across the whole width; None = the largest value or mark.
    """
    known = [value for row in rows for value in (row.value, row.mark) if value is not None]
    scale = full if full is not None else max(known, default=0.0)
    room = WIDTH - NAME_PX - VALUE_PX
    parts = [_opening(WIDTH, ROW_PX * len(rows), 'bars')]
    for index, row in enumerate(rows):
        top = index * ROW_PX + (ROW_PX - BAR_PX) / 2
        middle = index * ROW_PX + ROW_PX / 2 + 4
        parts.append(_text(NAME_PX - 10, middle, _short(row.name), anchor='end'))
        parts.append(_rectangle(NAME_PX, top, room, BAR_PX, 'var(--track)'))
        if row.value is not None and scale > 0:
            length = room * max(0.0, min(1.0, row.value / scale))
            parts.append(_rectangle(NAME_PX, top, length, BAR_PX, row.color))
        if row.mark is not None and scale > 0:
            x = NAME_PX + room * min(1.0, row.mark / scale)
            parts.append(_rectangle(x - 1, top - 3, 2, BAR_PX + 6, 'var(--ink)'))
        parts.append(_text(NAME_PX + room + 10, middle, row.text))
    return ''.join([*parts, '</svg>'])


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix: each row is what pixels of a class were taken for, in percent.

    Args:
        names: of the classes.
        counts: pixels as [truth][prediction]; a column more than classes is 'no class'.

    Returns:
        '' when there are too many classes to be read.
    """
    if not 0 < len(names) <= MAX_CELLS:
        return ''
    columns = [*names, 'no class'][: len(counts[0])]
    # The last heading leans out to the right.
    width = NAMES_PX + CELL_PX * len(columns) + HEADS_PX
    height = HEADS_PX + CELL_PX * len(names) + 4
    parts = [_opening(width, height, 'matrix', as_large=True)]
    for column, name in enumerate(columns):
        x = NAMES_PX + CELL_PX * (column + 0.5) + 4
        parts.append(_text(x, HEADS_PX - 8, _short(name, 16), turned=True))
    for line, name in enumerate(names):
        y = HEADS_PX + CELL_PX * line
        parts.append(_text(NAMES_PX - 8, y + CELL_PX / 2 + 4, _short(name, 16), anchor='end'))
        total = sum(counts[line])
        for column, count in enumerate(counts[line]):
            x = NAMES_PX + CELL_PX * column
            share = count / total if total else 0.0
            right = column == line
            color = 'var(--good)' if right else 'var(--bad)'
            parts.append(_rectangle(x, y, CELL_PX - 2, CELL_PX - 2, 'var(--track)'))
            parts.append(_rectangle(x, y, CELL_PX - 2, CELL_PX - 2, color, opacity=share))
            if total and count:
                white = ' style="fill:white"' if share > 0.5 else ''
                at = (x + CELL_PX / 2 - 1, y + CELL_PX / 2 + 3)
                parts.append(_text(*at, _percent(share), anchor='middle', more=white))
    return ''.join([*parts, '</svg>'])


def _percent(share: float) -> str:
    if share < 0.001:
        return '<0.1'
    return f'{share * 100:.0f}' if share >= 0.0995 else f'{share * 100:.1f}'


def _opening(width: float, height: float, kind: str, *, as_large: bool = False) -> str:
    style = f' style="max-width:{width:.0f}px"' if as_large else ''
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="13"{style}>'
    )


def _rectangle(
    x: float, y: float, width: float, height: float, color: str, *, opacity: float = 1.0
) -> str:
    shown = '' if opacity == 1.0 else f' opacity="{opacity:.3f}"'
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
        f'style="fill:{escape(color)}"{shown}/>'
    )


def _text(
    x: float, y: float, text: str, *, anchor: str = 'start', turned: bool = False, more: str = ''
) -> str:
    turn = f' transform="rotate(-45 {x:.1f} {y:.1f})"' if turned else ''
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}{more}>{escape(text)}</text>'
    )


def _short(name: str, most: int = MAX_NAME) -> str:
    return name if len(name) <= most else f'{name[: most - 1]}\u2026'
