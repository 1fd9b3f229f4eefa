"""Model files that are not what they should be: each is refused, readably, and nothing crashes."""

from collections.abc import Callable
from pathlib import Path
import re

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.inspect import inspect_model
from edge_seg.backends.registry import create
from edge_seg.errors import CompileFailed, IncompatibleModel
import numpy as np
from onnx import helper, TensorProto
import openvino as ov
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_tflite

MODEL = TinyModel()
SOURCE_CODE = re.compile(r'\.(cpp|hpp|h|cc):\d+|Exception from|FrontEnd API')


def _onnx() -> bytes:
    return MODEL.proto().SerializeToString()


def _huge_weights() -> bytes:
    proto = MODEL.proto()
    proto.graph.initializer[0].dims[:] = [2**20, 2**20, 2**10, 1]
    return proto.SerializeToString()


def _unknown_operation() -> bytes:
    proto = MODEL.proto()
    proto.graph.node[0].op_type = 'NoSuchOperation'
    return proto.SerializeToString()


def _loose_end() -> bytes:
    proto = MODEL.proto()
    proto.graph.node[0].input[0] = 'nobody'
    return proto.SerializeToString()


def _outside_weights(location: str = 'nowhere.bin') -> bytes:
    proto = MODEL.proto()
    weights = proto.graph.initializer[0]
    weights.ClearField('raw_data')
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key='location', value=location)
    return proto.SerializeToString()


def _no_nodes() -> bytes:
    image = helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, 8, 12])
    graph = helper.make_graph([], 'empty', [image], [])
    return helper.make_model(graph).SerializeToString()


