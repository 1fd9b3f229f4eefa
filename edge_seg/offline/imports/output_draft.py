"""The output of a network, from what the file says and what is answered."""

from typing import cast, Literal

from edge_seg.backends.file_info import FoundTensor
from edge_seg.core.values import OutputKind, OutputSpec
from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.answers import (
    converted,
    Interview,
    one_of,
    Question,
    to_number,
    to_whole_number,
)
from edge_seg.offline.imports.given import GivenOptions, Hint, Hints

AnyLayout = Literal['NCHW', 'NHWC', 'NHW', 'HW']
INTEGERS = ('bool', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'uint32', 'uint64')
OPEN_AXIS = 8192
"""An axis left open is one of the image's sides."""


def draft_output(
    tensor: FoundTensor | None,
    class_count: int,
    given: GivenOptions,
    interview: Interview,
    hints: Hints,
) -> OutputSpec | None:
    """Describe the output; None when answers are missing.

    Args:
        tensor: as the file has it; None when it was not chosen.
        class_count: length of the class table, 0 when it is not known.
        given: options.
        interview: asks for the rest.
        hints: what is proposed there.

    Raises:
        OptionInvalid: an option contradicts the file, or cannot be used.
    """
    if tensor is None:
        return None
    layout = _layout(tensor, class_count, given, interview, hints)
    channels = channels_of(tensor, layout)
    kind = _kind(tensor, channels, given, interview, hints)
    if channels > 1 and class_count and channels != class_count:
        raise OptionInvalid(f'{class_count} classes for the {channels} channels of {tensor}')
    resample = _resample(kind, given, interview)
    if layout is None or kind is None or resample is None:
        return None
    return OutputSpec(
        name=tensor.name,
        kind=OutputKind(kind),
        layout=cast('AnyLayout', layout),
        resample=cast('Literal["labels", "logits"]', resample),
        threshold=_threshold(given),
        ignore_id=_ignore_id(given),
    )


def _resample(kind: str | None, given: GivenOptions, interview: Interview) -> str | None:
    if kind == 'labels' and given.resample is None:
        return 'labels'  # there is nothing else to resample, and so nothing to ask
    question = Question(
        '--resample', 'resample labels or logits', one_of(['labels', 'logits']), 'labels'
    )
    return interview.ask(question, given.resample)


def _layout(
    tensor: FoundTensor,
    class_count: int,
    given: GivenOptions,
    interview: Interview,
    hints: Hints,
) -> str | None:
    hint = hints.output_layout
    if hint.text is None:
        guess = guess_layout(tensor, class_count)
        hint = Hint(guess, f'the shape of output {tensor}', assumed=False)
    question = Question(
        '--output-layout',
        f'layout of output {tensor}: NCHW, NHWC, NHW or HW',
        one_of(['NCHW', 'NHWC', 'NHW', 'HW']),
        hint.text,
        hint.because,
        hint.assumed,
    )
    return interview.ask(question, given.output_layout)


def guess_layout(tensor: FoundTensor, class_count: int) -> str | None:
    """Tell by the number of axes, and by the axis as long as the class table, or the shortest.

    Args:
        tensor: the output.
        class_count: 0 when it is not known.

    Returns:
        The layout, or None when it may be either.
    """
    shape = tensor.shape
    if shape is None:
        return None
    if len(shape) == 2:
        return 'HW'
    if len(shape) == 3 and tensor.dtype in INTEGERS:
        return 'NHW'
    head, middle, tail = (axis if axis > 0 else OPEN_AXIS for axis in shape[-3:])
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


def channels_of(tensor: FoundTensor, layout: str | None) -> int:
    """Return the channels; 0 when they are not known."""
    if layout in ('NHW', 'HW'):
        return 1
    if tensor.shape is None or layout is None or len(tensor.shape) < 3:
        return 0
    return max(0, tensor.shape[-3] if layout == 'NCHW' else tensor.shape[-1])


def _threshold(given: GivenOptions) -> float:
    if given.threshold is None:
        return 0.5
    return converted(Question('--threshold', '', to_number), given.threshold)


def _ignore_id(given: GivenOptions) -> int | None:
    if given.ignore_id is None:
        return None
    return converted(Question('--ignore-id', '', to_whole_number), given.ignore_id)


def _kind(
    tensor: FoundTensor, channels: int, given: GivenOptions, interview: Interview, hints: Hints
) -> str | None:
    kinds, hint = _kinds(tensor, channels), hints.kind
    text, because, assumed = hint.text, hint.because, hint.assumed
    if len(kinds) == 1:
        text, because, assumed = kinds[0], f'the type of output {tensor}', False
    elif text not in kinds:
        text = None
    question = Question(
        '--kind', f'kind of output: {", ".join(kinds)}', one_of(kinds), text, because, assumed
    )
    return interview.ask(question, given.output_kind)


def _kinds(tensor: FoundTensor, channels: int) -> list[str]:
    if tensor.dtype in INTEGERS:
        return [OutputKind.LABELS.value]
    one = [OutputKind.SIGMOID.value, OutputKind.SIGMOID_LOGITS.value]
    several = [OutputKind.LOGITS.value, OutputKind.PROBABILITIES.value]
    if channels == 0:
        labels = [] if tensor.dtype else [OutputKind.LABELS.value]
        return several + one + labels
    return one if channels == 1 else several
