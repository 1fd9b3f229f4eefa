"""Models compiled ahead into a file: loaded where they belong, refused anywhere else."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.core.values import OutputKind
from edge_seg.errors import CompileFailed
import numpy as np
import pytest
from tiny_models import TinyModel

MODEL = TinyModel()
OPTIONS = CompileOptions(threads=2)


@pytest.fixture(name='built')
def _built(tmp_path: Path) -> Path:
    artifact = MODEL.save(tmp_path / 'tiny.onnx')
    OpenVinoBackend().build(artifact, MODEL.spec, OPTIONS, tmp_path / 'tiny.ovbuilt')
    return tmp_path / 'tiny.ovbuilt'


def _refusal(path: Path, *, model: TinyModel = MODEL, options: CompileOptions = OPTIONS) -> str:
    with pytest.raises(CompileFailed) as refusal:
        OpenVinoBackend().compile_model(path, model.spec, options)
    assert refusal.value.remedy == 'build it again'
    return str(refusal.value)


@pytest.mark.parametrize('argmax', [True, False])
@pytest.mark.parametrize('batch', [True, False])
def test_a_prebuilt_model_computes_the_same(argmax: bool, batch: bool, tmp_path: Path) -> None:
    model = TinyModel(batch=batch, output_layout='NHWC')
    artifact = model.save(tmp_path / 'tiny.onnx')
    options = CompileOptions(argmax_in_graph=argmax)
    backend = OpenVinoBackend()
    direct = backend.compile_model(artifact, model.spec, options)
    backend.build(artifact, model.spec, options, tmp_path / 'tiny.ovbuilt')

    loaded = backend.compile_model(tmp_path / 'tiny.ovbuilt', model.spec, options)

    assert (loaded.inputs, loaded.outputs) == (direct.inputs, direct.outputs)
    assert loaded.output_kind is (OutputKind.LABELS if argmax else OutputKind.LOGITS)
    assert loaded.report.fused == direct.report.fused
    assert loaded.report.precision == 'fp32'
    assert loaded.report.from_cache
    np.testing.assert_array_equal(
        loaded.infer([model.pixels()])[0], direct.infer([model.pixels()])[0]
    )


def test_building_says_what_was_built_and_leaves_one_file(tmp_path: Path) -> None:
    artifact = MODEL.save(tmp_path / 'tiny.onnx')
    out = tmp_path / 'out'
    out.mkdir()
    report = OpenVinoBackend().build(artifact, MODEL.spec, OPTIONS, out / 'tiny.ovbuilt')
    assert report.precision == 'fp32'
    assert not report.from_cache
    assert [path.name for path in out.iterdir()] == ['tiny.ovbuilt']


def test_building_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    artifact = MODEL.save(tmp_path / 'tiny.onnx')
    with pytest.raises(CompileFailed, match='cannot be written'):
        OpenVinoBackend().build(artifact, MODEL.spec, OPTIONS, tmp_path / 'no' / 'x.ovbuilt')


def test_another_normalisation_is_refused(built: Path) -> None:
    text = _refusal(built, model=MODEL.but(mean=(0.1, 0.2, 0.3)))
    assert 'was built for input, output and classes' in text


@pytest.mark.parametrize(
    'options', [CompileOptions(argmax_in_graph=True), CompileOptions(threads=1)]
)
def test_other_options_are_refused(options: CompileOptions, built: Path) -> None:
    assert 'was built for options' in _refusal(built, options=options)


def test_another_openvino_is_refused_by_version(built: Path) -> None:
    head, brace, rest = built.read_bytes().partition(b'"openvino": "')
    built.write_bytes(head + brace + b'1999.1-' + rest)
    assert 'was built for OpenVINO 1999.1-' in _refusal(built)


@pytest.mark.parametrize(
    ('kept', 'reason'),
    [(0, 'no prebuilt model'), (10, 'no prebuilt model'), (300, 'cut short'), (-1, 'content')],
)
def test_a_cut_file_is_refused(kept: int, reason: str, built: Path) -> None:
    built.write_bytes(built.read_bytes()[:kept])
    assert reason in _refusal(built)


def test_a_flipped_bit_is_refused(built: Path) -> None:
    data = bytearray(built.read_bytes())
    data[-200] ^= 1
    built.write_bytes(data)
    assert 'its content is not what was written' in _refusal(built)


@pytest.mark.parametrize('header', [b'{}', b'[]', b'nonsense', b'{"inputs": 3}'])
def test_a_damaged_header_is_refused(header: bytes, built: Path) -> None:
    magic, _, blob = built.read_bytes().split(b'\n', 2)
    built.write_bytes(b'\n'.join([magic, header, blob]))
    assert 'its header is damaged' in _refusal(built)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileFailed, match='gone.ovbuilt cannot be read'):
        OpenVinoBackend().compile_model(tmp_path / 'gone.ovbuilt', MODEL.spec, OPTIONS)
