"""Progress of the model commands: bars for who looks at a terminal, nothing for anybody else."""

from collections.abc import Callable
import json
from pathlib import Path

from command_line import Result, Run, Terminal
from model_files import write_segmenter
import pytest

pytest.importorskip('onnx', reason='a test model is written with onnx')
pytest.importorskip('openvino', reason='models are measured with OpenVINO')
pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')

Watch = Callable[..., tuple[Result, str]]
FEW = ('--frames', '2', '--size', '64x48', '--no-kpi')


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_segmenter(tmp_path / 'floor.onnx')


@pytest.fixture
def watch(run: Run, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Run a command with a terminal for stderr; gives the result, and what stood there."""
    monkeypatch.setenv('TERM', 'xterm')

    def run_watched(*words: object) -> tuple[Result, str]:
        with monkeypatch.context() as patch:
            screen = Terminal()
            patch.setattr('sys.stderr', screen)
            result = run('model', *words, '--json')
        return result, screen.getvalue()

    return run_watched


def test_a_terminal_sees_how_far_a_command_is_and_stdout_is_json(
    watch: Watch, run: Run, add: Run, onnx_file: Path, tmp_path: Path
) -> None:
    add()
    registry = f'file://{tmp_path}/registry'
    archive = tmp_path / 'floor.tar.gz'
    robot = ('--store', tmp_path / 'robot')
    for bar, words in (
        ('floor@1', ('package', 'floor', '-o', archive)),
        ('floor.tar.gz', ('install', archive, *robot)),
        ('uploading', ('push', 'floor', registry)),
        ('installing', ('pull', registry, 'floor', *robot)),
        ('publishing', ('import', onnx_file, '--name', 'imported')),
        ('floor', ('evaluate', 'floor', '--reference', 'floor@1', *FEW)),
        ('floor', ('parity', 'floor', '--backend', 'openvino,opencv', *FEW)),
        ('floor', ('profile', 'floor', *FEW)),
    ):
        result, screen = watch(*words)
        assert result.code == 0, screen
        assert json.loads(result.out)
        assert bar in screen
        assert '0 of 0' not in screen
        assert '\x1b[2K' in screen  # the bar goes away again


def test_a_pipe_gets_no_bar(run: Run, add: Run, tmp_path: Path) -> None:
    add()
    registry = f'file://{tmp_path}/registry'
    for words in (
        ('push', 'floor', registry),
        ('pull', registry, 'floor', '--store', tmp_path / 'robot'),
        ('profile', 'floor', *FEW),
    ):
        result = run('model', *words)
        assert (result.code, result.err) == (0, '')
