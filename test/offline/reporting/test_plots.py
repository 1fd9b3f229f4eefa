"""Plots: labelled, the same for the same figures, drawn from any figures, without pyplot."""

import math
import subprocess
import sys
from xml.etree import ElementTree

from edge_seg.errors import BackendUnavailable
from edge_seg.offline.reporting.charts import Bar, BarChart, Chart, Matrix, Series
from edge_seg.offline.reporting.pages import check_pages
from edge_seg.offline.reporting.plots import check_plots, draw
from hypothesis import given, settings
from hypothesis import strategies as st
import matplotlib as mpl
import pytest

SVG = '{http://www.w3.org/2000/svg}'
CHART = Chart(
    title='a < b, $5 or $6',
    x_label='time in s',
    y_label='age in ms',
    series=(Series('line', (0.0, 1.0), (1.0, 2.0)), Series('dots', (0.5,), (math.nan,), 'dots')),
    bound=1.5,
    marks=((0.5, 'swap & go'), (0.51, 'probation')),
)
BARS = BarChart('speed', 'ms', [Bar('cpu', 2.0, '2 ms', mark=3.0)], mark_name='95 %')
MATRIX = Matrix('Confusion', ('floor', 'wall'), ((999, 1, 0), (0, 0, 0)))


def texts_of(chart: Chart | BarChart | Matrix) -> list[str]:
    """Give the texts in a plot, read as XML."""
    root = ElementTree.fromstring(draw(chart).svg)
    return [element.text or '' for element in root.iter(f'{SVG}text')]


def test_a_chart_names_its_axes_series_target_and_marks() -> None:
    shown = {'a < b, $5 or $6', 'time in s', 'age in ms', 'line', 'dots', 'target', 'swap & go'}

    assert shown <= set(texts_of(CHART))


def test_a_chart_names_its_categories() -> None:
    series = (Series('s', (0.0, 1.0), (3.0, 4.0)),)
    chart = Chart('t', 'encoding', 'ms', series, categories=('rgb8', 'bayer_rggb8'))

    assert {'rgb8', 'bayer_rggb8'} <= set(texts_of(chart))


def test_a_count_is_not_divided() -> None:
    runs = Series('s', (1.0, 2.0, 3.0), (3.0, 4.0, 3.5))

    assert '1.5' not in texts_of(Chart('t', 'run', 's', (runs,)))[:6]


def test_bars_have_names_values_and_an_axis() -> None:
    assert {'speed', 'ms', 'cpu', '2 ms', '95 %'} <= set(texts_of(BARS))


def test_a_matrix_is_in_percent_of_each_row_and_has_a_column_for_no_class() -> None:
    texts = texts_of(MATRIX)

    assert {'100', '0.1', 'no class', 'taken for, % of the row', 'pixels are'} <= set(texts)
    assert (texts.count('floor'), texts.count('wall')) == (2, 2)


@pytest.mark.parametrize('chart', [CHART, BARS, MATRIX], ids=lambda chart: type(chart).__name__)
def test_the_same_figures_give_the_same_bytes_whatever_the_settings_of_the_user(
    chart: Chart | BarChart | Matrix,
) -> None:
    first = draw(chart)
    with mpl.rc_context({'font.size': 30.0, 'svg.hashsalt': None, 'axes.grid': False}):
        assert draw(chart) == first


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf]), max_size=4),
    text=st.text(st.characters(blacklist_categories=('Cc', 'Cs', 'Cn')), max_size=30),
)
def test_any_figures_and_names_can_be_drawn(values: list[float], text: str) -> None:
    x = tuple(float(index) for index in range(len(values)))
    bars = [Bar(text, None if math.isnan(value) else value, text) for value in values]
    drawn = (
        Chart(text, text, text, (Series(text, x, tuple(values)),), categories=(text,) * len(x)),
        BarChart(text, text, [bar for bar in bars if bar.value != math.inf]),
    )
    for chart in drawn:
        assert ElementTree.fromstring(draw(chart).svg).tag == f'{SVG}svg'


def test_a_bar_stays_inside_its_axis() -> None:
    bars = [Bar('long', 200.0, 'x'), Bar('none', None, '-'), Bar('negative', -1.0, 'x')]

    assert '120' not in texts_of(BarChart('t', '%', bars, full=100.0))


@pytest.mark.parametrize(
    ('package', 'check'), [('matplotlib', check_plots), ('jinja2', check_pages)]
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    package: str, check: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(BackendUnavailable, match=rf'{package} is not .*edge_seg\[reports\]'):
        check()  # type: ignore[operator]


def test_matplotlib_is_imported_to_draw_only_and_pyplot_never() -> None:
    program = """
import sys
import edge_seg.cli.bench.command, edge_seg.cli.model.report
from edge_seg.offline.reporting.charts import BarChart
from edge_seg.offline.reporting.plots import draw
print([name for name in ('matplotlib', 'jinja2') if name in sys.modules])
draw(BarChart('t', 'ms', []))
print([name for name in ('matplotlib.pyplot', 'tkinter') if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == '[]\n[]\n'
