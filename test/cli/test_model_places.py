"""The commands look where the node looks: in the operator's store, then beside the package."""

from collections.abc import Callable
import json
from pathlib import Path

from command_line import Run
from edge_seg.cli.main import main
from model_files import ANSWERS
import pytest


@pytest.fixture
def install(run: Run, onnx_file: Path, installed_root: Path) -> Callable[..., None]:
    """Put a model among those that came with the package."""

    def install_model(name: str, version: str) -> None:
        words = ('--name', name, '--version', version, '--store', installed_root)
        result = run('model', 'add', onnx_file, *ANSWERS, *words)
        assert result.code == 0, result.err

    return install_model


def listed(text: str) -> list[list[str]]:
    return [line.split()[:3] for line in text.splitlines()[1:]]


def test_the_list_shows_both_and_says_where(run: Run, add: Run, install: Callable[..., None]):
    install('person', '1')
    add()
    result = run('model', 'list')
    assert result.out.split()[:3] == ['NAME', 'VERSION', 'WHERE']
    assert listed(result.out) == [['floor', '1', 'store'], ['person', '1', 'installed']]
    assert listed(run('model', 'list', 'person').out) == [['person', '1', 'installed']]


def test_an_empty_store_is_no_reason_to_list_nothing(
    run: Run, install: Callable[..., None], store_root: Path, installed_root: Path
):
    install('floor', '2')
    document = json.loads(run('model', 'list', '--json').out)
    assert document['store'] == str(store_root)
    assert document['installed'] == str(installed_root)
    (model,) = document['models']
    assert (model['name'], model['where'], model['hidden']) == ('floor', 'installed', False)
    assert model['path'] == f'{installed_root}/floor/2'


def test_a_version_hidden_by_the_store_is_said_to_be(
    run: Run, add: Run, install: Callable[..., None], store_root: Path
):
    add()
    install('floor', '1')
    _, _, hidden = run('model', 'list').out.splitlines()
    assert hidden.split()[:3] == ['floor', '1', 'installed']
    assert hidden.endswith('hidden by floor@1 of the store')
    shown = json.loads(run('model', 'show', 'floor@1', '--json').out)
    assert shown['path'] == f'{store_root}/floor/1'


def test_what_is_installed_can_be_shown_and_verified(
    run: Run, add: Run, install: Callable[..., None], installed_root: Path
):
    install('person', '1')
    assert f'{installed_root}/person/1' in run('model', 'show', 'person').out
    assert run('model', 'verify', 'person').out.startswith('ok   person@1')
    add()
    (installed_root / 'person' / '1' / 'floor.onnx').write_bytes(b'other')
    result = run('model', 'verify')
    assert result.code == 4
    assert result.out.startswith('ok   floor@1')
    assert result.err.startswith('BAD  person@1')


def test_a_hidden_version_is_verified_too(
    run: Run, add: Run, install: Callable[..., None], installed_root: Path
):
    add()
    install('floor', '1')
    file = installed_root / 'floor' / '1' / 'floor.onnx'
    file.write_bytes(file.read_bytes()[::-1])
    result = run('model', 'verify')
    assert result.code == 4
    assert str(file) in result.err


def test_a_store_that_is_named_is_the_only_one(
    run: Run, install: Callable[..., None], tmp_path: Path
):
    install('floor', '1')
    other = ('--store', tmp_path / 'other')
    assert ': no models' in run('model', 'list', *other).out
    document = json.loads(run('model', 'list', '--json', *other).out)
    assert (document['installed'], document['models']) == (None, [])
    assert run('model', 'show', 'floor', *other).code == 3
    assert run('model', 'verify', 'floor', *other).code == 3


def test_writing_commands_change_the_operators_store_only(
    run: Run, install: Callable[..., None], tmp_path: Path, store_root: Path
):
    install('floor', '1')
    assert run('model', 'keygen', tmp_path / 'site').code == 0
    for words in (
        ('label', 'floor@1', 'stable'),
        ('remove', 'floor@1'),
        ('sign', 'floor@1', '--key', tmp_path / 'site.key.pem'),
    ):
        result = run('model', *words)
        assert result.code == 3
        assert str(store_root) in result.err
    assert run('model', 'prune', '--keep', '1').out == 'nothing to remove\n'
    assert listed(run('model', 'list').out) == [['floor', '1', 'installed']]


def test_an_added_version_comes_after_what_is_installed(
    add: Run, install: Callable[..., None], store_root: Path
):
    install('floor', '2')
    assert add().out == f'floor@3 is published in {store_root}/floor/3\n'


def test_the_models_of_this_very_package_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv('EDGE_SEG_STORE', raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    assert main(['model', 'list']) == 0
    assert ['floor', '1', 'installed'] in listed(capsys.readouterr().out)
