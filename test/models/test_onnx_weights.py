"""A network takes weights from files that the manifest gives a digest for, and from no others."""

from collections.abc import Callable
import hashlib
import os
from pathlib import Path

from edge_seg.errors import IntegrityError
from edge_seg.models.onnx_weights import weight_files
from edge_seg.models.package import open_package, verify_artifacts
from edge_seg.models.store import ModelStore
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx writes the models of these tests')

WEIGHTS = np.ones(2, np.float32).tobytes()
Write = Callable[..., Path]


def network(*locations: str) -> bytes:
    """Give an ONNX model with weights in these files."""
    tensors = []
    for location in locations:
        tensor = onnx.numpy_helper.from_array(np.ones(2, np.float32), 'w')
        tensor.ClearField('raw_data')
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key='location', value=location)
        tensors.append(tensor)
    graph = onnx.helper.make_graph([], 'net', [], [], tensors)
    return bytes(onnx.helper.make_model(graph).SerializeToString())


@pytest.fixture
def write(make_model: Write) -> Write:
    """Write a model whose network takes weights from `location`; its manifest names `declared`."""

    def write_model(location: str, *declared: str, file: str = 'floor.onnx') -> Path:
        contents = {file: network(location), **dict.fromkeys(declared, WEIGHTS)}
        files = [
            {'path': name, 'sha256': hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        ]
        folder = make_model('floor', 1, artifacts=[{'format': 'onnx', 'files': files}])
        (folder / 'floor.onnx').unlink()
        for name, content in contents.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    return write_model


GOOD = [
    ('floor.data', 'floor.data', 'floor.onnx'),
    ('./floor.data', 'floor.data', 'floor.onnx'),
    ('weights/floor.data', 'weights/floor.data', 'floor.onnx'),
    ('floor.data', 'net/floor.data', 'net/floor.onnx'),
]


@pytest.mark.parametrize(('location', 'declared', 'file'), GOOD)
def test_weights_with_a_digest_are_taken(
    write: Write, store: ModelStore, location: str, declared: str, file: str
) -> None:
    folder = write(location, declared, file=file)
    verify_artifacts(open_package(folder))
    verify_artifacts(store.publish(folder))


OUTSIDE = ['../floor.data', 'weights/../../floor.data', '/etc/passwd', '..', '']


@pytest.mark.parametrize('location', OUTSIDE)
def test_weights_outside_the_folder_are_refused(
    write: Write, store: ModelStore, location: str
) -> None:
    folder = write(location)
    (folder.parent / 'floor.data').write_bytes(WEIGHTS)
    with pytest.raises(IntegrityError, match='takes weights from') as refusal:
        verify_artifacts(open_package(folder))
    assert repr(location) in str(refusal.value)
    with pytest.raises(IntegrityError, match='takes weights from'):
        store.publish(folder)
    assert (store.entries(), store.leftovers()) == ((), ())


@pytest.mark.parametrize('name', ['.hidden', 'card.md', 'manifest.sig', 'manifest.yaml'])
def test_weights_in_a_file_that_may_lie_there_without_a_digest_are_refused(
    write: Write, name: str
) -> None:
    folder = write(name)
    with (folder / name).open('ab') as file:
        file.write(b'\n# weights')
    with pytest.raises(IntegrityError, match='which the manifest does not name'):
        verify_artifacts(open_package(folder))


def test_a_name_is_relative_to_the_network_not_to_the_model(write: Write) -> None:
    folder = write('floor.data', 'floor.data', file='net/floor.onnx')
    with pytest.raises(IntegrityError, match='net/floor.data'):
        verify_artifacts(open_package(folder))


def test_the_weights_of_a_lone_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / 'floor.onnx'
    path.write_bytes(network('./b.data', 'weights/a.data', 'b.data'))
    assert weight_files(path) == ('b.data', 'weights/a.data')


@pytest.mark.parametrize('location', OUTSIDE)
def test_a_lone_file_may_not_lead_out_of_its_folder(tmp_path: Path, location: str) -> None:
    path = tmp_path / 'floor.onnx'
    path.write_bytes(network(location))
    with pytest.raises(IntegrityError, match='takes weights from'):
        weight_files(path)


@pytest.mark.parametrize('content', [b'', b'no protobuf at all', network('a')[:-3]])
def test_a_lone_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'floor.onnx'
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match='is not a readable ONNX file'):
        weight_files(path)


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'floor.onnx')
    with pytest.raises(IntegrityError, match='no regular file'):
        weight_files(tmp_path / 'floor.onnx')
