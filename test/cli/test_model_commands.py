"""The commands that look after a store: what they print, refuse and return."""

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from command_line import Run
import edge_seg
import pytest


def fields(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_an_empty_store_says_how_to_fill_it(run: Run) -> None:
    result = run('model', 'list')
    assert (result.code, result.err) == (0, '')
    assert 'no models; add one with edge_seg model add FILE' in result.out


def test_the_list_shows_good_and_bad_entries(run: Run, add: Run, store_root: Path) -> None:
    add()
    add('--label', 'stable')
    (store_root / 'floor' / '1' / 'floor.onnx').write_bytes(b'cut')
    (store_root / '.edge_seg' / 'publish-floor-3.1234').mkdir()
    result = run('model', 'list')
    assert result.code == 0
    header, bad, good, left = fields(result.out)
    assert header == ['NAME', 'VERSION', 'WHERE', 'LABELS', 'FORMATS', 'SIZE', 'SIGNED', 'STATE']
    assert bad[:4] == ['floor', '1', 'store', 'no']
    assert 'has 3 bytes' in result.out
    assert good[:5] == ['floor', '2', 'store', 'stable', 'onnx']
    assert good[-1] == 'ok'
    assert left[:2] == ['publish-floor-3.1234', 'store']
    assert 'left by a publisher that died' in result.out


def test_the_list_is_json_for_scripts(run: Run, add: Run, store_root: Path) -> None:
    add()
    document = json.loads(run('model', 'list', '--json').out)
    assert document['store'] == str(store_root)
    (model,) = document['models']
    assert (model['name'], model['version'], model['ok']) == ('floor', '1', True)
    assert model['formats'] == ['onnx']
    assert document['leftovers'] == []


def test_lines_are_not_folded_in_a_pipe(run: Run, add: Run, store_root: Path) -> None:
    add()
    (store_root / 'floor' / '1' / 'manifest.yaml').write_text('x: ' + 'y' * 300)
    assert len(run('model', 'list').out.splitlines()) == 2


def test_show_tells_what_the_model_wants(run: Run, add: Run) -> None:
    add('--provenance', 'trained_by=me', '--resize', 'letterbox')
    text = run('model', 'show', 'floor').out
    assert 'model            floor@1\n' in text
    assert 'image 64x32 NCHW float32 rgb' in text
    assert '0 other, 1 floor' in text
    assert 'letterbox' in text
    assert 'trained_by       me' in text
    document = json.loads(run('model', 'show', 'floor', '--json').out)
    assert document['manifest']['input']['width'] == 64
    assert document['manifest']['provenance']['trained_by'] == 'me'


def test_verify_reports_each_model(run: Run, add: Run, store_root: Path) -> None:
    add()
    add()
    assert run('model', 'verify').code == 0
    artifact = store_root / 'floor' / '2' / 'floor.onnx'
    content = bytearray(artifact.read_bytes())
    content[-1] ^= 1
    artifact.write_bytes(content)
    result = run('model', 'verify')
    assert result.code == 4
    assert result.out.startswith('ok   floor@1: 1 file,')
    assert result.err.startswith('BAD  floor@2:')
    assert 'has sha256' in result.err
    documents = json.loads(run('model', 'verify', '--json').out)
    assert [document['ok'] for document in documents] == [True, False]


def test_verify_of_what_is_not_there_is_not_found(run: Run, add: Run) -> None:
    add()
    assert run('model', 'verify', 'wall').code == 3


def test_a_signed_model_passes_where_signatures_are_required(
    run: Run, add: Run, tmp_path: Path
) -> None:
    add()
    stem = tmp_path / 'site'
    assert run('model', 'keygen', stem).code == 0
    required = ('--require-signature', '--trusted-key', f'{stem}.pub.pem')
    unsigned = run('model', 'verify', 'floor', *required)
    assert unsigned.code == 4
    assert 'is not signed' in unsigned.err
    assert run('model', 'sign', 'floor', '--key', f'{stem}.key.pem').code == 0
    signed = run('model', 'verify', 'floor', *required)
    assert (signed.code, signed.err) == (0, '')
    assert '(trusted)' in signed.out
    assert 'not checked' in run('model', 'verify', 'floor').out
    again = run('model', 'keygen', stem)
    assert again.code == 1
    assert 'site.key.pem exists' in again.err


def test_a_shared_secret_signs_too(run: Run, add: Run, tmp_path: Path) -> None:
    add()
    secret = tmp_path / 'secret'
    secret.write_text('0123456789abcdef')
    secret.chmod(0o600)
    assert run('model', 'sign', 'floor@1', '--hmac-secret', secret).code == 0
    assert run('model', 'verify', '--hmac-secret', secret, '--require-signature').code == 0
    secret.chmod(0o644)
    assert run('model', 'verify', '--hmac-secret', secret).code == 5


def test_a_damaged_model_is_not_signed(
    run: Run, add: Run, tmp_path: Path, store_root: Path
) -> None:
    add()
    run('model', 'keygen', tmp_path / 'site')
    artifact = store_root / 'floor' / '1' / 'floor.onnx'
    artifact.write_bytes(artifact.read_bytes()[::-1])
    result = run('model', 'sign', 'floor', '--key', tmp_path / 'site.key.pem')
    assert result.code == 4
    assert not (store_root / 'floor' / '1' / 'manifest.sig').exists()


def test_a_label_is_set_moved_and_dropped(run: Run, add: Run) -> None:
    add()
    add()
    assert run('model', 'label', 'floor@1', 'stable').out == 'floor@stable means floor@1\n'
    assert 'floor@1' in run('model', 'show', 'floor').out
    run('model', 'label', 'floor@latest', 'stable')
    assert 'floor@2' in run('model', 'show', 'floor').out
    assert run('model', 'label', '--drop', 'floor', 'stable').code == 0
    assert run('model', 'show', 'floor@stable').code == 3
    assert run('model', 'label', 'floor@1', 'latest').code == 1


def test_remove_refuses_what_is_labelled(run: Run, add: Run) -> None:
    add('--label', 'stable')
    refused = run('model', 'remove', 'floor@1')
    assert refused.code == 1
    assert 'has the label stable' in refused.err
    assert run('model', 'remove', 'floor@1', '--force').out == 'floor@1 is removed\n'
    assert run('model', 'remove', 'floor@1').code == 3


def test_commands_that_change_something_tell_scripts_what(
    run: Run, add: Run, tmp_path: Path
) -> None:
    add()

    def told(*command: object) -> Any:
        return json.loads(run('model', *command, '--json').out)

    stem = tmp_path / 'site'
    assert told('keygen', stem) == {
        'private': f'{stem}.key.pem', 'public': f'{stem}.pub.pem'
    }  # fmt: skip
    signed = told('sign', 'floor', '--key', f'{stem}.key.pem')
    assert (signed['model'], signed['algorithm']) == ('floor@1', 'ed25519')
    assert told('label', 'floor@1', 'stable') == {'label': 'floor@stable', 'means': 'floor@1'}
    assert told('label', '--drop', 'floor', 'stable')['means'] == ''
    assert told('remove', 'floor@1') == {'removed': ['floor@1']}


def test_prune_keeps_the_newest(run: Run, add: Run) -> None:
    for _ in range(3):
        add()
    run('model', 'label', 'floor@1', 'stable')
    document = json.loads(run('model', 'prune', '--keep', '1', '--json').out)
    assert document['removed'] == ['floor@2']
    assert document['kept'] == [{'model': 'floor@1', 'reason': 'floor@1 has the label stable'}]
    assert 'kept: floor@1 has the label stable' in run('model', 'prune', '--keep', 1).out


REFUSALS = [
    (('nonsense',), 2, "No such command 'nonsense'"),
    (('model', 'nonsense'), 2, "No such command 'nonsense'"),
    (('model', 'list', '--nonsense'), 2, '--nonsense'),
    (('model', 'list', 'wall'), 3, "no model 'wall'"),
    (('model', 'show'), 2, 'MODEL'),
    (('model', 'show', 'wall'), 3, "no model 'wall'"),
    (('model', 'show', 'a b'), 3, 'names no model'),
    (('model', 'show', '/nowhere/at/all'), 3, 'is no folder'),
    (('model', 'show', 'floor', '--store', '/dev/null'), 1, 'Not a directory'),
    (('model', 'add'), 2, 'SOURCE'),
    (('model', 'add', '/nowhere.onnx'), 2, 'does not exist'),
    (('model', 'add', '/etc/hostname'), 2, 'its suffix is none of .onnx, .xml'),
    (('model', 'add', '/etc'), 4, 'manifest.yaml'),
    (('model', 'sign', 'floor'), 2, 'give either --key or --hmac-secret'),
    (('model', 'sign', 'floor', '--key', 'a', '--hmac-secret', 'b'), 2, 'give either'),
    (('model', 'label', 'wall@1', 'stable'), 3, "no model 'wall'"),
    (('model', 'remove', 'floor'), 1, 'names no single version'),
    (('model', 'remove', '../floor@1'), 3, 'names no model'),
    (('model', 'remove', 'floor@9'), 3, 'does not exist'),
    (('model', 'prune'), 2, '--keep'),
    (('model', 'prune', '--keep', '0'), 2, '--keep'),
    (('model', 'prune', '--keep', 'all'), 2, '--keep'),
    (('model', 'keygen', '/dev/null/site'), 1, '/dev/null: '),
]


@pytest.mark.parametrize(('words', 'code', 'message'), REFUSALS)
def test_bad_input_gives_one_line_and_its_exit_code(
    run: Run, words: tuple[str, ...], code: int, message: str
) -> None:
    result = run(*words)
    assert result.code == code
    assert result.out == ''
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith('edge_seg: ')
    assert message in result.err


def test_every_command_has_help(run: Run) -> None:
    group = run('model', '--help').out
    for name in ('list', 'show', 'add', 'verify', 'keygen', 'sign', 'label', 'activate',
                 'rollback', 'remove', 'prune'):  # fmt: skip
        assert f'\n  {name} ' in group
        result = run('model', name, '--help')
        assert result.code == 0
        assert f'Usage: edge_seg model {name}' in result.out


def test_exit_codes_are_in_the_help(run: Run) -> None:
    assert '3 no such model' in ' '.join(run('--help').out.split())


def test_the_version_is_shown(run: Run) -> None:
    result = run('--version')
    assert (result.code, result.out) == (0, f'edge_seg {edge_seg.__version__}\n')


def test_help_waits_for_no_sdk() -> None:
    code = (
        'import sys; from edge_seg.cli.main import main; main(["model", "add", "--help"]);'
        'print([n for n in ("openvino", "rclpy", "tensorrt", "onnx") if n in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith('[]\n')


def test_a_reader_that_leaves_early_is_no_error(add: Run, store_root: Path) -> None:
    add()
    command = [sys.executable, '-m', 'edge_seg.cli.main', 'model', 'show', 'floor']
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write_end)
    assert 'Traceback' not in done.stderr
