"""Puts uint8 input, layout, normalisation and argmax into an ONNX graph, once, offline.

The camera's pixels then go in as they are and the mask comes out as it is: one byte a pixel over
the bus instead of four bytes a class, and no arithmetic on the host. TensorRT takes UINT8 at the
network's borders only, converted to and from FLOAT: hence Cast first, and ArgMax, Cast to float,
Cast to uint8 last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TYPE_CHECKING

from edge_seg.core.values import InputSpec, MAX_CLASSES_8, ModelSpec, OutputKind, OutputSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, IncompatibleModel
import numpy as np

if TYPE_CHECKING:
    import onnx

PREFIX = 'edge_seg_fused_'
MIN_OPSET = 13
SCORES = (OutputKind.LOGITS, OutputKind.PROBABILITIES)

Step = tuple[str, Sequence[str], dict[str, Any]]
"""An operator, its inputs beside the running one, its attributes."""


def fuse(source: Path, target: Path, spec: ModelSpec, *, keep_scores: bool) -> ModelSpec:
    """Write a fused copy of an ONNX file.

    Args:
        source: the model, weights inside or beside it.
        target: file to write, weights inside.
        spec: what the manifest declares of ``source``.
        keep_scores: fuse the input only; masks then still come with their confidence.

    Returns:
        What the manifest of ``target`` has to declare.

    Raises:
        IncompatibleModel: the graph is not what ``spec`` says, normalises already, or cannot be
            fused.
        CompileFailed: the file cannot be read or written, or the result is not valid ONNX.
        BackendUnavailable: the package onnx is not installed; a robot does not need it.
    """
    try:
        from google.protobuf.message import DecodeError
        import onnx
    except ImportError as error:
        raise BackendUnavailable(
            f'the package onnx cannot be imported ({error})', remedy='pip install onnx'
        ) from error
    try:
        model = onnx.load(str(source))
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise CompileFailed(f'{source.name} is no ONNX file: {error}') from error
    _check(model, spec, keep_scores=keep_scores)
    nodes = list(model.graph.node)
    before, image = _input_nodes(model, spec.input)
    after, mask = ([], None) if keep_scores else _output_nodes(model, spec)
    kept = [value for value in model.graph.output if value.name == spec.output.name]
    del model.graph.input[:], model.graph.output[:], model.graph.node[:]
    model.graph.input.extend([image])
    model.graph.output.extend(kept if mask is None else [mask])
    wanted = model.graph.output[0].name
    model.graph.node.extend(_needed([*before, *nodes, *after], wanted))
    del model.graph.value_info[:]  # sizes may have been pinned
    _write(model, target, source.name)
    return _fused_spec(spec, image.name, wanted, keep_scores=keep_scores)


def _write(model: 'onnx.ModelProto', target: Path, name: str) -> None:
    from google.protobuf.message import EncodeError
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(target))
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, OSError) as error:
        raise CompileFailed(f'the fused {name} is not valid: {error}') from error
    except (ValueError, EncodeError) as error:
        raise CompileFailed(
            f'the fused {name} cannot be written: {error}',
            expected='less than 2 GB, weights included: one file holds all of it',
        ) from error


def _check(model: 'onnx.ModelProto', spec: ModelSpec, *, keep_scores: bool) -> None:
    import onnx

    if spec.input.dtype == 'uint8':
        raise IncompatibleModel(
            f'{spec.name}@{spec.version} takes uint8 already, and so normalises by itself',
            expected='a float input that the caller normalises',
        )
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    if set(inputs) != {spec.input.name}:
        raise IncompatibleModel(
            f'the graph has the inputs {", ".join(inputs)}', expected=f'only {spec.input.name}'
        )
    kind = inputs[spec.input.name].type.tensor_type
    if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        name = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise IncompatibleModel(
            f'{spec.input.name} is {name}',
            expected='FLOAT or FLOAT16',
            remedy='the graph seems to convert pixels by itself; fusing would do it twice',
        )
    if len(kind.shape.dim) != 4:
        raise IncompatibleModel(
            f'{spec.input.name} has {len(kind.shape.dim)} axes', expected='4, with the batch'
        )
    if spec.output.name not in {value.name for value in model.graph.output}:
        raise IncompatibleModel(f'the graph has no output {spec.output.name}')
    opset = max((o.version for o in model.opset_import if o.domain in ('', 'ai.onnx')), default=0)
    if opset < MIN_OPSET:
        raise IncompatibleModel(
            f'the graph is of opset {opset}',
            expected=f'{MIN_OPSET} or later',
            remedy='export it again, or use onnx.version_converter',
        )
    if not keep_scores:
        _check_output(spec)


def _check_output(spec: ModelSpec) -> None:
    remedy = 'fuse the input only, with --keep-scores'
    if spec.output.kind is OutputKind.LABELS:
        raise IncompatibleModel('the output is a label map already', remedy=remedy)
    if spec.output.resample == 'logits':
        raise IncompatibleModel(
            'output.resample is logits: scores are scaled before the winner is taken',
            expected='resample: labels',
            remedy=remedy,
        )
    if len(spec.classes) > MAX_CLASSES_8:
        raise IncompatibleModel(
            f'{len(spec.classes)} classes do not fit into uint8', remedy=remedy
        )
    if spec.output.layout not in ('NCHW', 'NHWC'):
        raise IncompatibleModel(
            f'the layout of {spec.output.name} is {spec.output.layout}',
            expected='NCHW or NHWC',
            remedy=remedy,
        )


def _input_nodes(
    model: 'onnx.ModelProto', spec: InputSpec
) -> tuple[list['onnx.NodeProto'], 'onnx.ValueInfoProto']:
    """Make the nodes from raw pixels (1, H, W, C) to the original input tensor."""
    import onnx

    helper, proto = onnx.helper, onnx.TensorProto
    original = next(v for v in model.graph.input if v.name == spec.name)
    image = helper.make_tensor_value_info(
        f'{spec.name}_uint8', proto.UINT8, [1, spec.size.height, spec.size.width, spec.channels]
    )
    shape = (1, -1, 1, 1) if spec.layout == 'NCHW' else (1, 1, 1, -1)
    mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
    # (pixel / scale - mean) / std = pixel * factor + offset
    factor = (1.0 / (spec.scale * std)).reshape(shape).astype(np.float32)
    offset = (-mean / std).reshape(shape).astype(np.float32)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, f'{PREFIX}{name}')
        for name, value in (('factor', factor), ('offset', offset))
    )
    steps: list[Step] = [('Cast', [], {'to': proto.FLOAT})]
    if spec.layout == 'NCHW':
        steps.append(('Transpose', [], {'perm': [0, 3, 1, 2]}))
    steps.append(('Mul', [f'{PREFIX}factor'], {}))
    steps.append(('Add', [f'{PREFIX}offset'], {}))
    steps.append(('Cast', [], {'to': original.type.tensor_type.elem_type}))
    return _chain(steps, image.name, spec.name, 'input'), image


def _output_nodes(
    model: 'onnx.ModelProto', spec: ModelSpec
) -> tuple[list['onnx.NodeProto'], 'onnx.ValueInfoProto']:
    """Make the nodes from scores to the mask (1, H, W), uint8."""
    import onnx

    proto, output = onnx.TensorProto, spec.output
    axis = 1 if output.layout == 'NCHW' else 3
    steps: list[Step] = [('Cast', [], {'to': proto.FLOAT})]
    if output.kind in SCORES:
        steps.append(('ArgMax', [], {'axis': axis, 'keepdims': 0}))  # the first winner on ties
    else:
        value = np.float32(decision_threshold(output))
        names = (f'{PREFIX}threshold', f'{PREFIX}axis')
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), names[0]))
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.asarray([axis], np.int64), names[1])
        )
        steps.append(('GreaterOrEqual', [names[0]], {}))
        steps.append(('Cast', [], {'to': proto.FLOAT}))
        steps.append(('Squeeze', [names[1]], {}))
    steps.append(('Cast', [], {'to': proto.FLOAT}))
    steps.append(('Cast', [], {'to': proto.UINT8}))
    mask = onnx.helper.make_tensor_value_info(
        f'{output.name}_labels', proto.UINT8, [1, 'mask_height', 'mask_width']
    )
    return _chain(steps, output.name, mask.name, 'output'), mask


def decision_threshold(output: OutputSpec) -> float:
    """Give the value from which a one-channel output is class 1."""
    if output.kind is OutputKind.SIGMOID:
        return output.threshold
    return float(np.log(output.threshold / (1.0 - output.threshold)))


def _chain(steps: Sequence[Step], source: str, last: str, use: str) -> list['onnx.NodeProto']:
    """Connect operators one after the other."""
    import onnx

    nodes = []
    for index, (operator, others, attributes) in enumerate(steps):
        result = last if index == len(steps) - 1 else f'{PREFIX}{use}_{index}'
        name = f'{PREFIX}{use}_{index}_{operator}'
        nodes.append(
            onnx.helper.make_node(operator, [source, *others], [result], name, **attributes)
        )
        source = result
    return nodes


def _needed(nodes: Sequence['onnx.NodeProto'], output: str) -> list['onnx.NodeProto']:
    """Keep the nodes that ``output`` depends on; those of other outputs go."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_taken(node))
    return kept[::-1]


def _taken(node: 'onnx.NodeProto') -> Iterator[str]:
    """Yield what a node takes, and what the graphs inside it (If, Loop) take from outside."""
    pending = [node]
    while pending:
        each = pending.pop()
        yield from each.input
        for attribute in each.attribute:
            for graph in (attribute.g, *attribute.graphs):
                pending.extend(graph.node)
                yield from (value.name for value in graph.output)


def _fused_spec(spec: ModelSpec, image: str, output: str, *, keep_scores: bool) -> ModelSpec:
    channels = spec.input.channels
    fused_input = replace(
        spec.input,
        name=image,
        layout='NHWC',
        dtype='uint8',
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        scale=255.0,
    )
    if keep_scores:
        return replace(spec, input=fused_input)
    labels = OutputSpec(
        name=output,
        kind=OutputKind.LABELS,
        layout='NHW',
        ignore_id=spec.output.ignore_id,
    )
    return replace(spec, input=fused_input, output=labels)
