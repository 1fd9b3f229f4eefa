"""docs/bring-your-own-model.md, executed: from PyTorch to INT8 on the running node.

Where PyTorch is not installed, as in CI, the page still runs: only its training is left out, and
the same network comes as ONNX. That much is told as a skipped test.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
import subprocess

from camera_frames import rgb8, scene
import numpy as np
from operator_node import Operator
from page_unet import save_unet
import pytest
from segmentation_nodes import Start

PAGE = Path(__file__).parents[2] / 'docs' / 'bring-your-own-model.md'
FENCE = re.compile(r'(?:`([\w.]+)`:\n)?```(sh|python)\n(.*?)```', re.DOTALL)
LAUNCH = re.compile(r'ros2 launch edge_seg segment\.launch\.py camera:=synthetic model:=(\S+)')
ACTIVATE = 'edge_seg model activate '
NEEDED = ('nncf', 'onnx', 'openvino', 'onnxruntime')
FROM_PYTORCH = 'edge_seg model import unet.py:trained '
TRAINING = 'python3 train.py'


@dataclass(frozen=True)
class Block:
    """A block of code of the page: a file to write, or commands."""

    file: str
    text: str


def blocks() -> Iterator[Block]:
    """Give the blocks of the tutorial, up to the part on other networks."""
    tutorial = PAGE.read_text('utf-8').partition('# Other networks')[0]
    for file, language, text in FENCE.findall(tutorial):
        assert (language == 'python') == bool(file), text
        yield Block(file, text.strip() + '\n')


def run(command: str, folder: Path) -> None:
    """Run commands as a shell does, in a folder."""
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f'{command}\n{done.stdout}{done.stderr}'


def precision_of(operator: Operator, model: str) -> str:
    """Wait until a model serves, and give what it computes in."""
    wanted = operator.report(lambda each: each.values['model'] == model, f'{model} to serve')
    return str(wanted.values['precision'])


def needs_what_the_page_needs(*more: str) -> None:
    """Skip where something is missing; EDGE_SEG_REQUIRE_TORCH=1 fails instead, later."""
    if os.environ.get('EDGE_SEG_REQUIRE_TORCH') == '1':
        return
    for name in (*NEEDED, *more):
        pytest.importorskip(name, reason=f'{name}, an optional extra, is not installed')
    if shutil.which('edge_seg') is None:
        pytest.skip('the command edge_seg is not installed; make build')


def without_pytorch(command: str, folder: Path) -> str:
    """Give what stands for a command where its network comes as ONNX."""
    if command == TRAINING:
        save_unet(folder / 'frames', folder / 'unet.onnx')
        return ''
    return command.replace(FROM_PYTORCH, 'edge_seg model import unet.onnx ').replace(
        '--input-size 128x128', ''
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize('source', ['pytorch', 'onnx'])
def test_the_page_leads_to_an_int8_model_on_the_running_node(
    source: str, tmp_path: Path, start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node runs alone, where the page launches it with its manager and a camera."""
    needs_what_the_page_needs(*(['torch'] if source == 'pytorch' else []))
    monkeypatch.setenv('EDGE_SEG_STORE', str(tmp_path / 'store'))
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    operator: Operator | None = None
    with ExitStack() as streams:
        for block in blocks():
            command = block.text.strip()
            launch = LAUNCH.fullmatch(command)
            if block.file:
                (tmp_path / block.file).write_text(block.text, 'utf-8')
            elif launch is not None:
                store = str(tmp_path / 'store')
                _, operator = start_node(model=launch[1], model_store=store, precision='auto')
                operator.start()
                masks = operator.listen('mask')
                camera = operator.settled_camera()
                camera.ask(rgb8(scene()), masks)
                streams.enter_context(camera.streaming(rgb8(scene()), 10.0))
                assert precision_of(operator, 'unet@1') != 'int8'
            elif block.text.startswith(ACTIVATE):
                assert operator is not None
                run(f'{command} --node {operator.full_name("segmentation")}', tmp_path)
            else:
                run(
                    command if source == 'pytorch' else without_pytorch(command, tmp_path),
                    tmp_path,
                )
        assert operator is not None
        assert precision_of(operator, 'unet@2') == 'int8'
        labels = set(np.unique(np.frombuffer(masks.next('a mask').data, np.uint8)).tolist())
    assert labels <= {0, 1, 2, 3}
    assert len(labels) > 1


def test_the_page_names_every_package_that_it_needs() -> None:
    """Whoever installs no more than it says gets to its end."""
    named = re.search(r'^pip install ([\w ]+?) *#', PAGE.read_text('utf-8'), re.MULTILINE)
    assert named is not None
    assert set(named[1].split()) == {*NEEDED, 'torch'}


def test_what_stands_for_pytorch_is_in_the_page() -> None:
    """Else the page would lead elsewhere without PyTorch, unnoticed."""
    commands = [block.text for block in blocks() if not block.file]
    assert f'{TRAINING}\n' in commands
    assert sum(text.startswith(FROM_PYTORCH) for text in commands) == 1
