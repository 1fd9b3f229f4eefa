"""docs/bring-your-own-model.md, its part on networks from elsewhere: every line of code runs."""

from collections.abc import Callable
import importlib
import os
from pathlib import Path
import re
import runpy
import shlex

from edge_seg.cli.main import main
from edge_seg.models.store import ModelStore
import openvino as ov
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_tflite

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[3] / 'docs' / 'bring-your-own-model.md'
PART = PAGE.read_text('utf-8').partition('# Other networks')[2]
COMMANDS = {
    shlex.split(line)[3]: shlex.split(line)[1:]
    for line in re.findall(r'^edge_seg model import \w.*$', PART, re.MULTILINE)
}


def road(folder: Path) -> None:
    """Write ONNX with the classes of Cityscapes."""
    TinyModel(classes=19).save(folder / 'road.onnx')


def deeplab(folder: Path) -> None:
    """Write TFLite with the classes of PASCAL VOC."""
    model = TinyModel(classes=21, input_layout='NHWC', output_layout='NHWC')
    save_tflite(model, folder / 'deeplab.tflite')


def person(folder: Path) -> None:
    """Write IR with two classes."""
    network = ov.Core().read_model(str(TinyModel(classes=2).save(folder / 'person.onnx')))
    ov.save_model(network, str(folder / 'person.xml'))


def program(folder: Path) -> None:
    """Write a program of torch.export with two outputs, by name."""
    torch = pytest.importorskip('torch', reason='PyTorch, an optional extra, is not installed')
    network = importlib.import_module('tiny_unet').named_outputs().eval()
    exported = torch.export.export(network, (torch.zeros(1, 3, 16, 32),))
    torch.export.save(exported, folder / 'net.pt2')


def package(folder: Path) -> None:
    """Write a package with a function that makes a network."""
    pytest.importorskip('torch', reason='PyTorch, an optional extra, is not installed')
    (folder / 'my_package').mkdir()
    (folder / 'my_package' / 'nets.py').write_text('from tiny_unet import unet as build\n')


MAKERS: dict[str, Callable[[Path], None]] = {
    'road.onnx': road,
    'deeplab.tflite': deeplab,
    'person.xml': person,
    'net.pt2': program,
    'my_package.nets:build': package,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('EDGE_SEG_STORE', str(tmp_path / 'store'))
    monkeypatch.setattr('sys.path', [*os.sys.path])
    return tmp_path


def test_the_page_shows_a_command_for_each_kind_of_source() -> None:
    assert list(COMMANDS) == list(MAKERS)


@pytest.mark.parametrize('source', MAKERS)
def test_the_commands_of_the_page_run(
    source: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAKERS[source](folder)
    assert main(COMMANDS[source]) == 0, capsys.readouterr().err
    published = len(ModelStore(folder / 'store').entries())
    assert published == (0 if '--dry-run' in COMMANDS[source] else 1)


def test_the_lines_of_python_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    road(folder)
    (code,) = re.findall(r'```python\n(.*?)```', PART, re.DOTALL)
    (folder / 'example.py').write_text(code)
    runpy.run_path('example.py')
    assert "Assumption(option='--normalise', value='imagenet'" in capsys.readouterr().out
