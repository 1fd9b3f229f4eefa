"""The image input of a network, from what the file says and what is answered."""

from typing import Any, cast, Literal

from edge_seg.backends.file_info import FoundTensor
from edge_seg.core.values import InputSpec, ResizeMode, ResizeRule, Size
from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.answers import (
    converted,
    Interview,
    one_of,
    Question,
    to_channels,
    to_color_order,
    to_normalisation,
    to_size,
    to_whole_number,
)
from edge_seg.offline.imports.given import GivenOptions, Hint, Hints
from edge_seg.offline.imports.presets import Normalisation, normalisations

Layout = Literal['NCHW', 'NHWC']
Order = Literal['rgb', 'bgr', 'gray']
DTYPES = ('float32', 'float16', 'uint8')


def draft_input(
    tensor: FoundTensor | None, given: GivenOptions, interview: Interview, hints: Hints
) -> InputSpec | None:
    """Describe the input; None when answers are missing.

    Args:
        tensor: as the file has it; None when it was not chosen.
        given: options.
        interview: asks for the rest.
        hints: what is proposed there.

    Raises:
        OptionInvalid: an option contradicts the file, or cannot be used.
    """
    shape = _image_shape(tensor) if tensor is not None else None
    layout = interview.ask(
        Question(
            '--input-layout',
            'input layout: NCHW or NHWC',
            one_of(['NCHW', 'NHWC']),
            _input_layout(shape),
            f'the shape of input {tensor}',
            assumed=False,
        ),
        given.input_layout,
    )
    channels, side = _channels_and_size(shape, layout)
    size = interview.ask(
        Question(
            '--input-size', 'input size: WIDTHxHEIGHT', to_size, side, 'in the file', assumed=False
        ),
        given.input_size,
    )
    dtype = _dtype(tensor, given, interview)
    order = _order(channels, given, interview, hints.color_order)
    normalisation = _normalisation(dtype, given, interview, hints.normalise)
    resize = _resize(given, interview, hints.resize)
    if None in (tensor, layout, size, dtype, order, normalisation, resize):
        return None
    answers: Any = (tensor, layout, size, dtype, order, normalisation, resize)
    return _input_spec(*answers)


def _input_spec(
    tensor: FoundTensor,
    layout: Layout,
    size: Size,
    dtype: Literal['float32', 'float16', 'uint8'],
    order: Order,
    normalisation: Normalisation,
    resize: ResizeRule,
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
        resize=resize,
    )


def _dtype(tensor: FoundTensor | None, given: GivenOptions, interview: Interview) -> str | None:
    known = tensor.dtype if tensor is not None else ''
    if known and known not in DTYPES:
        raise OptionInvalid(f'input {tensor} is none of {", ".join(DTYPES)}')
    if known:
        return known
    question = Question('--input-dtype', 'input dtype', one_of(DTYPES), 'float32')
    return interview.ask(question, given.input_dtype)


def _order(channels: int, given: GivenOptions, interview: Interview, hint: Hint) -> Order | None:
    if channels == 1:
        return 'gray'
    question = Question(
        '--color-order',
        'colour order: rgb or bgr',
        to_color_order,
        hint.text,
        hint.because,
        hint.assumed,
    )
    return interview.ask(question, given.color_order)


def _normalisation(
    dtype: str | None, given: GivenOptions, interview: Interview, hint: Hint
) -> Normalisation | None:
    if dtype == 'uint8':
        if given.normalise is not None:
            raise OptionInvalid('--normalise: the input is uint8, it normalises by itself')
        return normalisations()['unit']
    text = f'normalisation: {", ".join(normalisations())}, or MEAN,../STD,..[/SCALE]'
    question = Question(
        '--normalise', text, to_normalisation, hint.text, hint.because, hint.assumed
    )
    return interview.ask(question, given.normalise)


def _resize(given: GivenOptions, interview: Interview, hint: Hint) -> ResizeRule | None:
    question = Question(
        '--resize',
        'resize rule: stretch, letterbox or center_crop',
        one_of([mode.value for mode in ResizeMode]),
        hint.text,
        hint.because,
        hint.assumed,
    )
    mode = interview.ask(question, given.resize)
    if mode is None:
        return None
    rule = ResizeRule()
    anchor, pad_value = rule.anchor, rule.pad_value
    if given.anchor is not None:
        words = Question('--anchor', '', one_of(['center', 'top_left']))
        anchor = cast('Literal["center", "top_left"]', converted(words, given.anchor))
    if given.pad_value is not None:
        pad_value = converted(Question('--pad-value', '', to_whole_number), given.pad_value)
    return ResizeRule(ResizeMode(mode), pad_value, anchor)


def _image_shape(tensor: FoundTensor) -> tuple[int, ...] | None:
    if tensor.shape is None:
        return None
    shape = tensor.shape if len(tensor.shape) != 3 else (1, *tensor.shape)
    if len(shape) != 4 or shape[0] not in (1, -1):
        raise OptionInvalid(f'input {tensor} is no single image')
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
        raise OptionInvalid(f'an input of {channels} channels is no image of 1 or 3')
    return channels, f'{width}x{height}' if min(width, height) > 0 else None
