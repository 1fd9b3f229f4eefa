"""PyTorch networks: torch.export files, TorchScript files, factories."""

import os
from pathlib import Path
from typing import Any
import zipfile

from edge_seg.core.values import ArtifactFormat, OutputKind, Size
from edge_seg.errors import CompileFailed, OptionInvalid, UnsupportedNetwork
from imported_models import answer_of, Import, package_of, said
import numpy as np
import pytest

if os.environ.get('EDGE_SEG_REQUIRE_TORCH') != '1':
    pytest.importorskip('torch', reason='PyTorch is an optional extra, and is not installed')
import tiny_unet
import torch
from torch._export.serde.schema import SCHEMA_VERSION
from torch._export.serde.serialize import serialize

HERE = Path(__file__).parent
SIZE = Size(32, 16)


def expected(network: Any, pixels: np.ndarray) -> np.ndarray:
    """Give the scores of a network for raw pixels in 0 to 1."""
    image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2)
    with torch.no_grad():
        return network.eval()(image).numpy()


def noise() -> np.ndarray:
    """Give random pixels."""
    shape = (1, SIZE.height, SIZE.width, 3)
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


def script(folder: Path) -> str:
    """Write a U-Net as TorchScript."""
    torch.jit.script(tiny_unet.unet().eval()).save(str(folder / 'net.pt'))
    return str(folder / 'net.pt')


def exported(folder: Path, **options: Any) -> str:
    """Write a U-Net with torch.export."""
    image = torch.zeros(1, 3, SIZE.height, SIZE.width)
    program = torch.export.export(tiny_unet.unet().eval(), (image,), **options)
    torch.export.save(program, folder / 'net.pt2')
    return str(folder / 'net.pt2')


def exported_before_2_8(folder: Path) -> str:
    """Write a U-Net as torch.export.save of PyTorch 2.6 and 2.7 did."""
    image = torch.zeros(1, 3, SIZE.height, SIZE.width)
    parts = serialize(torch.export.export(tiny_unet.unet().eval(), (image,)))
    with zipfile.ZipFile(folder / 'net.pt2', 'w') as archive:
        archive.writestr('version', '.'.join(map(str, SCHEMA_VERSION)))
        archive.writestr('serialized_exported_program.json', parts.exported_program)
        archive.writestr('serialized_state_dict.pt', parts.state_dict)
        archive.writestr('serialized_constants.pt', parts.constants)
        archive.writestr('serialized_example_inputs.pt', parts.example_inputs)
    return str(folder / 'net.pt2')


def factory(_folder: Path) -> str:
    """Name the function that makes a U-Net."""
    return f'{HERE / "tiny_unet.py"}:unet'


@pytest.mark.parametrize('source', [script, exported, exported_before_2_8, factory])
def test_a_unet_computes_what_it_computed(source: Any, tmp_path: Path, importing: Import) -> None:
    imported = importing(source(tmp_path), input_size='32x16', normalise='unit')

    assert imported.format is ArtifactFormat.ONNX
    assert (imported.spec.output.kind, len(imported.spec.classes)) == (OutputKind.LOGITS, 4)
    assert 'equals PyTorch to' in imported.trial.checks[-1]
    pixels = noise()
    answer = answer_of(package_of(imported), pixels)
    np.testing.assert_allclose(answer, expected(tiny_unet.unet(), pixels), rtol=0, atol=1e-4)


def test_the_size_of_an_exported_program_is_its_own(tmp_path: Path, importing: Import) -> None:
    source = exported(tmp_path)
    assert importing(source, publish=False).spec.input.size == SIZE
    with pytest.raises(OptionInvalid, match='--input-size: the file fixes input'):
        importing(source, input_size='64x64')


