"""Every place of an ONNX model in which weights may lie in another file is looked at."""

from collections.abc import Callable

from edge_seg.core.onnx_files import files_of
from edge_seg.core.protobuf_wire import Malformed
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx writes the models of these tests')
helper, TensorProto = onnx.helper, onnx.TensorProto


def outside(location: str) -> 'onnx.TensorProto':
    """Give a tensor whose values lie in another file."""
    tensor = onnx.numpy_helper.from_array(np.zeros(2, np.float32), 'w')
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (('offset', '0'), ('location', location), ('length', '8')):
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(*nodes: 'onnx.NodeProto', weights: tuple['onnx.TensorProto', ...] = ()) -> bytes:
    return bytes(helper.make_model(graph(*nodes, weights=weights)).SerializeToString())


def graph(
    *nodes: 'onnx.NodeProto', weights: tuple['onnx.TensorProto', ...] = ()
) -> 'onnx.GraphProto':
    value = helper.make_tensor_value_info('x', TensorProto.FLOAT, [2])
    return helper.make_graph(list(nodes), 'net', [value], [value], list(weights))


def node(**attributes: object) -> 'onnx.NodeProto':
    return helper.make_node('Anything', ['x'], ['y'], **attributes)


def sparse(location: str) -> 'onnx.SparseTensorProto':
    indices = onnx.numpy_helper.from_array(np.zeros(2, np.int64), 'i')
    return helper.make_sparse_tensor(outside(location), indices, [4])


def in_sparse_weights(location: str) -> bytes:
    net = graph()
    net.sparse_initializer.append(sparse(location))
    return bytes(helper.make_model(net).SerializeToString())


def in_function(location: str) -> bytes:
    net = helper.make_model(graph())
    function = helper.make_function(
        'of.ours', 'F', ['x'], ['y'], [node(value=outside(location))], []
    )
    net.functions.append(function)
    return bytes(net.SerializeToString())


def in_training(location: str) -> bytes:
    net = helper.make_model(graph())
    net.training_info.add().algorithm.CopyFrom(graph(weights=(outside(location),)))
    return bytes(net.SerializeToString())


PLACES: dict[str, Callable[[str], bytes]] = {
    'weights': lambda name: model(weights=(outside(name),)),
    'a constant': lambda name: model(node(value=outside(name))),
    'constants': lambda name: model(node(values=[outside(name)])),
    'a branch': lambda name: model(node(body=graph(weights=(outside(name),)))),
    'branches': lambda name: model(node(bodies=[graph(node(value=outside(name)))])),
    'a sparse constant': lambda name: model(node(value=sparse(name))),
    'sparse constants': lambda name: model(node(values=[sparse(name)])),
    'sparse weights': in_sparse_weights,
    'a function': in_function,
    'training': in_training,
}


@pytest.mark.parametrize('place', PLACES)
def test_the_file_is_found(place: str) -> None:
    assert files_of(memoryview(PLACES[place]('weights/net.data'))) == {'weights/net.data'}


def test_a_model_with_everything_inside_names_no_file() -> None:
    inside = onnx.numpy_helper.from_array(np.zeros(2, np.float32), 'w')
    assert files_of(memoryview(model(node(value=inside, location='no.file')))) == set()


def test_every_file_is_found_once() -> None:
    names = ('a', 'b', 'a')
    weights = tuple(outside(name) for name in names)
    assert files_of(memoryview(model(weights=weights))) == {'a', 'b'}


GOOD = PLACES['branches']('net.data')


@given(kept=st.integers(0, len(GOOD) - 1), place=st.integers(0, len(GOOD) - 1))
def test_a_damaged_model_is_read_or_refused(kept: int, place: int) -> None:
    damaged = bytearray(GOOD[:kept])
    if place < kept:
        damaged[place] ^= 0xFF
    try:
        found = files_of(memoryview(damaged))
    except Malformed:
        found = frozenset()
    assert len(found) <= 1
