"""What a model declares, compared with what its artifact really has."""

from collections.abc import Sequence

from edge_seg.backends.file_info import FoundTensor, listed
from edge_seg.core.values import (
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    TensorLayout,
    TensorSpec,
)
from edge_seg.errors import IncompatibleModel

SIGMOID_KINDS = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)
FLOAT_DTYPES = ('float16', 'float32', 'float64', 'bfloat16')
LABEL_DTYPES = ('bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64')


def select(
    found: Sequence[FoundTensor], name: str, *, what: str, field: str, file: str
) -> FoundTensor:
    """Pick the tensor that a manifest names.

    Args:
        found: what the file has.
        name: what the manifest says.
        what: 'input' or 'output', for the message.
        field: the manifest's field, for the remedy.
        file: file name, for the message.

    Raises:
        IncompatibleModel: the file has no tensor of that name.
    """
    match = next((each for each in found if each.name == name), None)
    if match is None:
        raise IncompatibleModel(
            f'{file} has the {what}s {listed(tuple(found))}',
            expected=f"an {what} '{name}'",
            remedy=f'set {field} to a name that the file has',
        )
    return match


def check_input(found: Sequence[FoundTensor], spec: InputSpec, *, file: str) -> tuple[int, ...]:
    """Compare the image input with the file's.

    Args:
        found: the inputs of the file, axes left open as -1.
        spec: what is declared.
        file: file name, for messages.

    Returns:
        The shape to run with, every axis fixed. Three axes when the file has no batch axis.

    Raises:
        IncompatibleModel: other inputs, name, dtype, rank or axes.
    """
    tensor = select(found, spec.name, what='input', field='input.name', file=file)
    if len(found) != 1:
        raise IncompatibleModel(
            f'{file} has {len(found)} inputs: {listed(tuple(found))}',
            expected='one image input',
            remedy='export the network with the other inputs fixed',
        )
    if tensor.dtype != spec.dtype:
        raise IncompatibleModel(
            f"{file}: input '{tensor.name}' is {tensor.dtype}",
            expected=f'{spec.dtype} as declared',
            remedy='correct input.dtype (uint8 means that the file normalises by itself)',
        )
    declared = input_shape(spec)
    batchless = tensor.shape is not None and len(tensor.shape) == len(declared) - 1
    wanted = declared[1:] if batchless else declared
    if tensor.shape is not None and not _fits(tensor.shape, wanted):
        raise IncompatibleModel(
            f'{file} has the input {tensor}',
            expected=f'{_axes(wanted)} ({spec.layout}, {spec.color_order})',
            remedy=_input_remedy(tensor.shape, spec),
        )
    return wanted


def input_shape(spec: InputSpec) -> tuple[int, int, int, int]:
    """Give the declared shape, batch of one included."""
    if spec.layout == 'NCHW':
        return (1, spec.channels, spec.size.height, spec.size.width)
    return (1, spec.size.height, spec.size.width, spec.channels)


def check_output(tensor: FoundTensor, spec: ModelSpec, *, file: str) -> TensorSpec:
    """Compare the output with the file's, once every axis is known.

    Args:
        tensor: the output of the file at the declared input size.
        spec: what is declared.
        file: file name, for messages.

    Returns:
        The output in the declared layout: a batch axis of one is added where the file has none.
        The dtype is the file's.

    Raises:
        IncompatibleModel: dtype, rank, number of classes or an axis left open.
    """
    output = spec.output
    _check_output_dtype(tensor, output, file)
    shape = tensor.shape
    if shape is None or min(shape, default=0) < 1:
        raise IncompatibleModel(
            f'{file} has the output {tensor}, whose size depends on the data',
            expected='every axis fixed once the input size is fixed',
            remedy='export the network without post-processing',
        )
    if 'N' in output.layout and len(shape) == len(output.layout) - 1:
        shape = (1, *shape)
    channels = _expected_channels(spec)
    if not _output_fits(shape, output.layout, channels):
        raise IncompatibleModel(
            f'{file} has the output {tensor}',
            expected=f'{output.layout} of {output.kind.value}{_channels_text(spec, channels)}',
            remedy='correct output.layout, output.kind or the list of classes',
        )
    return TensorSpec(output.name, shape, tensor.dtype, output.layout)


def normalisation(spec: InputSpec) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fold scale into mean and std.

    ``(pixel / scale - mean) / std`` is ``(pixel - m) / s`` with the (m, s) returned, each one
    value per channel.

    Raises:
        IncompatibleModel: mean or std does not fit the number of channels.
    """
    mean = _per_channel(spec.mean, spec, 'input.mean')
    std = _per_channel(spec.std, spec, 'input.std')
    return (
        tuple(value * spec.scale for value in mean),
        tuple(value * spec.scale for value in std),
    )


def _per_channel(values: tuple[float, ...], spec: InputSpec, field: str) -> tuple[float, ...]:
    if len(values) == spec.channels:
        return values
    if values and len(set(values)) == 1:
        return (values[0],) * spec.channels
    raise IncompatibleModel(
        f'{field} has {len(values)} values',
        expected=f'{spec.channels} ({spec.color_order})',
    )


def _check_output_dtype(tensor: FoundTensor, output: OutputSpec, file: str) -> None:
    allowed = LABEL_DTYPES if output.kind is OutputKind.LABELS else FLOAT_DTYPES
    if tensor.dtype in allowed:
        return
    expected = 'an integer type' if output.kind is OutputKind.LABELS else 'a float type'
    raise IncompatibleModel(
        f"{file}: output '{tensor.name}' is {tensor.dtype}",
        expected=f'{expected} for {output.kind.value}',
        remedy='correct output.kind, or export the network again',
    )


def _expected_channels(spec: ModelSpec) -> int:
    one_channel = (OutputKind.LABELS, *SIGMOID_KINDS)
    return 1 if spec.output.kind in one_channel else len(spec.classes)


def _channels_text(spec: ModelSpec, channels: int) -> str:
    if 'C' not in spec.output.layout:
        return ''
    return f' with {channels} channel{"" if channels == 1 else "s"}'


def _output_fits(shape: tuple[int, ...], layout: TensorLayout, channels: int) -> bool:
    if len(shape) != len(layout):
        return False
    axes = dict(zip(layout, shape, strict=True))
    return axes.get('N', 1) == 1 and axes.get('C', channels) == channels


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        axis in (-1, want) for axis, want in zip(shape, wanted, strict=True)
    )


def _axes(shape: tuple[int, ...]) -> str:
    return '[' + ','.join(str(axis) for axis in shape) + ']'


def _input_remedy(shape: tuple[int, ...], spec: InputSpec) -> str:
    swapped = _swapped_layout(spec)
    if _fits(shape, swapped) or _fits(shape, swapped[1:]):
        other = 'NHWC' if spec.layout == 'NCHW' else 'NCHW'
        return f'set input.layout: {other}'
    return 'correct input.size, input.layout or input.color_order'


def _swapped_layout(spec: InputSpec) -> tuple[int, ...]:
    batch, a, b, c = input_shape(spec)
    return (batch, b, c, a) if spec.layout == 'NCHW' else (batch, c, a, b)
