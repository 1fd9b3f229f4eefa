"""Draws a chart as SVG, so that reports need no plotting library."""

from dataclasses import dataclass
from html import escape
import math

from edge_seg.cli.bench.result import Chart, Series

WIDTH, HEIGHT = 860, 356
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 62
CATEGORY_PX, SHORT_NAME = 44, 8
"""Room below for names that are longer than so many letters; they stand aslant."""
COLORS = ('#1f6fb4', '#d9822b', '#3a9a5b', '#b0413e', '#7a5ba6', '#6b6f76', '#c2a21d', '#2aa3a3')
OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" '
    'font-family="sans-serif" font-size="12">'
)
TICKS = 6
MARKED = 20
"""Lines of up to so many points show them; a line of one point would be none."""
LEGEND_STEP, LEGEND_ROW = 196, 16
IN_A_ROW = 4


@dataclass(frozen=True, slots=True)
class _Axis:
    """Maps values to pixels."""

    low: float
    high: float
    first_px: float
    last_px: float

    def px(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.first_px + share * (self.last_px - self.first_px)

    def ticks(self) -> list[float]:
        raw = (self.high - self.low) / TICKS
        magnitude = 10 ** math.floor(math.log10(raw))
        step = min(
            (factor * magnitude for factor in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw)
        )
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def draw(chart: Chart) -> str:
    """Give the chart as an <svg> element."""
    if chart.categories:
        across = _Axis(-0.5, len(chart.categories) - 0.5, LEFT, WIDTH - RIGHT)
    else:
        xs = [x for s in chart.series for x in s.x]
        across = _axis(xs, LEFT, WIDTH - RIGHT, from_zero=False)
    heights = [y for s in chart.series for y in s.y] + (
        [] if chart.bound is None else [chart.bound]
    )
    up = _axis(heights, HEIGHT - BOTTOM, TOP, from_zero=True)
    rows = max(1, math.ceil(len(chart.series) / IN_A_ROW))
    names_px = CATEGORY_PX if _aslant(chart.categories) else 0
    whole = HEIGHT + names_px + LEGEND_ROW * (rows - 1)
    parts = [
        OPENING.format(WIDTH, whole),
        f'<rect width="{WIDTH}" height="{whole}" fill="white"/>',
        _text(LEFT, 18, chart.title, weight='bold'),
        *_grid(across, up, chart.categories),
        _text((LEFT + WIDTH) / 2, HEIGHT + names_px - 30, chart.x_label, anchor='middle'),
        _text(14, (TOP + HEIGHT - BOTTOM) / 2, chart.y_label, anchor='middle', turn_deg=-90),
    ]
    if chart.bound is not None:
        y = up.px(chart.bound)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, '#b0413e', dash=True))
        parts.append(_text(WIDTH - RIGHT, y - 4, 'target', anchor='end', color='#b0413e'))
    for index, (x_value, text) in enumerate(chart.marks):
        x = across.px(x_value)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM, '#999', dash=True))
        parts.append(_text(x + 3, TOP + 12 + 13 * (index % 8), text, color='#666'))
    for index, series in enumerate(chart.series):
        color = COLORS[index % len(COLORS)]
        parts.append(_points(series, across, up, color))
        row, column = divmod(index, IN_A_ROW)
        x, y = LEFT + LEGEND_STEP * column, HEIGHT + names_px + LEGEND_ROW * row
        parts.append(f'<rect x="{x}" y="{y - 16}" width="10" height="10" fill="{color}"/>')
        parts.append(_text(x + 14, y - 7, series.name))
    return '\n'.join([*parts, '</svg>'])


def _axis(values: list[float], first_px: float, last_px: float, *, from_zero: bool) -> _Axis:
    known = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    if from_zero:
        low = min(0.0, low)
    if high <= low:
        high = low + 1.0
    margin = 0.05 * (high - low)
    return _Axis(low if from_zero else low - margin / 2, high + margin, first_px, last_px)


def _grid(across: _Axis, up: _Axis, categories: tuple[str, ...]) -> list[str]:
    parts = []
    base = HEIGHT - BOTTOM
    ticks = [float(x) for x in range(len(categories))] or across.ticks()
    names = categories or [f'{tick:g}' for tick in ticks]
    for tick, name in zip(ticks, names, strict=True):
        x = across.px(tick)
        parts.append(_line(x, TOP, x, base, '#eee'))
        if _aslant(categories):
            parts.append(_text(x + 4, base + 14, name, anchor='end', turn_deg=-40))
        else:
            parts.append(_text(x, base + 14, name, anchor='middle'))
    for value in up.ticks():
        y = up.px(value)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, '#ddd'))
        parts.append(_text(LEFT - 5, y + 4, f'{value:g}', anchor='end'))
    return parts


def _aslant(names: tuple[str, ...]) -> bool:
    return any(len(name) > SHORT_NAME for name in names)


def _points(series: Series, across: _Axis, up: _Axis, color: str) -> str:
    points = [
        (across.px(x), up.px(y))
        for x, y in zip(series.x, series.y, strict=True)
        if math.isfinite(y)
    ]
    dots = line = ''
    if series.form == 'dots' or len(points) <= MARKED:
        dots = ''.join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points
        )
    if series.form == 'line':
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
        line = f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
    return line + dots


def _line(x1: float, y1: float, x2: float, y2: float, color: str, *, dash: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dash else ''
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{dashes}/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = 'start',
    color: str = '#222',
    weight: str = 'normal',
    turn_deg: float = 0.0,
) -> str:
    turn = f' transform="rotate({turn_deg:g} {x:.1f} {y:.1f})"' if turn_deg else ''
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" '
        f'font-weight="{weight}"{turn}>{escape(text)}</text>'
    )
