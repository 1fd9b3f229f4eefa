"""Targets, reports, baselines and the small sums of the benchmarks."""

import base64
import json
import math
import mmap
import os
from pathlib import Path
import re

from edge_seg.cli.bench.check import load_baseline, regressions
from edge_seg.cli.bench.counted_node import count_models, read_close_count
from edge_seg.cli.bench.domain import free_domain
from edge_seg.cli.bench.endurance import drift, report_memory, slope
from edge_seg.cli.bench.part import Part
from edge_seg.cli.bench.process_figures import figures_of, ProcessFigures
from edge_seg.cli.bench.report import document, Report, write_index, write_report
from edge_seg.cli.bench.result import BenchResult, MeasurementFailed, Target
from edge_seg.offline.reporting.charts import Chart, Series
from hypothesis import given
from hypothesis import strategies as st
import pytest

CHART = Chart(
    title='a < b',
    x_label='s',
    y_label='ms',
    series=(Series('line', (0.0, 1.0), (1.0, 2.0)), Series('dots', (0.5,), (math.nan,), 'dots')),
    bound=1.5,
    marks=((0.5, 'swap & go'),),
)


def result(ratio: float = 0.2, gap_ms: float = 50.0) -> BenchResult:
    return BenchResult(
        'latency',
        'Age',
        {
            'ratio': Target(ratio, '', 0.25),
            'gap': Target(gap_ms, 'ms', 67.0),
            'rate': Target(0.9, '', 0.85, 'at least'),
        },
        figures={'ages': (1.0, math.nan)},
        charts=(CHART,),
        notes=('a note',),
    )


def report(of: BenchResult, warning: str = '') -> Report:
    return Report(of, {'cores': '2'}, {'noisy': bool(warning)}, {'runs': 5}, warning)


@pytest.mark.parametrize(
    ('target', 'met'),
    [
        (Target(67.0, 'ms', 67.0), True),
        (Target(67.1, 'ms', 67.0), False),
        (Target(0.85, '', 0.85, 'at least'), True),
        (Target(0.84, '', 0.85, 'at least'), False),
        (Target(math.nan, 'ms', 67.0), False),
        (Target(math.nan, 'ms', 67.0, 'at least'), False),
    ],
)
def test_a_target_is_met_on_its_side_of_the_limit_only(target: Target, met: bool) -> None:
    assert target.met is met


def test_the_json_has_one_flat_object_of_targets() -> None:
    targets = document(report(result()))['targets']

    assert targets['gap'] == {'value': 50.0, 'unit': 'ms', 'target': '<= 67 ms', 'met': True}
    assert set(targets['rate']) == {'value', 'unit', 'target', 'met'}


def test_a_report_is_strict_json_with_page_and_plots(tmp_path: Path) -> None:
    paths = write_report(tmp_path, report(result(gap_ms=math.nan)))

    assert [path.name for path in paths] == ['latency.json', 'latency-1.svg', 'latency.html']
    data = json.loads(paths[0].read_text('utf-8'), parse_constant=pytest.fail)
    assert data['targets']['gap']['value'] is None
    assert data['figures']['ages'] == [1.0, None]
    assert 'class="missed"' in paths[2].read_text('utf-8')


def test_a_noisy_machine_shows_in_the_page_and_in_the_json(tmp_path: Path) -> None:
    data, *_, page = write_report(tmp_path, report(result(), 'Noisy: two <others> computed'))

    assert json.loads(data.read_text('utf-8'))['load']['noisy'] is True
    assert '<p class="noisy">Noisy: two &lt;others&gt; computed</p>' in page.read_text('utf-8')


def test_a_page_holds_its_plots_and_loads_nothing(tmp_path: Path) -> None:
    *_, plot, page = write_report(tmp_path, report(result()))

    text = page.read_text('utf-8')
    (address,) = re.findall('(?:src|href)="([^"]*)"', text)
    drawn = address.removeprefix('data:image/svg+xml;base64,')
    assert base64.b64decode(drawn) == plot.read_bytes()
    assert 'alt="a &lt; b: ms over s; line, dots"' in text
    assert '<script' not in text


def test_the_same_figures_give_the_same_page(tmp_path: Path) -> None:
    first, second = (
        [path.read_bytes() for path in write_report(tmp_path / name, report(result()))]
        for name in ('first', 'second')
    )

    assert first == second


def test_the_index_has_every_target_of_every_benchmark(tmp_path: Path) -> None:
    targets = {'cpu': Target(0.5, '%', 1.0, what='idle CPU'), 'open_files': Target(9.0, '', 10.0)}
    other = BenchResult('idle', 'Idle', targets)

    text = write_index(tmp_path, [report(result()), report(other)]).read_text('utf-8')

    assert '<h2>idle</h2>' in text
    for shown in ('gap', 'rate', 'idle CPU', 'open files'):
        assert f'<td>{shown}</td>' in text


def test_the_index_names_the_benchmarks_of_which_the_machine_was_not_quiet(tmp_path: Path) -> None:
    other = BenchResult('idle', 'Idle', {'cpu': Target(0.5, '%', 1.0)})

    text = write_index(tmp_path, [report(result()), report(other, 'Noisy.')]).read_text('utf-8')

    assert 'The machine was not quiet during idle.' in text


