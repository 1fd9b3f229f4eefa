"""The command bench: its help, its runs, the noise it reports, what it leaves when interrupted."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from edge_seg.cli.bench.cameras import jain
from edge_seg.cli.bench.list import Benchmark, BENCHMARKS, minutes_of
from edge_seg.cli.bench.noise import Clocks, Noise, NoiseMeter
from edge_seg.cli.bench.result import BenchOptions, BenchResult, MeasurementFailed, Target
from edge_seg.cli.bench.runs import settled, trimmed
from edge_seg.cli.main import main
from edge_seg.ros.compat import DDS_PROFILE_VARIABLE, OLD_DDS_PROFILE_VARIABLE
from hypothesis import given
from hypothesis import strategies as st
import psutil
import pytest

LIMIT_S = 60.0
NODES = 'edge_seg.cli.node_child'


@pytest.mark.parametrize('name', list(BENCHMARKS))
def test_each_benchmark_can_be_loaded_and_says_what_it_measures(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(BENCHMARKS[name].load())

    assert main(['bench', name, '--help']) == 0
    shown = ' '.join(capsys.readouterr().out.split())
    assert BENCHMARKS[name].about in shown
    assert f'About {BENCHMARKS[name].minutes[0]:g} minutes' in shown


def test_the_help_lists_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', '--help']) == 0

    shown = capsys.readouterr().out
    for name, each in BENCHMARKS.items():
        assert f'  {name} ' in shown
        assert each.brief in shown


def measured(options: BenchOptions) -> BenchResult:
    options.say('measuring')
    return BenchResult('good', 'Good', {'ratio': Target(options.minutes, '', 1.0)})


def failed(options: BenchOptions) -> BenchResult:
    raise MeasurementFailed('no masks')


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command with functions of this file in place of the benchmarks."""
    monkeypatch.setenv('EDGE_SEG_KPI', 'off')
    for name in ('ROS_DOMAIN_ID', DDS_PROFILE_VARIABLE, OLD_DDS_PROFILE_VARIABLE):
        monkeypatch.setenv(name, os.environ.get(name, ''))  # put back afterwards

    def run(functions: tuple[str, ...], *words: str) -> tuple[int, str]:
        table = {name: Benchmark(f'{__name__}:{name}', name, (1, 1), name) for name in functions}
        monkeypatch.setattr('edge_seg.cli.bench.command.BENCHMARKS', table)
        monkeypatch.setattr('edge_seg.cli.bench.list.BENCHMARKS', table)
        code = main(['bench', '--output', str(tmp_path), *words])
        return code, ' '.join(capsys.readouterr().out.split())

    return run


def test_a_benchmark_that_cannot_measure_does_not_keep_the_others_from_it(
    bench: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = bench(('failed', 'measured'))

    assert code == 1
    assert 'failed failed: no masks' in shown
    targets = json.loads((tmp_path / 'good.json').read_text('utf-8'))['targets']
    assert targets['ratio']['met'] is False


@pytest.mark.parametrize('package', ['jinja2', 'matplotlib'])
def test_what_the_report_lacks_is_said_before_anything_is_measured(
    package: str, bench: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    code, shown = bench(('measured',))

    assert code == 5
    assert 'measuring' not in shown


@pytest.mark.parametrize(('minutes', 'code'), [('1.2', 0), ('1.4', 1)])
def test_a_ratio_beyond_its_tolerance_fails_the_check(
    minutes: str, code: int, bench: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    baseline = tmp_path / 'baseline.json'
    baseline.write_text('{"ratios": {"good/ratio": {"value": 1.0, "tolerance": 0.3}}}', 'utf-8')

    found = bench(('measured',), '--check', str(baseline), '--minutes', minutes)

    assert found[0] == code
    worse = f'good/ratio: {minutes}, the baseline is 1 (tolerance 30%)'
    assert (worse in found[1]) is bool(code)


def test_fewer_runs_take_less_time() -> None:
    assert minutes_of(['throughput', 'memory'], quick=False, runs=5) == 16
    assert minutes_of(['throughput', 'memory'], quick=False, runs=3) == pytest.approx(14)


def test_all_but_reload_take_less_than_an_hour() -> None:
    assert minutes_of(tuple(name for name in BENCHMARKS if name != 'reload'), quick=False) < 60


@pytest.mark.parametrize(
    ('runs', 'kept'),
    [([3, 1, 2], [2]), ([5, 1, 9, 3, 7], [3, 5, 7]), ([2, 1], [1, 2]), ([4], [4])],
)
def test_the_best_and_the_worst_run_are_dropped(runs: list[int], kept: list[int]) -> None:
    assert trimmed(runs, float) == kept


def test_one_disturbed_run_does_not_move_the_figure() -> None:
    assert settled([10.0, 11.0, 12.0, 11.0, 900.0]) == 11.0


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=8))
def test_fairness_is_between_one_share_and_one(rates: list[float]) -> None:
    assert 1 / len(rates) - 1e-9 <= jain(rates) <= 1 + 1e-9


def test_fairness_of_equals_is_one_and_of_one_winner_its_share() -> None:
    assert jain([7.0] * 8) == pytest.approx(1.0)
    assert jain([7.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([0.0, 0.0]) != jain([0.0, 0.0])  # nobody got anything: not known


@pytest.mark.parametrize(
    ('noise', 'noisy'),
    [(Noise(0.05, 0.0), False), (Noise(0.5, 0.0), True), (Noise(0.0, 0.2), True)],
)
def test_work_of_others_makes_figures_noisy(noise: Noise, noisy: bool) -> None:
    assert noise.noisy is noisy
    assert noise.described()['noisy'] is noisy


def test_others_are_what_the_machine_did_beside_the_benchmark() -> None:
    clocks = iter([Clocks(0, 0, 0, 0), Clocks(0, 100, 5, 10), Clocks(10, 120, 6, 28)])
    with NoiseMeter(lambda: next(clocks)) as meter:
        pass

    assert meter.noise == Noise(other_work_cores=0.2, stolen_cores=0.1)


def test_the_clocks_of_this_machine_can_be_read() -> None:
    first, second = Clocks.now(), Clocks.now()

    assert 0 < first.wall_s <= second.wall_s
    assert 0 < first.own_s <= second.own_s
    assert 0 < first.busy_s <= second.busy_s


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_no_process_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = [sys.executable, '-m', 'edge_seg.cli.main', 'bench', 'memory', '--minutes', '5']
    with (tmp_path / 'out').open('wb') as out:
        bench = subprocess.Popen(
            [*words, '--output', str(tmp_path / 'bench')],
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        nodes = await_nodes(bench, 3)
        bench.send_signal(number)
        assert bench.wait(LIMIT_S) == 130, (tmp_path / 'out').read_text('utf-8')
    finally:
        bench.kill()
        bench.wait()
    _, alive = psutil.wait_procs(nodes, LIMIT_S)
    assert alive == []


def await_nodes(bench: 'subprocess.Popen[bytes]', count: int) -> list[psutil.Process]:
    """Wait until so many nodes run."""
    parent = psutil.Process(bench.pid)
    for _ in range(int(LIMIT_S / 0.1)):
        found = [child for child in parent.children() if NODES in ' '.join(child.cmdline())]
        if len(found) >= count:
            return found
        try:
            bench.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError('the benchmark did not start its nodes')
