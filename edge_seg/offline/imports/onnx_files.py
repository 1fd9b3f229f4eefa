"""Brings an ONNX file into the form in which networks are imported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import shutil
from typing import Any, TYPE_CHECKING

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.onnx_file import check_weight_files
from edge_seg.errors import BackendUnavailable, CompileFailed, UnsupportedNetwork
from edge_seg.models.onnx_weights import weight_files
from edge_seg.offline.imports.network import choose_output, pin_input, the_image, Wish
import numpy as np

if TYPE_CHECKING:
    import onnx

EMBEDDED_BYTES = 1 << 30
"""Up to here the weights go into the .onnx; protobuf ends at 2 GiB."""
PREFIX = 'edge_seg_import_'


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A file in the form in which networks are imported.

    Attributes:
        path: the file.
        input_name: its input.
        output_name: its output.
        changes: what was changed, in words.
        custom: operators that ONNX does not define, 'domain.name'.
        metadata: names and texts that stand in the file.
    """

    path: Path
    input_name: str
    output_name: str
    changes: tuple[str, ...]
    custom: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


def prepare_onnx(source: Path, target: Path, wish: Wish) -> PreparedFile:
    """Write a copy of an ONNX file with one output, one input and every axis fixed.

    What needs no change is copied byte by byte.

    Args:
        source: the file; weights inside, or beside it.
        target: the .onnx to write.
        wish: which output, which size.

    Raises:
        BackendUnavailable: the package onnx is missing.
        CompileFailed: it is no valid ONNX file, or takes weights from outside its folder.
        OptionInvalid: an output, a size or a layout has to be named.
        UnsupportedNetwork: it is no network with one image in and one map out.
    """
    model = load(source)
    output = choose_output([_described(value) for value in model.graph.output], wish.output)
    _check_tensor(model, output.name)
    changes = _keep_only(model, output.name)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in weights]
    image = pin_input(the_image([_described(v) for v in inputs], output.name), wish)
    changes += image.changes
    if image.batchless:
        _add_batch(model, image.tensor, output)
        changes += ('a batch axis is added',)
    elif image.changes:
        _fix_axes(inputs[0], image.tensor.shape or ())
        _forget_shapes(model)
    if changes or weight_files(
        source
    ):  # weights of other files lie in memory by now: they go inside
        _save(model, target)
    else:
        shutil.copyfile(source, target)
    metadata = tuple((entry.key, entry.value) for entry in model.metadata_props)
    return PreparedFile(
        target, image.tensor.name, output.name, changes, custom_operators(model), metadata
    )


