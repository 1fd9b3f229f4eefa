"""Draws charts as SVG with Matplotlib, which is imported when there is something to draw."""

from collections.abc import Iterator
from contextlib import contextmanager
import io
import math
from typing import Any, TYPE_CHECKING
import warnings

from edge_seg.backends.sdk import sdk_import
from edge_seg.offline.reporting.charts import Bar, BarChart, Chart, Matrix, Plot, Series
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSTALL_HINT = (
    'pip install "edge_seg[reports]", or pip install matplotlib, or apt-get install '
    'python3-matplotlib'
)
WIDTH_IN, HEIGHT_IN, ROW_IN, CELL_IN = 9.5, 3.8, 0.27, 0.36
AXES_IN, NAMES_IN = 0.9, 1.6
"""Room for the title and the axis beside the rows, and for names beside the cells."""
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
"""Of Okabe and Ito: told apart without seeing red or green, too."""
MARKERS = 'osD^vPX'
MARKED = 20
"""Lines of up to so many points show them; a line of one point would be none."""
LONG_NAME = 8
"""Categories of which one has more letters stand aslant."""
BAR_NAME, CELL_NAME = 26, 16
"""Letters of a name beside a bar, beside a cell."""
MARK_ROW_PT = 9
LOOK: dict[Any, Any] = {  # its versions type the names differently
    # Text stays text: smaller, sharp, and found by a search.
    'svg.fonttype': 'none',
    # The same figures give the same bytes.
    'svg.hashsalt': 'edge_seg',
    'font.size': 9,
    'font.family': ['DejaVu Sans', 'sans-serif'],
    'font.sans-serif': ['DejaVu Sans'],
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#dddddd',
    'lines.linewidth': 1.5,
    'lines.markersize': 4.5,
    'legend.frameon': False,
}


def check_plots() -> None:
    """Find out whether plots can be drawn here, before the figures are measured.

    Raises:
        BackendUnavailable: Matplotlib is not installed, or does not import.
    """
    with sdk_import('matplotlib', INSTALL_HINT):
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401


def draw(chart: Chart | BarChart | Matrix) -> Plot:
    """Draw a chart as an SVG document, the same bytes for the same figures.

    Raises:
        BackendUnavailable: Matplotlib is not installed, or does not import.
    """
    with _matplotlib():
        if isinstance(chart, Chart):
            figure = _chart(chart)
        elif isinstance(chart, BarChart):
            figure = _bars(chart)
        else:
            figure = _matrix(chart)
        text = io.StringIO()
        figure.savefig(text, format='svg', metadata={'Date': None})
    return Plot(text.getvalue(), chart.words)


@contextmanager
def _matplotlib() -> Iterator[None]:
    """Set the look, whatever the user's own settings are."""
    check_plots()
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        # Its own font may lack the letters of a class name; whoever shows the SVG has another.
        warnings.filterwarnings('ignore', 'Glyph .* missing')
        yield


def _figure(width_in: float, height_in: float, title: str) -> tuple['Figure', 'Axes']:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), constrained_layout=True)
    axes = figure.add_subplot()
    axes.set_title(_plain(title))
    return figure, axes


def _chart(chart: Chart) -> 'Figure':
    marks_in = len(chart.marks) * MARK_ROW_PT / 72
    figure, axes = _figure(WIDTH_IN, HEIGHT_IN + marks_in, chart.title)
    for index, series in enumerate(chart.series):
        _draw_series(axes, series, COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)])
    if chart.bound is not None:
        axes.axhline(chart.bound, color='#b0413e', linestyle='--', label='target')
    _draw_marks(axes, chart.marks)
    axes.set(xlabel=_plain(chart.x_label), ylabel=_plain(chart.y_label))
    heights = [y for series in chart.series for y in series.y if math.isfinite(y)]
    heights += [] if chart.bound is None else [chart.bound]
    if min(heights, default=0.0) >= 0:
        axes.set_ylim(0.0, 1.05 * max(heights, default=0.0) or 1.0)
    if chart.categories:
        _name_categories(axes, chart.categories)
    else:
        _count(axes, {x for series in chart.series for x in series.x})
    if len(chart.series) > 1 or chart.bound is not None:
        axes.legend(loc='upper left', bbox_to_anchor=(1.0, 1.0))
    return figure


def _draw_series(axes: 'Axes', series: Series, color: str, marker: str) -> None:
    axes.plot(
        series.x,
        [y if math.isfinite(y) else math.nan for y in series.y],
        color=color,
        label=_plain(series.name),
        linestyle='-' if series.form == 'line' else '',
        clip_on=False,  # a point on the axis is a whole point
        marker=marker if series.form == 'dots' or len(series.y) <= MARKED else '',
    )


