"""Malformed models, each refused at the stage that must refuse it, by the real backend."""

from collections.abc import Callable
import hashlib
from pathlib import Path
import zipfile

from edge_seg.backends.base import CompileOptions
from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
from fake_backend import HEIGHT, WIDTH, write_model
import numpy as np
import pytest
import yaml

onnx = pytest.importorskip('onnx', reason='onnx makes the models of these tests')
pytest.importorskip('openvino', reason='OpenVINO is the backend of these tests')

Damage = Callable[[Path], None]


def network(*, classes: int = 3, width: int = WIDTH, weight: float = 1.0) -> bytes:
    """Make a network of 1x1 filters."""
    filters = np.full((classes, 3, 1, 1), weight, np.float32)
    filters[np.arange(classes), np.arange(classes) % 3] += 1
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['image', 'w'], ['scores'])],
        'net',
        [value('image', onnx.TensorProto.FLOAT, [1, 3, HEIGHT, width])],
        [value('scores', onnx.TensorProto.FLOAT, [1, classes, HEIGHT, width])],
        [onnx.numpy_helper.from_array(filters, 'w')],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def artifact(content: bytes) -> Damage:
    """Publish these bytes, with the digest that they really have."""

    def write(folder: Path) -> None:
        (folder / 'net.onnx').write_bytes(content)
        change(folder, lambda d: digest(d, hashlib.sha256(content).hexdigest()))

    return write


def change(folder: Path, edit: Callable[[dict[str, object]], None]) -> None:
    """Edit the manifest as the mapping that it is."""
    path = folder / 'manifest.yaml'
    document = yaml.safe_load(path.read_text('utf-8'))
    edit(document)
    path.write_text(yaml.safe_dump(document), 'utf-8')


def digest(document: dict[str, object], value: str) -> None:
    artifacts = document['artifacts']
    assert isinstance(artifacts, list)
    artifacts[0]['files'][0]['sha256'] = value


def field(section: str, **values: object) -> Damage:
    """Write a right network with a manifest that says something else of it."""

    def write(folder: Path) -> None:
        artifact(network())(folder)

        def edit(document: dict[str, object]) -> None:
            part = document[section]
            assert isinstance(part, dict)
            part.update(values)

        change(folder, edit)

    return write


def archive(folder: Path) -> None:
    """Publish a small archive that unpacks to a hundred megabytes, under a network's name."""
    bomb = folder / 'bomb.zip'
    with zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('weights', bytes(100_000_000))
    content = bomb.read_bytes()
    bomb.unlink()
    artifact(content)(folder)


def other_bytes(folder: Path) -> None:
    artifact(network())(folder)
    (folder / 'net.onnx').write_bytes(network(weight=2.0))


def missing(folder: Path) -> None:
    artifact(network())(folder)
    (folder / 'net.onnx').unlink()


def link(folder: Path) -> None:
    artifact(network())(folder)
    (folder / 'net.onnx').rename(folder.parent.parent / 'outside.onnx')
    (folder / 'net.onnx').symlink_to(folder.parent.parent / 'outside.onnx')


def renamed(name: str) -> Damage:
    """Publish a right network under a name with another extension."""

    def write(folder: Path) -> None:
        artifact(network())(folder)
        (folder / 'net.onnx').rename(folder / name)

        def edit(document: dict[str, object]) -> None:
            artifacts = document['artifacts']
            assert isinstance(artifacts, list)
            artifacts[0]['files'][0]['path'] = name

        change(folder, edit)

    return write


def half_manifest(folder: Path) -> None:
    text = (folder / 'manifest.yaml').read_text('utf-8')
    (folder / 'manifest.yaml').write_text(text[: len(text) // 2], 'utf-8')


CORPUS: dict[str, tuple[Damage, LoadStage]] = {
    'half a manifest': (half_manifest, LoadStage.RESOLVE),
    'a missing artifact': (missing, LoadStage.RESOLVE),
    'an artifact that is a link out of the store': (link, LoadStage.RESOLVE),
    'another artifact than published': (other_bytes, LoadStage.VERIFY),
    'a truncated network': (artifact(network()[:-40]), LoadStage.BUILD),
    'an empty artifact': (artifact(b''), LoadStage.RESOLVE),
    'no ONNX but another protobuf': (artifact(b'\x0a\x03abc\x12\x01x'), LoadStage.BUILD),
    'text': (artifact(b'#!/bin/sh\necho no network\n'), LoadStage.BUILD),
    'the extension of another format': (renamed('net.tflite'), LoadStage.BUILD),
    'an extension of no format': (renamed('net.txt'), LoadStage.BUILD),
    'a TFLite network that is called ONNX': (artifact(b'\x1c\0\0\0TFL3'), LoadStage.BUILD),
    'a zip bomb': (archive, LoadStage.BUILD),
    'another input name': (field('input', name='picture'), LoadStage.BUILD),
    'another input size': (field('input', width=WIDTH * 2), LoadStage.BUILD),
    'a huge declared size': (field('input', width=16384, height=16384), LoadStage.RESOLVE),
    'another output name': (field('output', name='probabilities'), LoadStage.BUILD),
    'a wrong class count': (artifact(network(classes=5)), LoadStage.BUILD),
    'NaN weights': (artifact(network(weight=float('nan'))), LoadStage.WARM),
    'infinite weights': (artifact(network(weight=float('inf'))), LoadStage.WARM),
}


@pytest.mark.parametrize('name', CORPUS)
def test_it_is_refused_at_its_stage(name: str, tmp_path: Path) -> None:
    damage, stage = CORPUS[name]
    damage(write_model(tmp_path / 'store', 'net', '1'))

    with pytest.raises(ModelRejected) as refusal:
        bring_up(tmp_path)

    assert refusal.value.stage is stage
    assert str(refusal.value).startswith(f'{stage.value}: ')


def test_the_model_that_the_corpus_damages_is_accepted(tmp_path: Path) -> None:
    artifact(network())(write_model(tmp_path / 'store', 'net', '1'))

    bring_up(tmp_path).close()


def bring_up(folder: Path) -> ServingModel:
    """Take the model through every stage, with a child process that builds it."""
    options = CandidateOptions('openvino', CompileOptions(), warmup_runs=1)
    builder = Builder(BuildCache(folder / 'cache', limit_bytes=1 << 30), options.compile)
    factory = CandidateFactory(LayeredStore(ModelStore(folder / 'store')), options, builder)
    prepared = factory.prepare(factory.resolve('net'), on_stage=lambda stage: None)
    return factory.bring_up(prepared, camera=None, on_stage=lambda stage: None).model
