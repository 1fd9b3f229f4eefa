"""Changes to graphs: what may be quantised, signed ranges, half precision."""

from pathlib import Path

from edge_seg.core.values import OutputKind
from edge_seg.errors import CompileFailed, IncompatibleModel
from edge_seg.offline.optimizing.onnx_graphs import (
    is_quantised,
    layers_in_float,
    load_float,
    save_checked,
    to_half,
    with_signed_ranges,
)
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
from onnx.reference import ReferenceEvaluator
import pytest
from tiny_models import quantised, TinyModel

MODEL = TinyModel()


def saved(path: Path, proto: onnx.ModelProto) -> Path:
    onnx.save(proto, str(path))
    return path


def image() -> np.ndarray:
    return MODEL.normalised(MODEL.pixels()).transpose(0, 3, 1, 2)


def run(proto: onnx.ModelProto) -> np.ndarray:
    return np.asarray(ReferenceEvaluator(proto).run(None, {'image': image()})[0])


def resizing(factor: float) -> onnx.ModelProto:
    """Give a graph that scales by a factor that half precision has not."""
    factors = np.array([1, 1, factor, factor], np.float32)
    constant = helper.make_node(
        'Constant', [], ['factors'], value=numpy_helper.from_array(factors)
    )
    resize = helper.make_node('Resize', ['image', '', 'factors'], ['scores'], 'r', mode='linear')
    graph = helper.make_graph(
        [constant, resize],
        'resizing',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, (1, 3, 9, 12))],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, (1, 3, 12, 16))],
    )
    opset = helper.make_opsetid('', 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def test_a_quantised_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleModel, match='is quantised already'):
        load_float(saved(tmp_path / 'int8.onnx', quantised(MODEL)))


def test_a_network_in_half_precision_is_refused(tmp_path: Path) -> None:
    half = MODEL.but(input_dtype='float16')
    with pytest.raises(IncompatibleModel, match='weights in half precision'):
        load_float(half.save(tmp_path / 'half.onnx'))


def test_an_older_opset_is_raised(tmp_path: Path) -> None:
    proto = TinyModel(kind=OutputKind.LOGITS).proto()
    proto.opset_import[0].version = 11
    loaded = load_float(saved(tmp_path / 'old.onnx', proto))
    assert loaded.opset_import[0].version == 13


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'x.onnx').write_bytes(b'\x08\x07garbage')
    with pytest.raises(CompileFailed, match=r'x\.onnx cannot be read'):
        load_float(tmp_path / 'x.onnx')


def test_unsigned_ranges_become_signed_ones_of_the_same_span() -> None:
    proto = quantised(MODEL)
    proto.opset_import[0].version = 19  # the reference has no older DequantizeLinear
    relu = helper.make_node('Relu', ['image'], ['image relu'])
    nodes = [relu, *proto.graph.node]
    for node in nodes[1:]:
        if node.op_type == 'QuantizeLinear':
            node.input[0], node.input[2] = 'image relu', 'unsigned'
        elif node.input[0] == 'image int8':
            node.input[2] = 'unsigned'
    proto.graph.initializer.append(numpy_helper.from_array(np.asarray(np.uint8(0)), 'unsigned'))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    before = run(proto)
    signed = with_signed_ranges(proto)
    zeros = {tensor.name: tensor for tensor in signed.graph.initializer}
    assert zeros['unsigned'].data_type == TensorProto.INT8
    scale = float(numpy_helper.to_array(zeros['image scale']))
    assert scale == pytest.approx(4 / 127 * 255 / 127)
    assert np.abs(run(signed) - before).max() < 16 * scale
    onnx.checker.check_model(signed, full_check=True)


def test_a_range_with_a_zero_point_has_no_signed_equal() -> None:
    proto = quantised(MODEL)
    zero = next(tensor for tensor in proto.graph.initializer if tensor.name == 'zero')
    zero.CopyFrom(numpy_helper.from_array(np.asarray(np.uint8(7)), 'zero'))
    with pytest.raises(CompileFailed, match='has a zero point'):
        with_signed_ranges(proto)


def test_half_precision_keeps_inputs_outputs_and_labels(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime', reason='it does the conversion')
    before = run(MODEL.proto())
    half = to_half(MODEL.proto())
    save_checked(half, tmp_path / 'half.onnx')
    kinds = {tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {TensorProto.FLOAT16}
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert (run(half).argmax(1) == before.argmax(1)).mean() > 0.98


def test_half_precision_leaves_the_factors_of_resizing_exact(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime', reason='it does the conversion')
    half = to_half(resizing(4 / 3))
    save_checked(half, tmp_path / 'half.onnx')
    constants = {tensor.name: tensor for tensor in half.graph.initializer}
    resize = next(node for node in half.graph.node if node.op_type == 'Resize')
    factors = numpy_helper.to_array(constants[resize.input[2]])
    assert factors.dtype == np.float32
    assert factors[2] == np.float32(4 / 3)


def test_layers_left_in_floating_point_are_named() -> None:
    assert is_quantised(quantised(MODEL))
    assert layers_in_float(quantised(MODEL)) == ()
    assert len(layers_in_float(MODEL.proto())) == 1
