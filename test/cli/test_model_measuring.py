"""The commands evaluate, parity, profile and optimize, called as a user would."""

import json
from pathlib import Path
import sqlite3

from command_line import Run
import cv2
from model_files import ANSWERS, write_segmenter
import numpy as np
import pytest

pytest.importorskip('onnx', reason='a test model is written with onnx')
pytest.importorskip('openvino', reason='models are measured with OpenVINO')

FEW = ('--frames', '2', '--size', '64x48')


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_segmenter(tmp_path / 'floor.onnx')


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let runs be recorded, in a place of the test's own."""
    path = tmp_path / 'kpi.sqlite'
    monkeypatch.setenv('EDGE_SEG_KPI', str(path))
    return path


def recorded(database: Path) -> list[tuple[str, str]]:
    if not database.exists():
        return []
    with sqlite3.connect(database) as connection:
        return connection.execute('SELECT kind, model FROM runs ORDER BY number').fetchall()


def labelled(folder: Path, *, label: int = 0) -> Path:
    """Write two pictures whose label maps say the same everywhere."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'labels').mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 64, 3), np.uint8)
        assert cv2.imwrite(str(folder / 'images' / f'{number}.png'), pixels)
        labels = np.full((32, 64), label, np.uint8)
        assert cv2.imwrite(str(folder / 'labels' / f'{number}.png'), labels)
    return folder


def test_evaluate_shows_scores_and_records_them(
    run: Run, add: Run, tmp_path: Path, database: Path
) -> None:
    add()
    folder = labelled(tmp_path / 'data')
    shown = run('model', 'evaluate', 'floor', '--data', folder)
    assert (shown.code, shown.err) == (0, '')
    assert 'mIoU' in shown.out
    assert 'floor@1, openvino' in shown.out
    document = json.loads(run('model', 'evaluate', 'floor', '--data', folder, '--json').out)
    assert document['frames'] == 2
    assert len(document['confusion']) == 2
    assert recorded(database) == [('evaluate', 'floor@1')] * 2


def test_many_classes_are_shown_with_their_worst_mistake(
    run: Run, tmp_path: Path, onnx_file: Path
) -> None:
    write_segmenter(onnx_file, classes=14)
    names = ','.join(f'c{number}' for number in range(14))
    assert run('model', 'add', onnx_file, *ANSWERS, '--classes', names).code == 0
    shown = run('model', 'evaluate', 'floor', '--data', labelled(tmp_path / 'data')).out
    assert 'MOSTLY MISTAKEN' in shown
    assert '% as c' in shown


def test_a_score_below_the_limit_is_a_failure(run: Run, add: Run, tmp_path: Path) -> None:
    add()
    folder = labelled(tmp_path / 'data')
    result = run('model', 'evaluate', 'floor', '--data', folder, '--min-miou', '0.99')
    assert result.code == 1
    assert 'expected at least 99.00%' in result.err


def test_no_row_is_added_where_none_is_wanted(
    run: Run, add: Run, tmp_path: Path, database: Path
) -> None:
    add()
    words = ('model', 'evaluate', 'floor', '--data', labelled(tmp_path / 'data'))
    assert run(*words, '--no-kpi').code == 0
    assert recorded(database) == []


def test_a_database_that_cannot_be_written_does_not_spoil_the_result(
    run: Run, add: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('EDGE_SEG_KPI', str(tmp_path / 'file' / 'kpi.sqlite'))
    result = run('model', 'profile', 'floor', *FEW)
    assert result.code == 0
    assert result.err.startswith('edge_seg: not recorded: ')


def test_parity_of_two_backends(run: Run, add: Run, tmp_path: Path, database: Path) -> None:
    add()
    words = ('model', 'parity', 'floor', '--backend', 'openvino,opencv', *FEW)
    result = run(*words, '--pictures', tmp_path / 'worst', '--json')
    assert (result.code, result.err) == (0, '')
    document = json.loads(result.out)
    assert (document['a']['backend'], document['b']['backend']) == ('openvino', 'opencv')
    assert len(list((tmp_path / 'worst').glob('*.png'))) == 2
    assert len(document['each']) == document['frames'] == 2
    assert 'equal pixels' in run(*words).out
    assert recorded(database) == [('parity', 'floor@1')] * 2


def test_models_that_disagree_are_a_failure(run: Run, add: Run, tmp_path: Path) -> None:
    add()
    other = write_segmenter(tmp_path / 'other' / 'floor.onnx', classes=2)
    content = bytearray(other.read_bytes())
    at = content.index(np.random.default_rng(3).normal(size=6).astype(np.float32).tobytes()[:4])
    content[at : at + 24] = (-np.frombuffer(bytes(content[at : at + 24]), np.float32)).tobytes()
    other.write_bytes(bytes(content))
    assert run('model', 'add', other, *ANSWERS).code == 0
    result = run('model', 'parity', 'floor@1', 'floor@2', *FEW)
    assert result.code == 1
    assert 'of the pixels agree; expected 99.000%' in result.err


def test_profile_shows_stages_and_layers(run: Run, add: Run, database: Path) -> None:
    add()
    shown = run('model', 'profile', 'floor', *FEW)
    assert (shown.code, shown.err) == (0, '')
    for word in ('preprocess', 'postprocess', 'resident memory', 'Convolution'):
        assert word in shown.out
    document = json.loads(run('model', 'profile', 'floor', *FEW, '--json').out)
    assert document['memory']['running'] > 0
    assert recorded(database) == [('profile', 'floor@1')] * 2


def test_optimize_publishes_and_reports(
    run: Run, add: Run, tmp_path: Path, database: Path
) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    add()
    report = tmp_path / 'report.json'
    words = ('model', 'optimize', 'floor', '--precision', 'fp16', *FEW)
    shown = run(*words, '--report', report)
    assert (shown.code, shown.err) == (0, '')
    assert shown.out.startswith('floor@2 is published, fp16 of floor@1')
    assert json.loads(report.read_text())['optimized']['run']['model'] == 'floor@2'
    assert run('model', 'verify', 'floor@2').code == 0
    again = run(*words, '--version', '2')
    assert (again.code, again.err.startswith('edge_seg: floor@2 is in the store already')) == (
        1, True,
    )  # fmt: skip
    assert recorded(database) == [('optimize', 'floor@2')]


def test_label_maps_are_not_calibrated_on(run: Run, add: Run, tmp_path: Path) -> None:
    pytest.importorskip('nncf', reason='INT8 is made with NNCF')
    add()
    for folder in ('data', 'other'):
        labelled(tmp_path / folder / 'all')
        (tmp_path / folder / 'all' / 'labels').rename(tmp_path / folder / 'all' / 'images' / 'ids')
    data, other = (tmp_path / folder / 'all' / 'images' for folder in ('data', 'other'))
    words = ('model', 'optimize', 'floor@1', '--data', data, '--labels', data / 'ids', '--json')
    for more in ((), ('--calibration', other)):
        result = run(*words, *more)
        assert (result.code, result.err) == (0, '')
        document = json.loads(result.out)
        assert (document['calibration']['frames'], document['frames']) == (2, 2)
        assert document['original']['miou'] is not None


class Meter:
    """Counts a joule a look."""

    name = 'meter'

    def __init__(self) -> None:
        self._looks = 0

    def joules(self) -> float:
        self._looks += 1
        return float(self._looks)

    def close(self) -> None:
        pass


def test_energy_is_recorded_where_the_platform_tells(
    run: Run, add: Run, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    place = 'edge_seg.offline.evaluation.frame_energy'
    monkeypatch.setattr(f'{place}.open_counter', lambda backend: Meter())
    monkeypatch.setattr(f'{place}.DURATION_S', 0.0)
    add()
    assert run('model', 'optimize', 'floor', '--precision', 'fp16', *FEW).code == 0
    assert run('model', 'parity', 'floor@1', 'floor@2', *FEW).code == 0
    assert run('model', 'profile', 'floor', *FEW).code == 0
    assert run('model', 'evaluate', 'floor', '--data', labelled(tmp_path / 'data')).code == 0
    with sqlite3.connect(database) as connection:
        found = connection.execute('SELECT kind, energy_j FROM runs ORDER BY number').fetchall()
    assert found == [(kind, 1.0) for kind in ('optimize', 'parity', 'profile', 'evaluate')]


REFUSALS = [
    (('evaluate', 'wall'), 3, "no model 'wall'"),
    (('evaluate', 'floor'), 1, 'has the classes other, floor'),
    (('evaluate', 'floor', '--data', '/nowhere'), 5, "'/nowhere' does not exist"),
    (('evaluate', 'floor', '--data', '.', '--synthetic'), 2, 'exclude each other'),
    (('evaluate', 'floor', '--size', '640'), 2, "'640' is no size"),
    (('evaluate', 'floor', '--backend', 'tpu'), 2, "'tpu' is not one of"),
    (('evaluate', 'floor', '--frames', '0'), 2, '--frames'),
    (('evaluate', 'floor', '--reference', 'wall', *FEW), 3, "no model 'wall'"),
    (('parity', 'floor'), 2, 'would be compared with itself'),
    (('parity', 'floor', '--backend', 'a,b,c'), 2, 'has 3 values'),
    (('parity', 'floor', 'wall', *FEW), 3, "no model 'wall'"),
    (('profile', 'floor', '--precision', 'int4'), 2, "'int4' is not one of"),
    (('profile', 'floor', '--precision', 'int8', *FEW), 1, 'expected int8'),
    (('profile', 'floor', '--device', 'TPU', *FEW), 1, "no device 'TPU'"),
    (('optimize', 'floor', '--precision', 'int4'), 2, "'int4' is not one of"),
    (('optimize', 'floor', '--version', 'next'), 2, "'next' is neither"),
    (('optimize', 'floor', '--max-drop', '-1'), 2, '--max-drop'),
    (('optimize', 'floor', '--report', '/nowhere/report.json'), 2, '/nowhere is no folder'),
    (('optimize', 'floor', '--calibration', '/nowhere', *FEW), 5, "'/nowhere' does not exist"),
]


@pytest.mark.parametrize(('words', 'code', 'message'), REFUSALS)
def test_bad_requests_are_refused_in_one_line(
    run: Run, add: Run, database: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    add()
    result = run('model', *words)
    assert (result.code, result.out) == (code, '')
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert recorded(database) == []


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        (lambda folder: (folder / 'labels' / '1.png').unlink(), '1 of 2 pictures'),
        (lambda folder: (folder / 'labels' / '1.png').write_bytes(b'x'), '1.png cannot be'),
        (lambda folder: (folder / 'images' / '1.png').write_bytes(b'x'), '1.png cannot be'),
    ],
)
def test_bad_files_are_named(
    run: Run, add: Run, tmp_path: Path, break_it: object, message: str
) -> None:
    add()
    folder = labelled(tmp_path / 'data')
    break_it(folder)
    result = run('model', 'evaluate', 'floor', '--data', folder)
    assert (result.code, len(result.err.splitlines())) == (5, 1)
    assert message in result.err


def test_ids_that_the_model_does_not_have_are_named(run: Run, add: Run, tmp_path: Path) -> None:
    add()
    result = run('model', 'evaluate', 'floor', '--data', labelled(tmp_path / 'data', label=7))
    assert result.code == 5
    assert '0.png has the id 7 on 2048 pixels' in result.err
