"""Writing OpenVINO IR: the network that serves and nothing else, in as few bytes as it takes."""

from pathlib import Path
import re

from edge_seg.backends.declared import check_input
from edge_seg.backends.openvino.devices import readable, SDK_ERRORS
from edge_seg.backends.openvino.graph import found_tensor, keep_output, read
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed
import openvino as ov
from openvino import opset8
from openvino._offline_transformations import apply_moc_transformations

_SHARED_UP_TO = 64
"""Elements of a constant that is worth comparing with others."""
_DEFAULTS = (' auto_broadcast="numpy"',)


def read_pinned(source: Path, spec: ModelSpec) -> ov.Model:
    """Read a model with the declared output only, its axes fixed, its shapes worked out.

    Raises:
        CompileFailed: the file cannot be read.
        IncompatibleModel: it is not what ``spec`` says.
    """
    model = read(source)
    found = [found_tensor(port, spec.input.name) for port in model.inputs]
    run_shape = check_input(found, spec.input, file=source.name)
    keep_output(model, spec.output.name, source.name)
    if model.input(0).partial_shape.is_dynamic:
        model.reshape({model.input(0): ov.PartialShape(list(run_shape))})
    apply_moc_transformations(model, cf=True)  # folds what only computes shapes
    return model


def write_ir(model: ov.Model, target: Path, *, half: bool) -> None:
    """Write a model as .xml, its weights as .bin beside it.

    Args:
        model: as ``read_pinned`` gives it; its inner names are shortened.
        target: the .xml.
        half: keep the weights in half precision.

    Raises:
        CompileFailed: it cannot be written.
    """
    apply_moc_transformations(model, cf=True)
    _scalar_ranges(model)
    _share_constants(model)
    _shorten_names(model)
    try:
        ov.save_model(model, target, compress_to_fp16=half)
        target.write_text(_without_padding(target.read_text('utf-8')), 'utf-8')
    except (*SDK_ERRORS, OSError) as error:
        raise CompileFailed(f'{target} cannot be written: {readable(error)}') from error


def _scalar_ranges(model: ov.Model) -> None:
    """Give ranges that hold for the whole tensor as scalars; they broadcast all the same."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != 'FakeQuantize':
            continue
        for index in range(1, 5):
            constant = node.input_value(index).get_node()
            if constant.get_type_name() == 'Constant' and constant.data.size == 1:
                scalar = opset8.constant(constant.data.reshape(()))
                node.input(index).replace_source_output(scalar.output(0))


def _share_constants(model: ov.Model) -> None:
    """Let equal small constants be one."""
    known: dict[tuple[str, tuple[int, ...], bytes], ov.Node] = {}
    for node in model.get_ordered_ops():
        for index in range(node.get_input_size()):
            constant = node.input_value(index).get_node()
            if constant.get_type_name() != 'Constant' or constant.data.size > _SHARED_UP_TO:
                continue
            kind = constant.get_element_type().get_type_name()
            key = kind, tuple(constant.get_output_shape(0)), constant.data.tobytes()
            first = known.setdefault(key, constant)
            if first.get_friendly_name() != constant.get_friendly_name():
                node.input(index).replace_source_output(first.output(0))


def _shorten_names(model: ov.Model) -> None:
    """Keep the names of inputs, outputs and computing layers: profiles show those."""
    ends = {name for port in (*model.inputs, *model.outputs) for name in port.get_names()}
    silent = ('Constant', 'FakeQuantize', 'Convert')
    for number, node in enumerate(model.get_ordered_ops()):
        name = node.get_friendly_name()
        if node.get_type_name() in silent or name.startswith('DequantizeLinear'):
            node.set_friendly_name(f'{number}')
        for port in node.outputs():
            if not port.get_names() & ends:
                port.get_tensor().set_names(set())


def _without_padding(text: str) -> str:
    """Drop white space, notes of the conversion and attributes that have their default."""
    text = re.sub(r'>\s+<', '><', text)
    text = re.sub(r'<rt_info>.*?</rt_info>', '', text, flags=re.DOTALL)
    for attribute in _DEFAULTS:
        text = text.replace(attribute, '')
    return text.replace(' />', '/>')
