"""Reading a model file with OpenVINO and fitting its graph to what the frame path needs."""

from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.declared import (
    check_input,
    check_output,
    FLOAT_DTYPES,
    normalisation,
    select,
)
from edge_seg.backends.file_info import FoundTensor, ModelFileInfo
from edge_seg.backends.onnx_file import check_weight_files
from edge_seg.backends.openvino import tflite
from edge_seg.backends.openvino.devices import core, readable, SDK_ERRORS, version
from edge_seg.core.values import ArtifactFormat, MAX_CLASSES_8, ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import CompileFailed, IncompatibleModel
import numpy as np
import openvino as ov
from openvino import opset8
from openvino.frontend import FrontEndManager
from openvino.preprocess import PrePostProcessor

_FRONTENDS = {
    '.onnx': ('onnx', ArtifactFormat.ONNX),
    '.xml': ('ir', ArtifactFormat.OPENVINO_IR),
    '.tflite': ('tflite', ArtifactFormat.TFLITE),
}
_NUMPY_NAMES = {
    'f16': 'float16', 'f32': 'float32', 'f64': 'float64', 'bf16': 'bfloat16', 'boolean': 'bool',
    'u8': 'uint8', 'u16': 'uint16', 'u32': 'uint32', 'u64': 'uint64',
    'i8': 'int8', 'i16': 'int16', 'i32': 'int32', 'i64': 'int64',
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FittedGraph:
    """A graph ready to compile.

    Attributes:
        model: one uint8 NHWC input, one output.
        inputs: the input as the caller fills it.
        outputs: the output as the caller reads it.
        output_kind: what the output means; LABELS with argmax inside.
        fused: what was built in.
    """

    model: ov.Model
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    output_kind: OutputKind
    fused: tuple[str, ...]


def read(path: Path) -> ov.Model:
    """Read a model file in the format that its suffix says.

    Raises:
        CompileFailed: it is missing, of another kind, or unreadable; or it takes weights from
            outside its folder.
    """
    frontend, artifact_format = _FRONTENDS.get(path.suffix.lower(), ('', None))
    if artifact_format is None:
        raise CompileFailed(
            f"{path.name} ends in '{path.suffix}'", expected=' or '.join(_FRONTENDS)
        )
    if not path.is_file():
        raise CompileFailed(f'{path} is not a file', expected='a model file')
    if artifact_format is ArtifactFormat.ONNX:
        check_weight_files(path)
    try:
        # Without this question read_model tries every format in turn, and the last one
        # (TensorFlow) writes its own complaints to stderr.
        reader = FrontEndManager().load_by_framework(frontend)
        if not reader.supported(str(path)):
            model = None
        elif artifact_format is ArtifactFormat.TFLITE:
            model = tflite.read(reader, path)
        else:
            model = core().read_model(str(path))
    except SDK_ERRORS as error:
        raise CompileFailed(
            f'{path.name} cannot be read: {readable(error)}', remedy=_read_remedy(path)
        ) from error
    if model is None:
        raise CompileFailed(
            f'{path.name} is not a readable {artifact_format.value} file',
            remedy=_read_remedy(path),
        )
    return model


def inspect_file(path: Path) -> ModelFileInfo:
    """Read the inputs and outputs of a model file.

    Raises:
        CompileFailed: it cannot be read.
    """
    model = read(path)
    return ModelFileInfo(
        _FRONTENDS[path.suffix.lower()][1],
        tuple(found_tensor(port) for port in model.inputs),
        tuple(found_tensor(port) for port in model.outputs),
        f'openvino {version()}',
    )


def fit(path: Path, spec: ModelSpec, *, argmax: bool) -> FittedGraph:
    """Read a model, compare it with what is declared, and build the conversions in.

    Args:
        path: the model file.
        spec: what is declared.
        argmax: take the winning class inside, where the output has one score per class.

    Raises:
        CompileFailed: the file cannot be read.
        IncompatibleModel: it is not what ``spec`` says.
    """
    model = read(path)
    try:
        return _fitted(model, spec, argmax=argmax, file=path.name)
    except SDK_ERRORS as error:
        raise IncompatibleModel(
            f'{path.name} cannot run at {spec.input.size.width}x{spec.input.size.height}: '
            f'{readable(error)}',
            remedy='correct input.size, or export the network at this size',
        ) from error


def _fitted(model: ov.Model, spec: ModelSpec, *, argmax: bool, file: str) -> FittedGraph:
    found = [found_tensor(port, spec.input.name) for port in model.inputs]
    run_shape = check_input(found, spec.input, file=file)
    keep_output(model, spec.output.name, file)
    if model.input(0).partial_shape.is_dynamic:
        model.reshape({model.input(0): ov.PartialShape(list(run_shape))})
    output = check_output(found_tensor(model.output(0), spec.output.name), spec, file=file)
    kind = spec.output.kind
    fused: tuple[str, ...] = ()
    if argmax and kind in (OutputKind.LOGITS, OutputKind.PROBABILITIES):
        model, output = _with_argmax(model, output, len(spec.classes))
        kind, fused = OutputKind.LABELS, ('argmax',)
    model, conversions = _with_conversions(model, spec, batchless=len(run_shape) == 3)
    size = spec.input.size
    image_shape = (1, size.height, size.width, spec.input.channels)
    dtype = _NUMPY_NAMES[model.output(0).get_element_type().get_type_name()]
    return FittedGraph(
        model,
        (TensorSpec(spec.input.name, image_shape, 'uint8', 'NHWC'),),
        (TensorSpec(output.name, output.shape, dtype, output.layout),),
        kind,
        conversions + fused,
    )


def found_tensor(port: ov.Output, preferred: str = '') -> FoundTensor:
    """Describe an input or output, by its preferred name where it has several."""
    # A tensor may carry several names; one without any is called after its node.
    names = sorted(port.get_names()) or [port.get_node().get_friendly_name()]
    shape: tuple[int, ...] | None = None
    if port.partial_shape.rank.is_static:
        shape = tuple(axis.get_length() if axis.is_static else -1 for axis in port.partial_shape)
    type_name = port.get_element_type().get_type_name()
    return FoundTensor(
        preferred if preferred in names else names[0],
        shape,
        _NUMPY_NAMES.get(type_name, type_name),
    )


def keep_output(model: ov.Model, name: str, file: str) -> None:
    """Cut away all outputs but one.

    Raises:
        IncompatibleModel: there is no such output.
    """
    found = [found_tensor(port, name) for port in model.outputs]
    wanted = found.index(select(found, name, what='output', field='output.name', file=file))
    for index, result in enumerate(model.get_results()):
        if index != wanted:
            model.remove_result(result)


def _with_argmax(model: ov.Model, output: TensorSpec, classes: int) -> tuple[ov.Model, TensorSpec]:
    scores = model.get_results()[0].input_value(0)
    missing_axes = len(output.layout) - scores.get_partial_shape().rank.get_length()
    axis = output.layout.index('C') - missing_axes
    one = opset8.constant(1, dtype=np.int32)
    winner = opset8.topk(scores, one, axis, 'max', 'none', index_element_type='i32').output(1)
    dtype = 'u8' if classes <= MAX_CLASSES_8 else 'i32'
    labels = opset8.convert(winner, dtype)
    shape = tuple(
        1 if axis == 'C' else length
        for axis, length in zip(output.layout, output.shape, strict=True)
    )
    fitted = ov.Model([opset8.result(labels)], model.get_parameters(), model.get_friendly_name())
    return fitted, TensorSpec(output.name, shape, output.dtype, output.layout)


def _with_conversions(
    model: ov.Model, spec: ModelSpec, *, batchless: bool
) -> tuple[ov.Model, tuple[str, ...]]:
    fused = []
    steps = PrePostProcessor(model)
    image = steps.input(0)
    skipped = 1 if batchless else 0
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout('NHWC'[skipped:]))
    image.model().set_layout(ov.Layout(spec.input.layout[skipped:]))
    if spec.input.dtype != 'uint8':
        mean, std = normalisation(spec.input)
        convert = image.preprocess().convert_element_type(ov.Type.f32)
        if any(mean):
            convert.mean(list(mean))
        if any(value != 1.0 for value in std):
            convert.scale(list(std))
        fused += ['uint8_input', 'normalise']
    if spec.input.layout != 'NHWC':
        fused.append('layout')
    wanted = _delivered_type(model.output(0).get_element_type())
    steps.output(0).tensor().set_element_type(wanted)
    return steps.build(), tuple(fused)


def _delivered_type(met: ov.Type) -> ov.Type:
    """Scores come out as float32; labels as uint8 when they are, as int32 otherwise."""
    name = _NUMPY_NAMES[met.get_type_name()]
    if name in FLOAT_DTYPES:
        return ov.Type.f32
    return ov.Type.u8 if name in ('uint8', 'bool') else ov.Type.i32


def _read_remedy(path: Path) -> str:
    if path.suffix.lower() == '.xml':
        return f'check that {path.with_suffix(".bin").name} lies beside it and both are whole'
    return 'check that it was copied whole and its suffix is right, or export it again'
