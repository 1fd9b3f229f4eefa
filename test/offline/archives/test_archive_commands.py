"""``edge_seg model package`` and ``install`` as a user calls them."""

from collections.abc import Callable
import json
from pathlib import Path

from archive_parts import published
from edge_seg.cli.main import main
from edge_seg.models.keys import generate_pair
import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run ``edge_seg model ...`` in an empty folder, with a store that has road@1."""
    monkeypatch.setenv('EDGE_SEG_STORE', str(published(tmp_path / 'desk').root))
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')

    def run_words(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(['model', *map(str, words)])
        return code, *capsys.readouterr()

    return run_words


def test_a_model_goes_from_desk_to_robot_signed(run: Run, tmp_path: Path) -> None:
    private, public = generate_pair(tmp_path / 'site')
    code, out, _ = run('package', 'road', '--key', private)
    assert code == 0
    assert out.startswith('road-1.tar.gz: road@1, ')
    assert ', signed\nsha256 ' in out
    robot = ('--store', tmp_path / 'robot', '--trusted-key', public, '--require-signature')
    code, out, _ = run('install', 'road-1.tar.gz', *robot)
    assert code == 0
    assert 'road@1 is installed, signed with ed25519 key' in out
    assert 'trusted' in out
    assert 'road@1 was installed already' in run('install', 'road-1.tar.gz', *robot)[1]
    assert run('verify', 'road@1', *robot)[0] == 0


def test_json_says_what_was_done(run: Run, tmp_path: Path) -> None:
    Path('road.html').write_text('<p>good</p>', 'utf-8')
    made = json.loads(run('package', 'road@1', '--report', 'road.html', '--json')[1])
    assert (made['model'], made['signed'], made['report']) == ('road@1', False, True)
    assert made['size'] == Path(made['archive']).stat().st_size
    words = ('--store', tmp_path / 'robot', '--report', 'came.html', '--json')
    done = json.loads(run('install', made['archive'], *words)[1])
    assert (done['model'], done['new'], done['signature']) == ('road@1', True, 'unsigned')
    assert done['model_sha256'] == made['model_sha256']
    assert Path('came.html').read_text('utf-8') == '<p>good</p>'


@pytest.mark.parametrize(
    ('words', 'code', 'reason'),
    [
        (('package', 'wall'), 3, "no model 'wall'"),
        (('package', 'road', '-o', 'road.zip'), 1, 'road.zip says no format'),
        (('package', 'road', '-o', '/dev/null/road.tar.gz'), 1, '/dev/null'),
        (('package', 'road', '--key', 'none.pem'), 5, 'none.pem cannot be read'),
        (('package', 'road', '--report', 'none.html'), 3, 'none.html cannot be read'),
        (('install', 'none.tar.gz'), 3, 'none.tar.gz cannot be read'),
        (('install', 'empty.tar.gz'), 4, 'empty.tar.gz: it is empty'),
        (('install', 'road-1.tar.gz', '--max-size', '0.000001'), 4, 'allow more with --max-size'),
        (('install', 'road-1.tar.gz', '--max-size', '0'), 2, 'max-size'),
        (('install', 'road-1.tar.gz', '--require-signature'), 5, 'no key is trusted'),
        (('install', 'road-1.tar.gz', '--trusted-key', 'none.pem'), 2, "'none.pem' does not"),
        (('install', 'road-1.tar.gz', '--store', '/dev/null/x'), 1, '/dev/null'),
    ],
)
def test_bad_input_gives_one_line(
    run: Run, words: tuple[str, ...], code: int, reason: str
) -> None:
    Path('empty.tar.gz').touch()
    assert run('package', 'road')[0] == 0
    found, _, err = run(*words)
    assert (found, err.count('\n')) == (code, 1), err
    assert reason in err