def _draw_marks(axes: 'Axes', marks: tuple[tuple[float, str], ...]) -> None:
    """Draw lines with their texts above the axes, as stairs: some are close together."""
    for row, (x, text) in enumerate(reversed(marks)):
        axes.axvline(x, color='#999999', linestyle=':', linewidth=1.0)
        axes.annotate(
            _plain(text),
            (x, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(2, 2 + MARK_ROW_PT * row),
            textcoords='offset points',
            color='#555555',
            fontsize='small',
        )
    if marks:
        axes.set_title(axes.get_title(loc='left'), pad=8 + MARK_ROW_PT * len(marks))


def _count(axes: 'Axes', places: set[float]) -> None:
    """Put no ticks between whole numbers, when all places are whole."""
    if all(float(x).is_integer() for x in places):
        axes.locator_params(axis='x', integer=True)
        if len(places) == 1:
            axes.set_xlim(min(places) - 1, max(places) + 1)


def _name_categories(axes: 'Axes', names: tuple[str, ...]) -> None:
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)))
    aslant = any(len(name) > LONG_NAME for name in names)
    axes.set_xticklabels(
        [_plain(name) for name in names],
        rotation=35 if aslant else 0,
        horizontalalignment='right' if aslant else 'center',
        rotation_mode='anchor',
    )


def _bars(chart: BarChart) -> 'Figure':
    bars = chart.bars
    figure, axes = _figure(WIDTH_IN, AXES_IN + ROW_IN * max(1, len(bars)), chart.title)
    rows = range(len(bars))
    axes.barh(
        rows,
        [bar.value or 0.0 for bar in bars],
        height=0.62,
        color=[_color(bar) for bar in bars],
        edgecolor='#888888',
        linewidth=0.5,
        label=chart.value_name or None,
    )
    marked = [(bar.mark, row) for row, bar in enumerate(bars) if bar.mark is not None]
    if marked:
        axes.plot(*zip(*marked, strict=True), 'k|', ms=11, mew=2, label=_plain(chart.mark_name))
        axes.legend(loc='lower right', bbox_to_anchor=(1.0, 1.0), ncol=2)
    axes.set_yticks(rows)
    axes.set_yticklabels([_short(bar.name, BAR_NAME) for bar in bars])
    axes.tick_params(axis='y', length=0)
    axes.grid(visible=False, axis='y')
    # The first bar stands on top, and an axis without bars has a length, too.
    axes.set_ylim(max(1, len(bars)) - 0.5, -0.5)
    lengths = [value for bar in bars for value in (bar.value, bar.mark) if value is not None]
    axes.set_xlim(0.0, chart.full or 1.05 * max(lengths, default=0.0) or 1.0)
    axes.set_xlabel(_plain(chart.x_label))
    for row, bar in enumerate(bars):
        at = (1.01, row)
        axes.annotate(_plain(bar.text), at, xycoords=axes.get_yaxis_transform(), va='center')
    return figure


def _color(bar: Bar) -> tuple[float, float, float] | str:
    if bar.color is None:
        return COLORS[0]
    red, green, blue = bar.color
    return red / 255, green / 255, blue / 255


def _matrix(matrix: Matrix) -> 'Figure':
    counts = np.asarray(matrix.counts, np.float64)
    lines, columns = counts.shape
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    width_in = max(4.0, NAMES_IN + CELL_IN * columns)
    figure, axes = _figure(width_in, NAMES_IN + CELL_IN * lines, matrix.title)
    axes.pcolormesh(shares, cmap='Blues', vmin=0.0, vmax=1.0, edgecolors='white', linewidth=1)
    axes.set(xlabel='taken for, % of the row', ylabel='pixels are', aspect='equal')
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    names = [_short(name, CELL_NAME) for name in matrix.names]
    heads = [*names, 'no class'][:columns]
    axes.set_xticks(np.arange(columns) + 0.5)
    axes.set_xticklabels(heads, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(np.arange(lines) + 0.5)
    axes.set_yticklabels(names)
    for (line, column), share in np.ndenumerate(shares):
        if share > 0:
            color = 'white' if share > 0.5 else 'black'
            at = (column + 0.5, line + 0.5)
            axes.text(*at, _percent(share), color=color, ha='center', va='center')
    return figure


def _percent(share: float) -> str:
    if share < 0.001:
        return '<0.1'
    return f'{share * 100:.0f}' if share >= 0.0995 else f'{share * 100:.1f}'


def _short(name: str, most: int) -> str:
    return _plain(name if len(name) <= most else f'{name[: most - 1]}\u2026')


def _plain(text: str) -> str:
    """Keep dollars from being taken for the begin of a formula."""
    return text.replace('$', r'\$')
