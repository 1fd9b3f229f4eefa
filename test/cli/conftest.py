"""The command line called as a user would, without a terminal or with one."""

from collections.abc import Callable
import io
from pathlib import Path

from command_line import Result, Run, Terminal
from edge_seg.cli.main import main
from model_files import ANSWERS, write_onnx
import pytest


@pytest.fixture
def store_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / 'store'
    monkeypatch.setenv('EDGE_SEG_STORE', str(root))
    return root


@pytest.fixture
def installed_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an empty store in the place of the models that came with the package."""
    root = tmp_path / 'installed'
    monkeypatch.setattr('edge_seg.cli.view.share_path', lambda *_parts: root)
    return root


@pytest.fixture
def run(
    store_root: Path,
    installed_root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    def run_words(*words: object, typed: str | None = None) -> Result:
        stdin = io.StringIO() if typed is None else Terminal(typed)
        monkeypatch.setattr('sys.stdin', stdin)
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run_words


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / 'floor.onnx')


@pytest.fixture
def add(run: Run, onnx_file: Path) -> Callable[..., Result]:
    """Publish the test model as the next version of 'floor', or as the options say."""

    def add_model(*options: object) -> Result:
        result = run('model', 'add', onnx_file, *ANSWERS, *options)
        assert result.code == 0, result.err
        return result

    return add_model
