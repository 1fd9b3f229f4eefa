"""``edge_seg kpi`` as a user calls it."""

from collections.abc import Callable
import csv
import io
import json
from pathlib import Path
from typing import Any

from edge_seg.cli.bench.kpi import record_benchmark
from edge_seg.cli.bench.result import Served
from edge_seg.cli.main import main
from edge_seg.models.package import open_package
from edge_seg.offline.kpi import KpiRun, record
import pytest

Run = Callable[..., tuple[int, str, str]]
FLOOR = Path(__file__).resolve().parents[3] / 'models' / 'floor' / '2'


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run ``edge_seg kpi ...`` with a database of its own."""
    monkeypatch.setenv('EDGE_SEG_KPI', str(tmp_path / 'kpi.sqlite'))

    def run_words(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(['kpi', *map(str, words)])
        return code, *capsys.readouterr()

    return run_words


@pytest.fixture
def recorded(run: Run) -> None:
    """Record two evaluations and a benchmark."""
    facts: dict[str, Any] = {'kind': 'evaluate', 'backend': 'openvino', 'device': 'CPU (Xeon)'}
    record(
        KpiRun(**facts, model='floor@1', precision='fp32', miou=0.9, p50_ms=8.0, size_bytes=4000)
    )
    record(KpiRun(**facts, model='floor@2', precision='int8', miou=0.899, p50_ms=4.0))
    record_benchmark({'benchmark': 'latency', 'environment': {'processor': 'Xeon'}})


@pytest.mark.usefixtures('recorded')
def test_runs_are_listed(run: Run) -> None:
    code, out, _ = run('list')
    assert code == 0
    *lines, last = out.splitlines()
    assert [line.split()[0] for line in lines] == ['RUN', '1', '2', '3']
    # P95 and energy, which no run has, are left out; the device, which all have, comes last.
    assert '90.00%  8 ms  4.0 kB\n' in out
    assert last == 'all on CPU (Xeon)'
    assert 'latency' in out
    code, out, _ = run('list', '--kind', 'evaluate', '--last', 1, '--json')
    assert [each['model'] for each in json.loads(out)] == ['floor@2']
    record(KpiRun(kind='evaluate', model='floor@2', device='GPU'))
    out = run('list', '--kind', 'evaluate')[1]
    assert [line.split()[-1] for line in out.splitlines()] == ['DEVICE', '(Xeon)', '(Xeon)', 'GPU']


@pytest.mark.usefixtures('recorded')
def test_a_difference_of_accuracy_is_in_points(run: Run) -> None:
    _, out, _ = run('compare', 'floor@1', 'floor@2')
    (line,) = (line.split() for line in out.splitlines() if line.startswith('mIoU'))
    assert line == ['mIoU', '90.00%', '89.90%', '-0.10', 'points', '0.999']
    code, _, err = run('compare', 'floor@1', 'floor@3')
    assert code == 3
    assert err.endswith('one of floor@1, floor@2; run edge_seg model evaluate floor@3\n')


def test_a_database_that_is_not_there_has_no_runs(run: Run, tmp_path: Path) -> None:
    assert run('list') == (0, f'{tmp_path / "kpi.sqlite"}: no such runs\n', '')
    assert not (tmp_path / 'kpi.sqlite').exists()


@pytest.mark.usefixtures('recorded')
def test_two_models_are_compared(run: Run) -> None:
    code, out, _ = run('compare', 'floor@1', 'floor@2')
    assert code == 0
    assert 'A (run 1)' in out
    assert '-4 ms' in out
    assert '0.500' in out
    assert 'note' not in out
    assert 'note: kind differs: evaluate, bench' in run('compare', 1, 3)[1]
    document = json.loads(run('compare', 1, 2, '--json')[1])
    assert document['figures']['p50_ms']['ratio'] == 0.5
    assert document['figures']['size_bytes']['difference'] is None


def test_a_benchmark_of_one_model_has_its_figures(run: Run) -> None:
    package = open_package(FLOOR)
    figures = {'precision': 'bf16', 'p50_ms': 9.0, 'p95_ms': 12.0, 'energy_j': 0.5}
    served = Served(package=package, backend='openvino', **figures)
    record_benchmark({'benchmark': 'latency'}, served)
    (row,) = json.loads(run('list', '--model', 'floor@2', '--json')[1])
    expected = {
        'model_sha256': package.manifest_sha256,
        'backend': 'openvino',
        **figures,
        'size_bytes': (FLOOR / package.manifest.artifacts[0].main.path).stat().st_size,
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.usefixtures('recorded')
def test_runs_are_exported(run: Run, tmp_path: Path) -> None:
    code, out, _ = run('export')
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row['model'] for row in rows] == ['floor@1', 'floor@2', '']
    assert rows[1]['miou'] == '0.899'
    assert rows[1]['size_bytes'] == ''
    code, out, err = run('export', '--format', 'json', '-o', tmp_path / 'runs.json')
    assert (code, out) == (0, '')
    assert '3 runs' in err
    documents = json.loads((tmp_path / 'runs.json').read_text('utf-8'))
    assert documents[2]['document']['benchmark'] == 'latency'


@pytest.mark.parametrize(
    ('words', 'code', 'reason'),
    [
        (('compare', 'wall', '1'), 3, "no run of 'wall' is recorded"),
        (('compare', '1'), 2, "Missing argument 'B'"),
        (('list', '--kind', 'guess'), 2, "'guess' is not one of"),
        (('list', '--database', '/dev/null/x'), 5, 'no KPI database /dev/null/x'),
        (('export', '-o', '/dev/null/x'), 1, '/dev/null/x'),
    ],
)
def test_bad_input_gives_one_line(
    run: Run, words: tuple[str, ...], code: int, reason: str
) -> None:
    found, _, err = run(*words)
    assert found == code
    assert reason in err
    assert err.count('\n') == 1
