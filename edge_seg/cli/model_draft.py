"""What a model file says of itself, completed by answers to a specification."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, Literal

import click
from edge_seg.backends.file_info import FoundTensor, listed
from edge_seg.cli.model_questions import (
    color_order,
    Interview,
    Normalisation,
    NORMALISATIONS,
    one_of,
    Question,
    to_channels,
    to_classes,
    to_normalisation,
    to_size,
    to_text,
)
from edge_seg.core.values import (
    ClassInfo,
    InputSpec,
    OutputKind,
    OutputSpec,
    ResizeMode,
    ResizeRule,
    Size,
)

INTEGERS = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'uint32', 'uint64')
ImageLayout = Literal['NCHW', 'NHWC']
AnyLayout = Literal['NCHW', 'NHWC', 'NHW', 'HW']


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options of ``edge_seg model add`` that describe the network; None = not given."""

    input_name: str | None = None
    input_size: str | None = None
    input_layout: str | None = None
    input_dtype: str | None = None
    color_order: str | None = None
    normalise: str | None = None
    resize: str | None = None
    output_name: str | None = None
    output_layout: str | None = None
    output_kind: str | None = None
    resample: str | None = None
    classes: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A network's specification without name and version."""

    input: InputSpec
    output: OutputSpec
    classes: tuple[ClassInfo, ...]


def draft(
    inputs: Sequence[FoundTensor],
    outputs: Sequence[FoundTensor],
    given: GivenOptions,
    interview: Interview,
) -> Draft | None:
    """Complete what the file says; None when answers are missing.

    Args:
        inputs: inputs as the file has them; empty when it cannot be read (TensorRT plans).
        outputs: the same of its outputs.
        given: options.
        interview: asks for the rest.

    Raises:
        click.UsageError: an option contradicts the file, or cannot be used.
    """
    image = _tensor(inputs, given.input_name, interview, ('--input-name', 'input'))
    scores = _tensor(outputs, given.output_name, interview, ('--output-name', 'output'))
    spec = _input(image, given, interview)
    classes = interview.ask(
        Question('--classes', 'classes by id: a,b,c with #rrggbb if wanted, or @FILE', to_classes),
        given.classes,
    )
    output = _output(scores, len(classes or ()), given, interview)
    if spec is None or output is None or classes is None:
        return None
    return Draft(spec, output, classes)


def _tensor(
    found: Sequence[FoundTensor],
    given: str | None,
    interview: Interview,
    words: tuple[str, str],
) -> FoundTensor | None:
    option, what = words
    names = [tensor.name for tensor in found]
    if len(found) == 1 and given is None:
        return found[0]
    if not found:
        name = interview.ask(Question(option, f'name of the {what} tensor', to_text), given)
        return None if name is None else FoundTensor(name, None, '')
    text = f'which {what}: {listed(tuple(found))}'
    name = interview.ask(Question(option, text, one_of(names)), given)
    return next((tensor for tensor in found if tensor.name == name), None)


def _input(
    tensor: FoundTensor | None, given: GivenOptions, interview: Interview
) -> InputSpec | None:
    shape = _image_shape(tensor) if tensor is not None else None
    layouts = one_of(['NCHW', 'NHWC'])
    layout = interview.ask(
        Question('--input-layout', 'input layout: NCHW or NHWC', layouts, _input_layout(shape)),
        given.input_layout,
    )
    channels, side = _channels_and_size(shape, layout)
    size = interview.ask(
        Question('--input-size', 'input size: WIDTHxHEIGHT', to_size, side), given.input_size
    )
    dtypes = ['float32', 'float16', 'uint8']
    known = tensor.dtype if tensor is not None else ''
    if known and known not in dtypes:
        raise click.UsageError(f'input {tensor} is none of {", ".join(dtypes)}')
    dtype = known or interview.ask(
        Question('--input-dtype', 'input dtype', one_of(dtypes), 'float32'), given.input_dtype
    )
    order: Literal['rgb', 'bgr', 'gray'] | None = 'gray'
    if channels != 1:
        order = interview.ask(
            Question('--color-order', 'colour order: rgb or bgr', color_order), given.color_order
        )
    normalisation = _normalisation(dtype, given, interview)
    resize = interview.ask(
        Question(
            '--resize',
            'resize rule: stretch, letterbox or center_crop',
            one_of([mode.value for mode in ResizeMode]),
            'stretch',
        ),
        given.resize,
    )
    if None in (tensor, layout, size, dtype, order, normalisation, resize):
        return None
    answers: Any = (tensor, layout, size, dtype, order, normalisation, resize)
    return _input_spec(*answers)


def _input_spec(
    tensor: FoundTensor,
    layout: ImageLayout,
    size: Size,
    dtype: Literal['float32', 'float16', 'uint8'],
    order: Literal['rgb', 'bgr', 'gray'],
    normalisation: Normalisation,
    resize: str,
) -> InputSpec:
    channels = 1 if order == 'gray' else 3
    return InputSpec(
        name=tensor.name,
        size=size,
        layout=layout,
        dtype=dtype,
        color_order=order,
        mean=to_channels(normalisation.mean, channels, '--normalise'),
        std=to_channels(normalisation.std, channels, '--normalise'),
        scale=normalisation.scale,
        resize=ResizeRule(ResizeMode(resize)),
    )