def test_open_axes_of_an_exported_program_are_fixed(tmp_path: Path, importing: Import) -> None:
    side = torch.export.Dim('side', min=4, max=64)
    source = exported(tmp_path, dynamic_shapes={'image': {2: 2 * side}})
    with pytest.raises(OptionInvalid, match='pass --input-size'):
        importing(source)
    assert importing(source, input_size='32x48', publish=False).spec.input.size == Size(32, 48)


@pytest.mark.parametrize('form', ['factory', 'script', 'exported'])
@pytest.mark.parametrize(
    ('name', 'kind'), [('softmax', 'probabilities'), ('sigmoid', 'sigmoid'), ('argmax', 'labels')]
)
def test_what_ends_a_network_is_found_and_computes_what_it_computed(
    name: str, kind: str, form: str, tmp_path: Path, importing: Import
) -> None:
    network = getattr(tiny_unet, name)().eval()
    image = torch.zeros(1, 3, SIZE.height, SIZE.width)
    source = f'{HERE / "tiny_unet.py"}:{name}'
    if form == 'script':
        source = str(tmp_path / 'net.pt')
        torch.jit.trace(network, image).save(source)
    elif form == 'exported':
        source = str(tmp_path / 'net.pt2')
        torch.export.save(torch.export.export(network, (image,)), source)
    imported = importing(source, input_size='32x16', normalise='unit')
    assert (said(imported)['--kind'].value, said(imported)['--kind'].assumed) == (kind, False)
    pixels = noise()
    answer = answer_of(package_of(imported), pixels)
    np.testing.assert_allclose(answer, expected(network, pixels), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'outputs', 'chosen'),
    [('named_outputs', 'out float32', 'out'), ('listed_outputs', 'output0 float32', 'output1.0')],
)
def test_one_of_several_outputs_is_chosen_by_name(
    name: str, outputs: str, chosen: str, importing: Import
) -> None:
    source = f'{HERE / "tiny_unet.py"}:{name}'
    with pytest.raises(OptionInvalid, match=f'2 outputs: {outputs}'):
        importing(source, input_size='32x16')
    imported = importing(source, input_size='32x16', output_name=chosen, publish=False)
    assert imported.spec.output.name == chosen


def test_the_channels_are_those_of_the_first_filter(importing: Import) -> None:
    source = f'{HERE / "tiny_unet.py"}:gray'
    imported = importing(source, input_size='32x16', publish=False)
    assert (imported.spec.input.channels, imported.spec.input.color_order) == (1, 'gray')


@pytest.mark.parametrize(('name', 'channels'), [('positioned', 3), ('positioned_gray', 1)])
def test_the_channels_are_found_where_no_filter_comes_first(
    name: str, channels: int, importing: Import
) -> None:
    source = f'{HERE / "tiny_unet.py"}:{name}'
    assert importing(source, input_size='32x16', publish=False).spec.input.channels == channels
    with pytest.raises(CompileFailed, match='fails on an image of 1x3x64x64: .*--input-size'):
        importing(source, input_size='64x64')


def test_a_network_that_leaves_its_channels_open_takes_colour(importing: Import) -> None:
    source = f'{HERE / "tiny_unet.py"}:lazy'
    imported = importing(source, input_size='32x16', publish=False)
    assert imported.spec.input.channels == 3


def test_another_number_of_channels_is_said_to_be_unsupported(importing: Import) -> None:
    with pytest.raises(UnsupportedNetwork, match='has 4 channels; expected 1 .* depth'):
        importing(f'{HERE / "tiny_unet.py"}:four_channels', input_size='32x16')


def test_a_factory_in_a_package_is_found_from_the_present_folder(
    tmp_path: Path, importing: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'mine_of_the_test.py').write_text('from tiny_unet import unet\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.path', [*os.sys.path])
    imported = importing('mine_of_the_test:unet', input_size='32x16')
    assert package_of(imported).identity == 'unet@1'