def test_plots_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / 'latency-7.svg').write_text('old', 'utf-8')

    write_report(tmp_path, report(result()))

    assert [path.name for path in tmp_path.glob('*.svg')] == ['latency-1.svg']


def test_a_baseline_judges_only_what_it_names_and_by_its_tolerance(tmp_path: Path) -> None:
    path = tmp_path / 'baseline.json'
    path.write_text('{"ratios": {"latency/ratio": {"value": 0.2, "tolerance": 0.3}}}', 'utf-8')
    baseline = load_baseline(path)

    assert regressions(result(ratio=0.25), baseline) == []
    (worse,) = regressions(result(ratio=0.27, gap_ms=1000.0), baseline)
    assert str(worse) == 'latency/ratio: 0.27, the baseline is 0.2 (tolerance 30%)'


def test_a_figure_of_the_baseline_that_is_not_measured_any_more_is_a_regression() -> None:
    baseline = {
        'latency/renamed': {'value': 0.2, 'tolerance': 0.15},
        'reload/of_another_benchmark': {'value': 0.2, 'tolerance': 0.15},
    }

    (missing,) = regressions(result(), baseline)

    assert str(missing) == ('latency/renamed: not measured, the baseline is 0.2 (tolerance 15%)')


def test_a_figure_that_could_not_be_measured_is_a_regression() -> None:
    baseline = {'latency/ratio': {'value': 0.2, 'tolerance': 0.3}}

    assert regressions(result(ratio=math.nan), baseline)


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"ratios": {"a": 1}}'])
def test_a_broken_baseline_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / 'baseline.json'
    path.write_text(text, 'utf-8')

    with pytest.raises(MeasurementFailed, match='cannot be read'):
        load_baseline(path)


@given(st.floats(-100, 100), st.integers(2, 40))
def test_the_slope_of_a_line_is_its_slope(step: float, count: int) -> None:
    assert slope([7.0 + step * index for index in range(count)]) == pytest.approx(step, abs=1e-6)


def test_one_outlier_does_not_move_the_slope() -> None:
    values = [0.0] * 30
    values[17] = 1e6

    assert slope(values) == 0.0


def test_resident_memory_stands_beside_that_which_has_the_target() -> None:
    def samples(own: int) -> list[ProcessFigures]:
        return [
            ProcessFigures(
                resident_kib=100_000 + (own + 7 + 30) * index,
                shared_kib=1_000 + 30 * index,
                own_kib=90_000 + own * index,
                threads=9,
                files=20,
                cpu_s=0.0,
            )
            for index in range(40)
        ]

    part = Part()
    report_memory(part, samples(10), samples(5))

    assert part.targets['good_reloads_memory'].value == pytest.approx(10.0)
    assert part.targets['failed_reloads_memory'].value == pytest.approx(5.0)
    assert '47.0 and 42.0 KiB for each good and failed' in part.notes[0]
    assert part.notes[0].endswith('with mapped files, by 17.0 and 12.0.')


def test_shared_memory_is_told_apart_from_what_is_a_process_alone() -> None:
    size = 32 << 20
    before = figures_of(os.getpid())
    with mmap.mmap(-1, size) as shared:
        shared.write(b'x' * size)
        after = figures_of(os.getpid())

    assert after.shared_kib - before.shared_kib >= size >> 10
    assert after.own_kib - before.own_kib < size >> 11


def test_drift_compares_the_ends() -> None:
    assert drift([5, 5, 5, 9, 5, 5, 5, 5, 7, 7]) == 2.0
    assert drift([5]) == 0.0


def test_models_that_are_closed_twice_or_never_are_counted(tmp_path: Path) -> None:
    log = tmp_path / 'models.log'
    log.write_text('open 0\nopen 1\nclose 0\nopen 2\nclose 2\nclose 2\n', 'ascii')

    count = read_close_count(log)

    assert (count.opened, count.closed_once, count.open_still, count.closed_again) == (3, 1, 1, 1)


@given(st.sets(st.integers(102, 199), max_size=97), st.integers(0, 1 << 22))
def test_a_domain_is_free_while_one_is_left(taken: set[int], near: int) -> None:
    ports = [7400 + 250 * domain + 11 for domain in taken]

    assert free_domain(ports, near=near) not in taken


class SmallBackend:
    """Compiles into something that notes its end."""

    def compile_model(self, artifact: object, spec: object, options: object) -> 'SmallModel':
        return SmallModel()


class SmallModel:
    report = 'a report'
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_counted_backend_notes_each_end_and_changes_nothing_else(tmp_path: Path) -> None:
    lines: list[str] = []
    count_models(SmallBackend, lines.append)  # type: ignore[arg-type]

    first, second = (SmallBackend().compile_model(None, None, None) for _ in range(2))
    second.close()
    second.close()
    (tmp_path / 'log').write_text('\n'.join(lines), 'ascii')

    assert first.report == 'a report'
    found = read_close_count(tmp_path / 'log')
    assert (found.opened, found.open_still, found.closed_again) == (2, 1, 1)
