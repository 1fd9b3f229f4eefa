"""The KPI database: rows come back as they went in, from several writers, over versions."""

from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
import sqlite3

from edge_seg.errors import KpiUnavailable, ModelNotFound, SettingsInvalid
from edge_seg.offline.kpi import KpiRun, record
from edge_seg.offline.kpi.comparing import compare_runs, find_run, read_runs, Wanted
from edge_seg.offline.kpi.database import KpiDatabase
from edge_seg.offline.kpi.exporting import as_csv
from edge_seg.offline.kpi.recording import default_database
from edge_seg.offline.kpi.run import KpiRow
from edge_seg.offline.kpi.schema import migrate, MIGRATIONS
import pytest

DIGEST = '0123456789abcdef' * 4
RUN = KpiRun(
    kind='evaluate',
    model='floor@2',
    model_sha256=DIGEST,
    backend='openvino',
    device='CPU (Intel Xeon)',
    precision='int8',
    miou=0.91,
    p50_ms=4.0,
    p95_ms=6.0,
    size_bytes=700_000,
    energy_j=0.25,
    document={'classes': [{'name': 'floor', 'iou': 0.9}]},
)
WRITERS, EACH = 4, 8


def test_a_run_comes_back_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / 'state' / 'kpi.sqlite'
    assert record(RUN, path=path) == 1
    (row,) = read_runs(path)
    assert row.run == RUN


def test_what_is_not_known_is_null_and_never_zero(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(KpiRun(kind='bench', miou=float('nan'), document={'ratio': float('inf')}), path=path)
    (row,) = read_runs(path)
    assert (row.run.miou, row.run.energy_j, row.run.size_bytes) == (None, None, None)
    assert row.run.document == {'ratio': None}


def _write(path: Path) -> list[int]:
    return [record(RUN, path=path) or 0 for _ in range(EACH)]


def test_several_processes_write_to_a_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    with get_context('spawn').Pool(WRITERS) as pool:
        numbers = [number for each in pool.map(_write, [path] * WRITERS) for number in each]
    assert sorted(numbers) == list(range(1, WRITERS * EACH + 1))
    assert len(read_runs(path)) == WRITERS * EACH


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(RUN, path=path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute('BEGIN IMMEDIATE')
    assert len(read_runs(path)) == 1
    writer.close()


@pytest.mark.parametrize('version', range(len(MIGRATIONS)))
def test_an_older_database_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / 'kpi.sqlite'
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, MIGRATIONS[:version])
    connection.close()
    assert record(RUN, path=path) == 1
    connection = sqlite3.connect(path)
    assert connection.execute('PRAGMA user_version').fetchone() == (len(MIGRATIONS),)
    connection.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(RUN, path=path)
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.Error):
        migrate(connection, path, (*MIGRATIONS, 'ALTER TABLE runs ADD x', 'no SQL at all'))
    connection.close()
    assert len(read_runs(path)) == 1


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(RUN, path=path)
    connection = sqlite3.connect(path)
    connection.execute('PRAGMA user_version = 99')
    connection.close()
    with pytest.raises(KpiUnavailable, match='schema version 99; .*update this one'):
        record(RUN, path=path)


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    path.write_text('notes of somebody, long enough to be read as a header' * 20, 'ascii')
    before = path.read_bytes()
    with pytest.raises(KpiUnavailable, match='not a database'):
        record(RUN, path=path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(KpiUnavailable, match=r'file/kpi\.sqlite cannot be used'):
        record(RUN, path=tmp_path / 'file' / 'kpi.sqlite')


def test_the_database_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('EDGE_SEG_KPI', '/data/kpi.sqlite')
    assert default_database() == Path('/data/kpi.sqlite')
    monkeypatch.delenv('EDGE_SEG_KPI')
    monkeypatch.setenv('XDG_STATE_HOME', '/state')
    assert default_database() == Path('/state/edge_seg/kpi.sqlite')
    monkeypatch.setenv('XDG_STATE_HOME', 'not/absolute')
    assert default_database() == Path.home() / '.local/state/edge_seg/kpi.sqlite'


def test_nothing_is_recorded_when_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('EDGE_SEG_KPI', 'off')
    assert record(RUN) is None
    with pytest.raises(SettingsInvalid, match='EDGE_SEG_KPI is off'):
        read_runs()


@pytest.mark.parametrize(
    ('wanted', 'taken'),
    [
        (Wanted(), True),
        (Wanted(model='floor'), True),
        (Wanted(model='floor@2', kind='evaluate', precision='int8'), True),
        (Wanted(model=DIGEST[:8], device='xeon'), True),
        (Wanted(model='floor@1'), False),
        (Wanted(model='flo'), False),
        (Wanted(backend='tensorrt'), False),
        (Wanted(kind='bench'), False),
    ],
)
def test_runs_are_chosen(wanted: Wanted, taken: bool) -> None:
    assert wanted.takes(RUN) is taken


def test_two_runs_are_compared(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(RUN, path=path)
    record(
        KpiRun(kind='evaluate', model='floor@1', backend='opencv', device=RUN.device, p50_ms=8.0),
        path=path,
    )
    rows = read_runs(path)
    result = compare_runs(find_run(rows, 'floor@2'), find_run(rows, '2'))
    p50 = next(each for each in result.figures if each.name == 'p50_ms')
    assert (p50.a, p50.b, p50.difference, p50.ratio) == (4.0, 8.0, 4.0, 2.0)
    miou = next(each for each in result.figures if each.name == 'miou')
    assert (miou.a, miou.b, miou.difference) == (0.91, None, None)
    assert result.notes == ('backend differs: openvino, opencv',)
    with pytest.raises(ModelNotFound, match=r"no run of 'wall'.*floor@1, floor@2"):
        find_run(rows, 'wall')


@pytest.mark.parametrize(
    ('name', 'a', 'b'),
    [('data', 'scenes', 'office'), ('frames', 300, 10), ('truth', 'labels', 'x')],
)
def test_runs_over_other_frames_get_a_note(name: str, a: object, b: object) -> None:
    same = {'data': 'scenes', 'frames': 300, 'truth': 'labels'}
    first, second = (
        KpiRow(number, replace(RUN, document={**same, name: value}))
        for number, value in ((1, a), (2, b))
    )
    assert compare_runs(first, second).notes == (f'{name} differs: {a}, {b}',)
    assert compare_runs(first, first).notes == ()


@pytest.mark.parametrize('document', ['{"cut', '[]'])
def test_a_damaged_document_is_named(tmp_path: Path, document: str) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(RUN, path=path)
    with sqlite3.connect(path) as connection:
        connection.execute('UPDATE runs SET document = ?', (document,))
    connection.close()
    with pytest.raises(KpiUnavailable, match='the document of run 1 in .* is damaged'):
        read_runs(path)


def test_a_model_of_digits_is_the_number_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    with KpiDatabase(path) as database:
        database.add(RUN)
    with pytest.raises(ModelNotFound, match="no run of '7'"):
        find_run(read_runs(path), '7')


def test_csv_runs_nothing_in_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / 'kpi.sqlite'
    record(KpiRun(kind='bench', device='=HYPERLINK("http://x")', host='lab'), path=path)
    lines = as_csv(read_runs(path)).splitlines()
    assert lines[0].startswith('number,kind,model,')
    assert '"\'=HYPERLINK(""http://x"")"' in lines[1]