def load(path: Path) -> 'onnx.ModelProto':
    """Read and check an ONNX file, its weights included.

    Raises:
        BackendUnavailable: the package onnx is missing.
        CompileFailed: it is no valid ONNX file, or takes weights from outside its folder.
    """
    sdk = _onnx()
    from google.protobuf.message import DecodeError

    check_weight_files(path)
    try:
        model: onnx.ModelProto = sdk.load(str(path))
        sdk.checker.check_model(str(path))
    except (DecodeError, sdk.checker.ValidationError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else 'unreadable'
        raise CompileFailed(f'{path.name} is no valid ONNX file: {reason}') from error
    return model


def append_cast_to_labels(path: Path, output: str) -> None:
    """Let an output of class ids in a float type come as int32, under the same name."""
    sdk = _onnx()
    model = load(path)
    inner = f'{PREFIX}float_labels'
    _rename(model, output, inner, targets='producers')
    cast = sdk.helper.make_node('Cast', [inner], [output], to=sdk.TensorProto.INT32)
    model.graph.node.append(cast)
    value = next(v for v in model.graph.output if v.name == output)
    value.type.tensor_type.elem_type = sdk.TensorProto.INT32
    _save(model, path)


def custom_operators(model: 'onnx.ModelProto') -> tuple[str, ...]:
    """List the operators that ONNX does not define."""
    functions = {(function.domain, function.name) for function in model.functions}
    found = {
        f'{node.domain}.{node.op_type}'
        for node in _all_nodes(model.graph.node)
        if node.domain not in ('', 'ai.onnx', 'ai.onnx.ml')
        and (node.domain, node.op_type) not in functions
    }
    return tuple(sorted(found))


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise BackendUnavailable(
            f'the package onnx cannot be imported ({error})', remedy='pip install onnx'
        ) from error
    return onnx


def _described(value: 'onnx.ValueInfoProto') -> FoundTensor:
    sdk = _onnx()
    kind = value.type.WhichOneof('value')
    if kind != 'tensor_type':
        return FoundTensor(value.name, None, (kind or 'unknown').removesuffix('_type'))
    tensor = value.type.tensor_type
    dtype = np.dtype(sdk.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    if not tensor.HasField('shape'):
        return FoundTensor(value.name, None, dtype)
    axes = tuple(d.dim_value if d.dim_value > 0 else -1 for d in tensor.shape.dim)
    return FoundTensor(value.name, axes, dtype)


def _check_tensor(model: 'onnx.ModelProto', output: str) -> None:
    value = next(v for v in model.graph.output if v.name == output)
    kind = value.type.WhichOneof('value')
    if kind != 'tensor_type':
        raise UnsupportedNetwork(
            f'output {output!r} is a {(kind or "thing of no type").removesuffix("_type")}',
            expected='a tensor',
            remedy='choose another --output, or export the network without post-processing',
        )


def _keep_only(model: 'onnx.ModelProto', output: str) -> tuple[str, ...]:
    """Cut away what one output does not depend on."""
    graph = model.graph
    dropped = [value.name for value in graph.output if value.name != output]
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_used(node))
    stored = {tensor.name for tensor in graph.initializer}
    unused = [v for v in graph.input if v.name not in needed | stored]
    if not dropped and not unused and len(kept) == len(graph.node):
        return ()
    outputs = [value for value in graph.output if value.name == output]
    inputs = [value for value in graph.input if value.name in needed]
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    nodes = kept[::-1]
    for field, values in (
        (graph.output, outputs),
        (graph.input, inputs),
        (graph.initializer, weights),
        (graph.node, nodes),
    ):
        del field[:]
        field.extend(values)
    changes = [f'output {name} is left out' for name in dropped]
    changes += [f'input {value.name} is left out: nothing needs it' for value in unused]
    return tuple(changes)


def _used(node: 'onnx.NodeProto') -> Iterator[str]:
    """Give the names that a node takes, those of the branches of If and Loop included."""
    for each in _all_nodes([node]):
        yield from each.input
        for attribute in each.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from (value.name for value in graph.output)


def _all_nodes(nodes: Sequence['onnx.NodeProto']) -> Iterator['onnx.NodeProto']:
    left = list(nodes)
    while left:  # no recursion: a file decides how deep it nests
        node = left.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                left.extend(graph.node)


def _fix_axes(value: 'onnx.ValueInfoProto', shape: Sequence[int]) -> None:
    for axis, length in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        axis.dim_value = length


def _forget_shapes(model: 'onnx.ModelProto') -> None:
    """Drop the shapes that were worked out for open axes, and work them out anew."""
    sdk = _onnx()
    del model.graph.value_info[:]
    for value in model.graph.output:
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField('dim_param'):
                axis.Clear()
    try:
        inferred = sdk.shape_inference.infer_shapes(model, data_prop=True)
    except (sdk.shape_inference.InferenceError, ValueError):
        return  # above 2 GiB, or an operator unknown to onnx; OpenVINO works them out too
    model.graph.output[0].CopyFrom(inferred.graph.output[0])


def _add_batch(model: 'onnx.ModelProto', image: FoundTensor, output: FoundTensor) -> None:
    """Put a batch axis of one before the image, and before a map that has none."""
    sdk = _onnx()
    graph, shape = model.graph, image.shape or ()
    inner = f'{PREFIX}image'
    _rename(model, image.name, inner, targets='consumers')
    value = next(v for v in graph.input if v.name == image.name)
    element = value.type.tensor_type.elem_type
    value.CopyFrom(sdk.helper.make_tensor_value_info(image.name, element, (1, *shape)))
    nodes = [_reshape(model, image.name, inner, shape)]
    nodes += graph.node
    axes = output.shape or ()
    if len(axes) == 3 and min(axes) > 0 and axes[0] != 1:
        bare = f'{PREFIX}map'
        _rename(model, output.name, bare, targets='producers')
        nodes.append(_reshape(model, bare, output.name, (1, *axes)))
        element = graph.output[0].type.tensor_type.elem_type
        graph.output[0].CopyFrom(
            sdk.helper.make_tensor_value_info(output.name, element, (1, *axes))
        )
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _reshape(
    model: 'onnx.ModelProto', source: str, target: str, shape: Sequence[int]
) -> 'onnx.NodeProto':
    sdk = _onnx()
    name = f'{target}_shape' if target.startswith(PREFIX) else f'{PREFIX}{target}_shape'
    axes = sdk.numpy_helper.from_array(np.asarray(shape, np.int64), name)
    model.graph.initializer.append(axes)
    node: onnx.NodeProto = sdk.helper.make_node(
        'Reshape', [source, name], [target], name=f'{name}d'
    )
    return node


def _rename(model: 'onnx.ModelProto', old: str, new: str, *, targets: str) -> None:
    """Rename a tensor where it is made and used ('producers'), or only used ('consumers')."""
    for node in _all_nodes(model.graph.node):
        lists = [node.input, node.output] if targets == 'producers' else [node.input]
        for names in lists:
            names[:] = [new if name == old else name for name in names]


def _save(model: 'onnx.ModelProto', target: Path) -> None:
    sdk = _onnx()
    large = model.ByteSize() > EMBEDDED_BYTES
    try:
        sdk.save_model(
            model,
            str(target),
            save_as_external_data=large,
            location=f'{target.name}.data' if large else None,
        )
        sdk.checker.check_model(str(target))
    except (sdk.checker.ValidationError, OSError, ValueError) as error:
        raise CompileFailed(f'{target.name} cannot be written: {error}') from error