ONNX_FILES: dict[str, Callable[[], bytes]] = {
    'zero bytes': lambda: b'',
    'cut in the middle': lambda: _onnx()[: len(_onnx()) // 2],
    'cut near the start': lambda: _onnx()[:40],
    'cut by one byte': lambda: _onnx()[:-1],
    'noise': lambda: np.random.default_rng(3).bytes(3000),
    'a picture': lambda: b'\x89PNG\r\n\x1a\n' + bytes(200),
    'zeros': lambda: bytes(1000),
    'text': lambda: b'this is not a model\n' * 20,
    'another protobuf': lambda: helper.make_opsetid('ai.onnx', 13).SerializeToString(),
    'a tensor': lambda: helper.make_tensor('w', 1, [2], [1.0, 2.0]).SerializeToString(),
    'no nodes': _no_nodes,
    'unknown operation': _unknown_operation,
    'loose end': _loose_end,
    'weights in a missing file': _outside_weights,
    'weights larger than any memory': _huge_weights,
}


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
@pytest.mark.parametrize('whole_path', [True, False])
def test_weights_are_not_taken_from_outside_the_folder(
    backend: str, whole_path: bool, tmp_path: Path
) -> None:
    weights = tmp_path / 'weights.bin'
    weights.write_bytes(MODEL.proto().graph.initializer[0].raw_data)
    path = tmp_path / 'model' / 'net.onnx'
    path.parent.mkdir()
    path.write_bytes(_outside_weights(str(weights) if whole_path else '../weights.bin'))
    with pytest.raises(CompileFailed, match='takes weights from .*weights.bin') as refusal:
        create(backend).compile_model(path, MODEL.spec, CompileOptions())
    assert refusal.value.expected == 'a file in its folder'


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
def test_weights_beside_the_file_are_taken(backend: str, tmp_path: Path) -> None:
    (tmp_path / 'weights').mkdir()
    weights = tmp_path / 'weights' / 'net.bin'
    weights.write_bytes(MODEL.proto().graph.initializer[0].raw_data)
    path = tmp_path / 'net.onnx'
    path.write_bytes(_outside_weights('weights/net.bin'))
    create(backend).compile_model(path, MODEL.spec, CompileOptions()).close()


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
@pytest.mark.parametrize('name', ONNX_FILES)
def test_a_bad_onnx_file_is_refused(backend: str, name: str, tmp_path: Path) -> None:
    artifact = tmp_path / 'bad.onnx'
    artifact.write_bytes(ONNX_FILES[name]())

    with pytest.raises((CompileFailed, IncompatibleModel)) as refusal:
        create(backend).compile_model(artifact, MODEL.spec, CompileOptions())

    assert 'bad.onnx' in str(refusal.value)
    assert not SOURCE_CODE.search(str(refusal.value))
    assert len(str(refusal.value)) < 700


def _ir(folder: Path) -> Path:
    onnx_file = MODEL.save(folder / 'tiny.onnx')
    ov.save_model(ov.Core().read_model(onnx_file), folder / 'bad.xml')
    return folder / 'bad.xml'


def _without_bin(folder: Path) -> None:
    _ir(folder).with_suffix('.bin').unlink()


def _with_short_bin(folder: Path) -> None:
    weights = _ir(folder).with_suffix('.bin')
    weights.write_bytes(weights.read_bytes()[:4])


def _cut_xml(folder: Path) -> None:
    artifact = _ir(folder)
    artifact.write_bytes(artifact.read_bytes()[:900])


IR_FILES: dict[str, Callable[[Path], object]] = {
    'no weights file': _without_bin,
    'short weights file': _with_short_bin,
    'cut': _cut_xml,
    'zero bytes': lambda folder: (folder / 'bad.xml').write_bytes(b''),
    'a web page': lambda folder: (folder / 'bad.xml').write_text('<html>404</html>'),
    'no xml': lambda folder: (folder / 'bad.xml').write_text('hello'),
    'an onnx file': lambda folder: (folder / 'bad.xml').write_bytes(_onnx()),
}


@pytest.mark.parametrize('name', IR_FILES)
def test_a_bad_ir_file_is_refused(name: str, tmp_path: Path) -> None:
    IR_FILES[name](tmp_path)

    with pytest.raises((CompileFailed, IncompatibleModel)) as refusal:
        create('openvino').compile_model(tmp_path / 'bad.xml', MODEL.spec, CompileOptions())

    assert 'bad.xml' in str(refusal.value)
    assert 'bad.bin' in str(refusal.value)
    assert not SOURCE_CODE.search(str(refusal.value))


TFLITE_FILES: dict[str, Callable[[bytes], bytes]] = {
    'zero bytes': lambda good: b'',
    'cut': lambda good: good[: len(good) // 2],
    'header only': lambda good: good[:8],
    'noise behind the header': lambda good: good[:8] + np.random.default_rng(5).bytes(400),
    'an onnx file': lambda good: _onnx(),
}


@pytest.mark.parametrize('name', TFLITE_FILES)
def test_a_bad_tflite_file_is_refused(name: str, tmp_path: Path) -> None:
    good = TinyModel(input_layout='NHWC', output_layout='NHWC')
    artifact = save_tflite(good, tmp_path / 'bad.tflite')
    artifact.write_bytes(TFLITE_FILES[name](artifact.read_bytes()))

    with pytest.raises((CompileFailed, IncompatibleModel)) as refusal:
        create('openvino').compile_model(artifact, good.spec, CompileOptions())

    assert 'bad.tflite' in str(refusal.value)
    assert not SOURCE_CODE.search(str(refusal.value))


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
def test_a_missing_file_is_refused(backend: str, tmp_path: Path) -> None:
    with pytest.raises(CompileFailed, match='gone.onnx'):
        create(backend).compile_model(tmp_path / 'gone.onnx', MODEL.spec, CompileOptions())


@pytest.mark.parametrize('backend', ['openvino', 'opencv'])
def test_a_folder_in_place_of_a_file_is_refused(backend: str, tmp_path: Path) -> None:
    (tmp_path / 'folder.onnx').mkdir()
    with pytest.raises(CompileFailed, match='folder.onnx'):
        create(backend).compile_model(tmp_path / 'folder.onnx', MODEL.spec, CompileOptions())


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    artifact = tmp_path / 'model.pt'
    artifact.write_bytes(b'x')
    with pytest.raises(CompileFailed, match=r"'\.pt'; expected \.onnx or"):
        create('openvino').compile_model(artifact, MODEL.spec, CompileOptions())
    with pytest.raises(CompileFailed, match=r"'\.pt'; expected \.onnx or"):
        inspect_model(artifact)


@pytest.mark.parametrize('name', ['zero bytes', 'cut in the middle', 'noise', 'text'])
def test_a_bad_file_cannot_be_inspected(name: str, tmp_path: Path) -> None:
    artifact = tmp_path / 'bad.onnx'
    artifact.write_bytes(ONNX_FILES[name]())
    with pytest.raises(CompileFailed, match='bad.onnx'):
        inspect_model(artifact)


def test_a_good_file_follows_a_bad_one(tmp_path: Path) -> None:
    backend = create('openvino')
    (tmp_path / 'bad.onnx').write_bytes(_onnx()[:100])
    with pytest.raises(CompileFailed):
        backend.compile_model(tmp_path / 'bad.onnx', MODEL.spec, CompileOptions())

    good = MODEL.save(tmp_path / 'good.onnx')
    compiled = backend.compile_model(good, MODEL.spec, CompileOptions())

    assert np.isfinite(compiled.infer([MODEL.pixels()])[0]).all()