def _normalisation(
    dtype: str | None, given: GivenOptions, interview: Interview
) -> Normalisation | None:
    if dtype == 'uint8':
        if given.normalise is not None:
            raise click.UsageError('--normalise: the input is uint8, it normalises by itself')
        return NORMALISATIONS['unit']
    text = f'normalisation: {", ".join(NORMALISATIONS)}, or MEAN,../STD,..[/SCALE]'
    return interview.ask(Question('--normalise', text, to_normalisation), given.normalise)


def _image_shape(tensor: FoundTensor) -> tuple[int, ...] | None:
    if tensor.shape is None:
        return None
    shape = tensor.shape if len(tensor.shape) != 3 else (1, *tensor.shape)
    if len(shape) != 4 or shape[0] not in (1, -1):
        raise click.UsageError(f'input {tensor} is no single image')
    return shape


def _input_layout(shape: tuple[int, ...] | None) -> str | None:
    """Tell by the axis of 1 or 3 channels; None when both or neither may be it."""
    if shape is None:
        return None
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        return None
    return 'NCHW' if first else 'NHWC'


def _channels_and_size(
    shape: tuple[int, ...] | None, layout: str | None
) -> tuple[int, str | None]:
    if shape is None or layout is None:
        return 3, None
    channels = shape[1] if layout == 'NCHW' else shape[3]
    height, width = shape[2:4] if layout == 'NCHW' else shape[1:3]
    if channels not in (1, 3, -1):
        raise click.UsageError(f'an input of {channels} channels is no image of 1 or 3')
    return channels, f'{width}x{height}' if min(width, height) > 0 else None


def _output(
    tensor: FoundTensor | None, class_count: int, given: GivenOptions, interview: Interview
) -> OutputSpec | None:
    if tensor is None:
        return None
    layout = interview.ask(
        Question(
            '--output-layout',
            f'layout of output {tensor}: NCHW, NHWC, NHW or HW',
            one_of(['NCHW', 'NHWC', 'NHW', 'HW']),
            _output_layout(tensor, class_count),
        ),
        given.output_layout,
    )
    channels = _output_channels(tensor, layout)
    kinds = _kinds(tensor, channels)
    kind = interview.ask(
        Question(
            '--kind',
            f'kind of output: {", ".join(kinds)}',
            one_of(kinds),
            kinds[0] if len(kinds) == 1 else None,
        ),
        given.output_kind,
    )
    if channels > 1 and class_count and channels != class_count:
        raise click.UsageError(f'{class_count} classes for the {channels} channels of {tensor}')
    words = ['labels', 'logits']
    resample = interview.ask(
        Question('--resample', 'resample labels or logits', one_of(words), 'labels'),
        given.resample or ('labels' if kind == 'labels' else None),
    )
    if layout is None or kind is None or resample is None:
        return None
    return OutputSpec(
        name=tensor.name,
        kind=OutputKind(kind),
        layout=cast('AnyLayout', layout),
        resample=cast('Literal["labels", "logits"]', resample),
    )


def _output_layout(tensor: FoundTensor, class_count: int) -> str | None:
    """Tell by the number of axes, and by the axis as long as the class table, or the shortest."""
    shape = tensor.shape
    if shape is None:
        return None
    if len(shape) == 2:
        return 'HW'
    if len(shape) == 3 and tensor.dtype in INTEGERS:
        return 'NHW'
    # An axis left open is one of the image's sides.
    head, middle, tail = (axis if axis > 0 else 8192 for axis in shape[-3:])
    classes = 1 if tensor.dtype in INTEGERS else class_count
    guesses = (
        (head == classes, tail == classes),
        (head == 1, tail == 1),
        (head < min(middle, tail), tail < min(head, middle)),
    )
    for first, last in guesses:
        if first != last:
            return 'NCHW' if first else 'NHWC'
    return None


def _output_channels(tensor: FoundTensor, layout: str | None) -> int:
    """Return the channels; 0 when they are not known."""
    if layout in ('NHW', 'HW'):
        return 1
    if tensor.shape is None or layout is None or len(tensor.shape) < 3:
        return 0
    return max(0, tensor.shape[-3] if layout == 'NCHW' else tensor.shape[-1])


def _kinds(tensor: FoundTensor, channels: int) -> list[str]:
    if tensor.dtype in INTEGERS:
        return [OutputKind.LABELS.value]
    one = [OutputKind.SIGMOID.value, OutputKind.SIGMOID_LOGITS.value]
    several = [OutputKind.LOGITS.value, OutputKind.PROBABILITIES.value]
    if channels == 0:
        labels = [] if tensor.dtype else [OutputKind.LABELS.value]
        return several + one + labels
    return one if channels == 1 else several
