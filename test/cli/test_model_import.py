"""``edge_seg model import`` as a user calls it."""

import json
from pathlib import Path

from command_line import Run
from edge_seg.models.package import verify_artifacts
from edge_seg.models.store import ModelStore
from model_files import write_onnx, write_segmenter
import pytest


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_segmenter(tmp_path / 'floor.onnx', classes=2)


def test_one_command_publishes_and_shows_what_was_assumed(
    run: Run, network: Path, store_root: Path
) -> None:
    result = run('model', 'import', network)
    assert result.code == 0, result.err
    rows = {line.split()[0]: line for line in result.out.splitlines()}
    assert 'assumed: ' in rows['--normalise']
    assert 'imagenet' in rows['--normalise']
    assert 'background,foreground' in rows['--classes']
    assert 'read: the graph ends without' in rows['--kind']
    assert 'checked: is valid ONNX' in result.out
    assert 'to change it, pass --color-order, --normalise' in result.out
    assert result.out.endswith(f'floor@1 is published in {store_root}/floor/1\n')
    verify_artifacts(ModelStore(store_root).resolve('floor@1'))


def test_what_is_given_is_not_assumed(run: Run, network: Path, store_root: Path) -> None:
    words = (
        *('--classes', 'road', '--normalise', 'raw', '--color-order', 'bgr'),
        *('--resize', 'letterbox', '--anchor', 'top_left', '--pad-value', '0'),
        *('--resample', 'logits', '--licence', 'MIT', '--name', 'way', '--version', '2.0.0'),
        *('--provenance', 'epochs=9', '--label', 'stable'),
    )
    result = run('model', 'import', network, *words)
    assert result.code == 0, result.err
    assert 'assumed' not in result.out
    manifest = ModelStore(store_root).resolve('way@stable').manifest
    assert manifest.spec.version == '2.0.0'
    assert [info.name for info in manifest.spec.classes] == ['background', 'road']
    assert (manifest.spec.input.color_order, manifest.spec.input.scale) == ('bgr', 1.0)
    rule = manifest.spec.input.resize
    assert (rule.mode.value, rule.anchor, rule.pad_value) == ('letterbox', 'top_left', 0)
    assert dict(manifest.provenance.fields)['epochs'] == '9'


def test_a_dry_run_publishes_nothing(run: Run, network: Path, store_root: Path) -> None:
    result = run('model', 'import', network, '--dry-run')
    assert result.code == 0, result.err
    assert 'floor@1 would be published' in result.out
    assert not store_root.exists()


def test_json_has_what_was_assumed_changed_and_checked(run: Run, network: Path) -> None:
    result = run('model', 'import', network, '--json')
    document = json.loads(result.out)
    assert (document['model'], document['format']) == ('floor@1', 'onnx')
    answers = {entry['option']: entry for entry in document['answers']}
    assert answers['--normalise'] == {
        'option': '--normalise',
        'value': 'imagenet',
        'because': 'usual for networks with three channels',
        'assumed': True,
    }
    assert document['output'] == {'name': 'scores', 'kind': 'logits', 'layout': 'NCHW'}
    assert document['checks'][0] == 'is valid ONNX'
    assert Path(document['path']).is_dir()


def test_presets_are_listed(run: Run) -> None:
    result = run('model', 'import', '--presets')
    assert result.code == 0
    for name in ('imagenet', 'signed-unit', 'cityscapes', 'ade20k', 'coco-stuff-171', 'person'):
        assert f' {name} ' in result.out


WRONG = [
    (('nowhere.onnx',), 3, 'there is no file nowhere.onnx'),
    (('net.pdf',), 1, 'net.pdf is of no kind that can be imported'),
    (('{}', '--name', '../x'), 2, "--name: '../x' is no name"),
    (('{}', '--version', '1.0'), 4, "version: found '1.0'"),
    (('{}', '--input-size', '64'), 2, "--input-size: '64' is not WIDTHxHEIGHT"),
    (('{}', '--input-size', '64x64'), 2, 'the file fixes input image'),
    (('{}', '--input-layout', 'CHW'), 2, "--input-layout: 'CHW' is none of NCHW, NHWC"),
    (('{}', '--kind', 'labels'), 2, "--kind: 'labels' is none of logits"),
    (('{}', '--classes', 'cityscapes'), 2, '19 classes for the 2 channels'),
    (('{}', '--classes', 'a,a'), 4, 'classes[1].name'),
    (('{}', '--normalise', 'half'), 2, "--normalise: 'half' is neither imagenet"),
    (('{}', '--anchor', 'left'), 2, "--anchor: 'left' is none of center, top_left"),
    (('{}', '--pad-value', 'x'), 2, "--pad-value: 'x' is no whole number"),
    (('{}', '--pad-value', '999'), 4, 'input.resize.pad_value'),
    (('{}', '--threshold', 'half'), 2, "--threshold: 'half' is no list of numbers"),
    (('{}', '--output', 'mask'), 2, "--output: 'mask' is none of the outputs scores"),
    (('{}', '--provenance', 'me'), 2, "'me' is not KEY=VALUE"),
    (('{}', '--key', '/nowhere.pem'), 5, '/nowhere.pem cannot be read'),
    (('no.such.module:factory', '--input-size', '8x8'), 2, 'cannot be imported'),
]


@pytest.mark.parametrize(('words', 'code', 'message'), WRONG)
def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(
    run: Run, network: Path, store_root: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    if words[0].startswith('no.such'):
        pytest.importorskip('torch', reason='PyTorch is an optional extra, and is not installed')
    result = run('model', 'import', *(word.format(network) for word in words))
    assert len(result.err.splitlines()) == 1
    assert message in result.err
    assert result.code == code
    assert ModelStore(store_root).entries() == ()
    assert ModelStore(store_root).leftovers() == ()


@pytest.mark.parametrize('length', [0, 1, 40])
def test_a_file_that_was_cut_short_is_one_line(run: Run, network: Path, length: int) -> None:
    network.write_bytes(network.read_bytes()[:length])
    result = run('model', 'import', network)
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert 'floor.onnx' in result.err


def test_a_version_that_is_there_is_refused(run: Run, network: Path) -> None:
    assert run('model', 'import', network).code == 0
    result = run('model', 'import', network, '--version', '1')
    assert (result.code, 'floor@1 is in the store already' in result.err) == (1, True)
    assert 'floor@2 is published' in run('model', 'import', network).out


def test_an_interrupt_leaves_nothing(
    run: Run, network: Path, store_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('edge_seg.offline.imports.importing.try_model', interrupted)
    result = run('model', 'import', network)
    assert (result.code, result.err.strip()) == (130, 'edge_seg: interrupted')
    assert not store_root.exists()


def test_the_same_file_is_taken_by_add(run: Run, tmp_path: Path, store_root: Path) -> None:
    path = write_onnx(tmp_path / 'net.onnx')
    words = ('--classes', 'person', '--kind', 'logits', '--color-order', 'rgb')
    result = run('model', 'add', path, *words, '--normalise', 'signed-unit', '--licence', 'MIT')
    assert result.code == 0, result.err
    assert ModelStore(store_root).resolve('net').manifest.spec.classes[1].name == 'person'
