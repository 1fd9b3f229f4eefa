"""Reads networks with OpenVINO: what their graph does, and IR and TFLite in the imported form."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
import shutil
from typing import Any

from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.openvino import INSTALL_HINT
from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import CompileFailed, UnsupportedNetwork
from edge_seg.offline.imports.metadata import MODEL_API_ENTRIES, written_by_model_api
from edge_seg.offline.imports.network import (
    check_map,
    choose_output,
    Ending,
    NetworkFacts,
    pin_input,
    the_image,
    Wish,
    WrittenDown,
)
import numpy as np

# What only moves or scales values; walked through from the output towards the last real step.
PASSING = {
    'Convert', 'ConvertLike', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Interpolate',
    'StridedSlice', 'Slice', 'Gather', 'FakeQuantize', 'Pad', 'Broadcast', 'Tile', 'Identity',
}  # fmt: skip
ENDINGS = {
    'Softmax': Ending.SOFTMAX, 'Sigmoid': Ending.SIGMOID, 'HardSigmoid': Ending.SIGMOID,
    'TopK': Ending.ARGMAX, 'Greater': Ending.THRESHOLD, 'GreaterEqual': Ending.THRESHOLD,
    'Less': Ending.THRESHOLD, 'LessEqual': Ending.THRESHOLD,
}  # fmt: skip
ARITHMETIC = ('Add', 'Subtract', 'Multiply', 'Divide', 'BatchNormInference')
BEFORE_ARITHMETIC = ('Convert', 'Transpose', 'Reshape', 'Unsqueeze', 'FakeQuantize', 'Gather')


@dataclass(frozen=True, slots=True)
class _Sdk:
    """The modules of OpenVINO that are needed here."""

    ov: Any
    opset: Any
    graph: Any


def prepare_with_openvino(source: Path, target: Path, wish: Wish) -> NetworkFacts:
    """Write a copy of an IR or TFLite file as IR, with one output, one input, every axis fixed.

    Args:
        source: .xml with its .bin, or .tflite.
        target: the .xml to write; what is IR and needs no change is copied byte by byte.
        wish: which output, which size.

    Raises:
        BackendUnavailable: OpenVINO is missing.
        CompileFailed: the file cannot be read or written.
        OptionInvalid: an output, a size or a layout has to be named.
        UnsupportedNetwork: it is no network with one image in and one map out.
    """
    sdk = _sdk()
    model = sdk.graph.read(source)
    written = _written(model)
    outputs = [sdk.graph.found_tensor(port, wish.output or '') for port in model.outputs]
    output = choose_output(outputs, wish.output)
    changes = [f'output {each.name} is left out' for each in outputs if each.name != output.name]
    sdk.graph.keep_output(model, output.name, source.name)
    changes += _drop_unused_inputs(model)
    found = [sdk.graph.found_tensor(port) for port in model.inputs]
    image = pin_input(the_image(found, output.name), wish)
    changes += image.changes
    if image.changes:
        _reshaped(sdk, model, image.tensor.shape or ())
    if image.batchless:
        _add_batch(sdk, model, image.tensor)
        changes.append('a batch axis is added')
    changes += _name(sdk, model, image.tensor.name, output.name)
    if _float_labels(sdk, model):
        _cast_to_labels(sdk, model, output.name)
        changes.append('the labels come as int32')
    if changes or source.suffix.lower() != '.xml':
        _save(sdk, model, target)
    else:
        shutil.copyfile(source, target)
        shutil.copyfile(source.with_suffix('.bin'), target.with_suffix('.bin'))
    facts = read_facts(target, image.tensor.name, output.name)
    return replace(facts, written=written, changes=tuple(changes))


def read_facts(path: Path, image: str, output: str) -> NetworkFacts:
    """Read what a file in the imported form takes, gives and does.

    Args:
        path: .onnx or .xml.
        image: name of the input.
        output: name of the output.

    Raises:
        BackendUnavailable: OpenVINO is missing.
        CompileFailed: OpenVINO cannot read the file.
        UnsupportedNetwork: the output is no map.
    """
    sdk = _sdk()
    model = sdk.graph.read(path)
    result = sdk.graph.found_tensor(model.output(0), output)
    check_map(result)
    ending, classes = _ending(model)
    return NetworkFacts(
        file=path,
        format=ArtifactFormat.ONNX if path.suffix == '.onnx' else ArtifactFormat.OPENVINO_IR,
        input=sdk.graph.found_tensor(model.input(0), image),
        output=result,
        ending=ending,
        classes=classes,
        normalises=_normalises(model),
    )


def _sdk() -> _Sdk:
    with sdk_import('openvino', INSTALL_HINT):
        from edge_seg.backends.openvino import graph
        import openvino as ov
        from openvino import opset8
    return _Sdk(ov, opset8, graph)


def _ending(model: Any) -> tuple[Ending, int]:
    """Walk from the output to the first operation that gives the values their meaning."""
    port = model.get_results()[0].input_value(0)
    for _ in range(64):  # a tail is short; a loop in the file would not be
        node = port.get_node()
        kind = node.get_type_name()
        if kind == 'TopK' and port.get_index() == 0:
            break  # the highest scores, not where they are
        if kind in ENDINGS:
            return ENDINGS[kind], _choices(node) if kind == 'TopK' else 0
        if kind not in PASSING or node.get_input_size() == 0:
            break
        port = node.input_value(0)
    return Ending.NONE, 0


def _choices(node: Any) -> int:
    """Return the length of the axis along which a TopK chooses; 0 when it is open."""
    axis = node.input_value(0).get_partial_shape()[node.get_axis()]
    return int(axis.get_length()) if axis.is_static else 0


def _normalises(model: Any) -> bool:
    """Say whether constants meet the pixels before anything else does."""
    targets = list(model.input(0).get_node().output(0).get_target_inputs())
    for _ in range(8):
        if len(targets) != 1:
            return False
        node = targets[0].get_node()
        kind = node.get_type_name()
        if kind in ARITHMETIC:
            others = [node.input_value(i).get_node() for i in range(node.get_input_size())]
            return any(_is_constant(other) for other in others)
        if kind not in BEFORE_ARITHMETIC:
            return False
        targets = list(node.output(0).get_target_inputs())
    return False


def _is_constant(node: Any) -> bool:
    while node.get_type_name() == 'Convert':
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == 'Constant')


def _float_labels(sdk: _Sdk, model: Any) -> bool:
    is_float = sdk.graph.found_tensor(model.output(0)).dtype.startswith(('float', 'bfloat'))
    return is_float and _ending(model)[0] in (Ending.ARGMAX, Ending.THRESHOLD)


def _drop_unused_inputs(model: Any) -> Iterator[str]:
    for parameter in model.get_parameters():
        if not _leads_to_result(parameter):
            model.remove_parameter(parameter)
            yield f'input {parameter.get_friendly_name()} is left out: nothing needs it'


def _leads_to_result(parameter: Any) -> bool:
    left, seen = [parameter], set()
    while left:
        node = left.pop()
        for output in node.outputs():
            for target in output.get_target_inputs():
                user = target.get_node()
                if user.get_type_name() == 'Result':
                    return True
                if user.get_friendly_name() not in seen:
                    seen.add(user.get_friendly_name())
                    left.append(user)
    return False


def _reshaped(sdk: _Sdk, model: Any, shape: tuple[int, ...]) -> None:
    from edge_seg.backends.openvino.devices import readable, SDK_ERRORS

    try:
        model.reshape({model.input(0): sdk.ov.PartialShape(list(shape))})
    except SDK_ERRORS as error:
        raise UnsupportedNetwork(
            f'the network cannot run at {"x".join(str(axis) for axis in shape)}: '
            f'{readable(error)}',
            remedy='pass another --input-size, a multiple of 32 suits most networks',
        ) from error


def _add_batch(sdk: _Sdk, model: Any, image: FoundTensor) -> None:
    opset = sdk.opset
    old = model.get_parameters()[0]
    users = list(old.output(0).get_target_inputs())
    new = opset.parameter([1, *(image.shape or ())], old.get_element_type(), image.name)
    bare = opset.squeeze(new, opset.constant(np.array([0], np.int64)))
    for user in users:
        user.replace_source_output(bare.output(0))
    model.add_parameters([new])
    model.remove_parameter(old)
    result = model.get_results()[0]
    port = result.input_value(0)
    shape = port.get_partial_shape()
    if shape.rank.get_length() == 3 and shape[0] != sdk.ov.Dimension(1):
        batched = opset.unsqueeze(port, opset.constant(np.array([0], np.int64)))
        result.input(0).replace_source_output(batched.output(0))
    model.validate_nodes_and_infer_types()


def _name(sdk: _Sdk, model: Any, image: str, output: str) -> Iterator[str]:
    """Let input and output carry their names as tensors; surgery may have lost them."""
    for port, name in ((model.input(0), image), (model.output(0), output)):
        if name not in port.get_names():
            port.set_names({name})
            yield f'{name} is named'


def _cast_to_labels(sdk: _Sdk, model: Any, name: str) -> None:
    result = model.get_results()[0]
    port = result.input_value(0)
    port.set_names(set())
    labels = sdk.opset.convert(port, 'i32')
    labels.output(0).set_names({name})
    result.input(0).replace_source_output(labels.output(0))
    model.validate_nodes_and_infer_types()


def _save(sdk: _Sdk, model: Any, target: Path) -> None:
    from edge_seg.backends.openvino.devices import readable, SDK_ERRORS

    try:
        sdk.ov.save_model(model, str(target), compress_to_fp16=False)
    except (*SDK_ERRORS, OSError) as error:
        raise CompileFailed(f'{target.name} cannot be written: {readable(error)}') from error


def _written(model: Any) -> WrittenDown:
    """Read what Model API and its trainers leave in the file, under rt_info/model_info."""
    entries = {}
    for name in MODEL_API_ENTRIES:
        path = ['model_info', name]
        if model.has_rt_info(path):
            entries[name] = str(model.get_rt_info(path).astype(str))
    return written_by_model_api(entries)


def run_once(path: Path, image: Any) -> Any:
    """Run a file in the imported form on a tensor, in single precision.

    Args:
        path: .onnx or .xml.
        image: array of the input's shape and dtype.

    Returns:
        The output, an array.

    Raises:
        CompileFailed: OpenVINO cannot read, compile or run it.
    """
    from edge_seg.backends.openvino.devices import core, readable, SDK_ERRORS

    sdk = _sdk()
    model = sdk.graph.read(path)
    try:
        compiled = core().compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
        return compiled([image])[0]
    except SDK_ERRORS as error:
        raise CompileFailed(f'{path.name} does not run: {readable(error)}') from error