def test_a_factory_in_a_file_finds_what_lies_beside_it(
    tmp_path: Path, importing: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'layers_of_the_test.py').write_text('from tiny_unet import unet\n')
    (tmp_path / 'nets_of_the_test.py').write_text('from layers_of_the_test import unet\n')
    monkeypatch.setattr('sys.path', [*os.sys.path])
    source = f'{tmp_path / "nets_of_the_test.py"}:unet'
    assert importing(source, input_size='32x16', publish=False).spec.name == 'unet'


FAILING = {
    'import': ('raise_ = undefined\n', OptionInvalid, "name 'undefined' is not defined"),
    'call': (
        'import pickle\ndef net():\n    raise pickle.UnpicklingError("bad magic")\n',
        CompileFailed,
        r'net\(\) fails: UnpicklingError: bad magic',
    ),
    'call_of_a_package': (
        'import yaml\ndef net():\n    yaml.safe_load("[")\n',
        CompileFailed,
        r'net\(\) fails: ParserError: while parsing a flow node',
    ),
    'run_of_a_package': (
        (
            'import torch, yaml\nclass net(torch.nn.Module):\n    def forward(self, image):\n'
            '        yaml.safe_load("[")\n'
        ),
        CompileFailed,
        'fails on an image of 1x3x16x32: while parsing',
    ),
    'run': (
        (
            'import torch\nclass net(torch.nn.Module):\n    def forward(self, image):\n'
            '        assert image.shape[2] == 5, "wants 5 rows"\n'
        ),
        CompileFailed,
        'fails on an image of 1x3x16x32: wants 5 rows',
    ),
}


@pytest.mark.parametrize('moment', FAILING)
def test_whatever_the_code_of_a_network_raises_is_told(
    moment: str, tmp_path: Path, importing: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error, message = FAILING[moment]
    file = tmp_path / f'fails_at_{moment}.py'
    file.write_text(code)
    monkeypatch.setattr('sys.path', [*os.sys.path])
    with pytest.raises(error, match=message):
        importing(f'{file}:net', input_size='32x16')


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        ('unet', OptionInvalid, 'does not tell the size of its input; pass --input-size'),
        ('nowhere', OptionInvalid, 'cannot be imported'),
        ('broken', CompileFailed, r'broken\(\) fails: RuntimeError: no weights here'),
        ('no_network', CompileFailed, 'returns int; expected a torch.nn.Module'),
        ('no_outputs', UnsupportedNetwork, 'returns no tensors'),
        ('half_precision', UnsupportedNetwork, r'computes in bfloat16; .*call \.float\(\) on it'),
        ('TwoImages', CompileFailed, r"missing 1 required positional argument: 'right'"),
    ],
)
def test_a_factory_that_is_of_no_use_is_refused(
    name: str, error: type[Exception], message: str, importing: Import
) -> None:
    size = None if name == 'unet' else '32x16'
    with pytest.raises(error, match=message):
        importing(f'{HERE / "tiny_unet.py"}:{name}', input_size=size)


def test_weights_without_a_network_are_refused_unread(tmp_path: Path, importing: Import) -> None:
    torch.save(tiny_unet.unet().state_dict(), tmp_path / 'weights.pt')
    torch.save(tiny_unet.unet(), tmp_path / 'pickle.pth')
    for name in ('weights.pt', 'pickle.pth'):
        with pytest.raises(CompileFailed, match='name a function that returns the network'):
            importing(tmp_path / name, input_size='32x16')


def test_a_damaged_file_is_refused(tmp_path: Path, importing: Import) -> None:
    (tmp_path / 'net.pt').write_bytes(b'not a zip')
    with pytest.raises(CompileFailed, match=r'net.pt is no file of PyTorch'):
        importing(tmp_path / 'net.pt')
    with zipfile.ZipFile(tmp_path / 'net.pt2', 'w') as archive:
        archive.writestr('net/archive_format', 'pt2')
    with pytest.raises(CompileFailed, match=r'net.pt2 cannot be read'):
        importing(tmp_path / 'net.pt2')
