"""Changes to ONNX graphs around quantisation: loading, signed ranges, half precision, saving."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge_seg.backends.sdk import sdk_import
from edge_seg.errors import CompileFailed, IncompatibleModel
import numpy as np

if TYPE_CHECKING:
    import onnx

Message = TypeVar('Message', 'onnx.ModelProto', 'onnx.TensorProto')
INSTALL_HINT = 'pip install onnx onnxruntime'
MIN_OPSET = 13
"""From here on QuantizeLinear takes one scale for each channel."""
UNSIGNED_TO_SIGNED = np.float32(255 / 127)
QUANTISERS = ('QuantizeLinear', 'DequantizeLinear')


def load_float(path: Path) -> 'onnx.ModelProto':
    """Load a graph that computes in float32, weights inside, in an opset that can be quantised.

    Raises:
        BackendUnavailable: the package onnx is not installed.
        CompileFailed: the file cannot be read.
        IncompatibleModel: it is quantised already, or computes in half precision.
    """
    with sdk_import('onnx', INSTALL_HINT):
        from google.protobuf.message import DecodeError
        import onnx
        from onnx import version_converter
    try:
        model = onnx.load(str(path))
        opset = max(o.version for o in model.opset_import if o.domain in ('', 'ai.onnx'))
        if opset < MIN_OPSET:
            model = version_converter.convert_version(model, MIN_OPSET)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        raise CompileFailed(f'{path.name} cannot be read as ONNX: {error}') from error
    if is_quantised(model):
        raise IncompatibleModel(
            f'{path.name} is quantised already', expected='a network in float32'
        )
    half = onnx.TensorProto.FLOAT16
    if any(weights.data_type == half for weights in model.graph.initializer):
        raise IncompatibleModel(
            f'{path.name} has weights in half precision',
            expected='a network in float32',
            remedy='optimise the version that it was made from',
        )
    return model


def is_quantised(model: 'onnx.ModelProto') -> bool:
    """Say whether anything in a graph is in INT8."""
    return any(node.op_type in QUANTISERS for node in model.graph.node)


def with_signed_ranges(model: 'onnx.ModelProto') -> 'onnx.ModelProto':
    """Change unsigned activations into signed ones of the same span: TensorRT has no others.

    Raises:
        CompileFailed: a range does not begin at zero, so it has no symmetric equal.
    """
    import onnx

    numpy_helper = onnx.numpy_helper
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    done: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in QUANTISERS or len(node.input) < 3 or node.input[2] in done:
            continue
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        if zero.data_type != onnx.TensorProto.UINT8:
            continue
        offset = numpy_helper.to_array(zero)
        if offset.any():
            raise CompileFailed(f'{node.name} has a zero point', expected='symmetric ranges')
        wider = np.asarray(numpy_helper.to_array(scale) * UNSIGNED_TO_SIGNED, np.float32)
        scale.CopyFrom(numpy_helper.from_array(wider, scale.name))
        zero.CopyFrom(numpy_helper.from_array(offset.astype(np.int8), zero.name))
        done.add(zero.name)
    del model.graph.value_info[:]  # their types have changed
    return model


def to_half(model: 'onnx.ModelProto') -> 'onnx.ModelProto':
    """Let a network compute in half precision; inputs and outputs keep their types.

    Raises:
        BackendUnavailable: ONNX Runtime, which does it, is not installed.
        CompileFailed: it cannot be done with this graph.
    """
    with sdk_import('onnxruntime', INSTALL_HINT):
        from onnxruntime.transformers.float16 import convert_float_to_float16
    scales = _resize_scales(model)
    try:
        converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CompileFailed(f'the graph cannot be brought to half precision: {error}') from error
    _put_back(converted, scales)
    _sort(converted)
    return converted


def _resize_scales(model: 'onnx.ModelProto') -> 'list[onnx.TensorProto | None]':
    """Return the constant factors of resizing, in order: 4/3 is another in half precision."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == 'Constant' else ():
            if attribute.name == 'value':
                constants[node.output[0]] = attribute.t
    found: list[onnx.TensorProto | None] = []
    for node in model.graph.node:
        if node.op_type == 'Resize':
            scales = constants.get(node.input[2]) if len(node.input) > 2 else None
            found.append(None if scales is None else copied(scales))
    return found


def _put_back(model: 'onnx.ModelProto', scales: 'list[onnx.TensorProto | None]') -> None:
    # Conversions are appended to the graph: what was there keeps its order.
    resizing = [node for node in model.graph.node if node.op_type == 'Resize']
    for number, (node, tensor) in enumerate(zip(resizing, scales, strict=True)):
        if tensor is not None:
            tensor.name = f'edge_seg_scales_{number}'
            model.graph.initializer.append(tensor)
            node.input[2] = tensor.name
    used = {name for node in model.graph.node for name in node.input}
    used |= {value.name for value in model.graph.output}
    kept = [node for node in model.graph.node if used.intersection(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(weights)


def _sort(model: 'onnx.ModelProto') -> None:
    """Put every node behind what it needs; ONNX Runtime appends the conversions of inputs."""
    waiting = list(model.graph.node)
    made_here = {name for node in waiting for name in node.output}
    done: set[str] = set()
    ordered: list[onnx.NodeProto] = []
    while waiting:
        later: list[onnx.NodeProto] = []
        for node in waiting:
            if (made_here & set(node.input)) - done:
                later.append(node)
                continue
            done.update(node.output)
            ordered.append(node)
        if len(later) == len(waiting):
            raise CompileFailed('the graph has a loop', expected='one that can be put in order')
        waiting = later
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def copied(message: Message) -> Message:
    """Return a copy of a part of a graph, or of all of it."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def layers_in_float(model: 'onnx.ModelProto') -> tuple[str, ...]:
    """Name the convolutions and products whose weights were left in floating point."""
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    return tuple(
        node.name or node.output[0]
        for node in model.graph.node
        if node.op_type in ('Conv', 'ConvTranspose', 'MatMul', 'Gemm')
        and made_by.get(node.input[1]) != 'DequantizeLinear'
    )


def save_checked(model: 'onnx.ModelProto', path: Path) -> None:
    """Write a graph, weights inside, once the checker accepts it.

    Raises:
        CompileFailed: the graph is not valid or cannot be written.
    """
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
    except (
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError, OSError, ValueError,
    ) as error:  # fmt: skip
        raise CompileFailed(f'{path.name} is not valid ONNX: {error}') from error
