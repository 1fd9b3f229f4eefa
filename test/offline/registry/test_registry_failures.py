"""Registries that are down, refuse, lack a package or hold nonsense: one line, no more."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
from pathlib import Path
import sys
import threading

from edge_seg.cli.main import main
from edge_seg.errors import IntegrityError, RegistryUnavailable, StoreError
from edge_seg.models.store import ModelStore
from edge_seg.offline.registry.opening import open_registry
from edge_seg.offline.registry.transfer import pull, push
from mlflow_server import free_port
import pytest
from registry_parts import add_version


class Refusal(BaseHTTPRequestHandler):
    """Answers everything with 401."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'who are you?')

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Give the address of a server that lets nobody in."""
    with ThreadingHTTPServer(('127.0.0.1', 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f'127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


def test_a_server_that_is_down_is_said_so_at_once() -> None:
    with pytest.raises(RegistryUnavailable, match='does not answer') as refusal:
        open_registry(f'mlflow+http://me:secret@127.0.0.1:{free_port()}')
    assert 'secret' not in str(refusal.value)


def test_a_server_that_refuses_the_user_says_how_to_name_one(refusing: str) -> None:
    pytest.importorskip('mlflow', reason='mlflow is not installed: tools/setup_env --tests')
    registry = open_registry(f'mlflow+http://me:secret@{refusing}')
    with pytest.raises(RegistryUnavailable, match='refuses.*MLFLOW_TRACKING_USERNAME') as refusal:
        registry.versions('road')
    assert 'secret' not in str(refusal.value)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    ('address', 'reason'),
    [
        ('models', 'is no address of a registry'),
        ('nonsense://x', 'nonsense'),
        ('mlflow+http://127.0.0.1:99999', 'does not answer'),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, reason: str) -> None:
    with pytest.raises(RegistryUnavailable, match=reason):
        open_registry(address)


@pytest.mark.parametrize(
    ('package', 'address'), [('mlflow', 'mlflow+sqlite:///x.db'), ('fsspec', 'file:///x')]
)
def test_a_missing_package_is_named(
    package: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.split('.')[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RegistryUnavailable, match=f'pip install {package}'):
        open_registry(address)


@pytest.mark.parametrize(
    ('file', 'content', 'reason'),
    [
        ('1/version.json', b'{', 'is no JSON'),
        ('1/version.json', b'[]', 'is no mapping'),
        ('1/version.json', b'{"size": 1}', 'describes .* in a way that cannot be'),
        ('labels.json', b'7', 'is no mapping'),
    ],
)
def test_a_registry_with_nonsense_in_it_is_refused(
    desk: ModelStore, robot: ModelStore, tmp_path: Path, file: str, content: bytes, reason: str
) -> None:
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    registry = open_registry(f'file://{tmp_path}/registry')
    push(desk.resolve('road@1'), registry)
    (tmp_path / 'registry' / 'road' / file).write_bytes(content)
    with pytest.raises(IntegrityError, match=reason):
        pull(registry, 'road', robot)
    assert robot.entries() == ()


def test_a_push_that_was_cut_off_is_not_seen_and_can_be_repeated(
    desk: ModelStore, tmp_path: Path
) -> None:
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    registry = open_registry(f'file://{tmp_path}/registry')
    push(desk.resolve('road@1'), registry)
    folder = tmp_path / 'registry' / 'road' / '1'
    (folder / 'version.json').unlink()
    (folder / '.version.json.0123').write_text('{', 'ascii')
    assert registry.versions('road') == ()
    assert push(desk.resolve('road@1'), registry).new
    assert [each.version for each in registry.versions('road')] == ['1']


def test_the_archive_of_a_version_may_be_gone(
    desk: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    registry = open_registry(f'file://{tmp_path}/registry')
    push(desk.resolve('road@1'), registry)
    next((tmp_path / 'registry' / 'road' / '1').glob('*.tar.gz')).unlink()
    code = main(
        ['model', 'pull', f'file://{tmp_path}/registry', 'road', '--store', f'{tmp_path}/robot']
    )
    assert code == 3
    assert capsys.readouterr().err.count('\n') == 1


def test_a_label_that_mlflow_does_not_take_is_refused_before_anything_is_pushed(
    desk: ModelStore, mlflow_address: str
) -> None:
    registry = open_registry(f'mlflow+{mlflow_address}')
    with pytest.raises(StoreError, match="MLflow takes no alias 'v1'"):
        push(desk.resolve('road@2'), registry, labels=['v1'])
    assert registry.versions('road') == ()


def test_the_commands_push_list_and_pull(
    desk: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    address = f'file://{tmp_path}/registry'

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main(['model', *map(str, words)]) == 0
        return capsys.readouterr().out

    assert 'road@1 is in the registry' in run('push', 'road', address, '--store', desk.root)
    assert 'labelled stable' in run('push', 'road@1', address, '--store', desk.root)
    pushed = json.loads(run('push', 'road@2', address, '--store', desk.root, '--json'))
    assert (pushed['new'], pushed['labels']) == (True, [])
    assert [line.split()[1] for line in run('registry', address).splitlines()[1:]] == ['1', '2']
    listed = json.loads(run('registry', address, 'road', '--json'))
    assert [each['labels'] for each in listed] == [['stable'], []]
    words = ('pull', address, 'road', '--store', tmp_path / 'robot', '--labels')
    assert 'road@1 is installed, not signed, labelled stable' in run(*words)
    pulled = json.loads(run(*words, '--json'))
    assert (pulled['new'], pulled['labels_set']) == (False, ['stable'])


def test_a_client_that_prints_does_not_spoil_json(
    desk: ModelStore, tmp_path: Path, capfd: pytest.CaptureFixture[str], mlflow_address: str
) -> None:
    add_version(desk, tmp_path, name='quiet')
    words = ['push', 'quiet', f'mlflow+{mlflow_address}', '--store', str(desk.root), '--json']
    capfd.readouterr()
    assert main(['model', *words]) == 0
    assert json.loads(capfd.readouterr().out)['model'] == 'quiet@1'


@pytest.mark.parametrize(
    ('words', 'code', 'reason'),
    [
        (('push', 'wall', 'file:///x'), 3, "no model 'wall'"),
        (('push', 'road', 'nowhere'), 5, 'is no address of a registry'),
        (('push', 'road', 'file:///dev/null/x'), 5, 'cannot be used'),
        (('pull', 'file:///does/not/exist', 'road'), 3, "the registry has no model 'road'"),
        (('pull', 'file:///x', '../road'), 3, 'names no model'),
        (('push', 'road', 'memory://x', '--label', 'Stable'), 1, "'Stable' is no label"),
        (('push', 'road', 'memory://x', '--key', '/does/not/exist'), 5, 'cannot be read'),
    ],
)
def test_bad_input_gives_one_line(
    desk: ModelStore,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    reason: str,
) -> None:
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    found = main(['model', *words, '--store', str(desk.root)])
    err = capsys.readouterr().err
    assert (found, err.count('\n')) == (code, 1)
    assert reason in err
