"""What a model file does not say: as questions, with the texts that answer them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import cast, Generic, Literal, Protocol, TypeVar

from edge_seg.core.palette import default_colors
from edge_seg.core.values import ClassInfo, Size
from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.presets import colored, label_sets, Normalisation, normalisations

Answer = TypeVar('Answer')


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One thing that has to be known.

    Attributes:
        option: the option that answers it, e.g. '--classes'.
        text: what is asked on a terminal.
        convert: turns a text into the answer; raises OptionInvalid.
        suggestion: the answer taken when nothing is said; None = it cannot be guessed.
        because: where the suggestion comes from.
        assumed: False when the suggestion stands in the file, and is no guess.
    """

    option: str
    text: str
    convert: Callable[[str], Answer]
    suggestion: str | None = None
    because: str = 'the default'
    assumed: bool = True


class Interview(Protocol):
    """Somebody who answers questions: a person, or one who takes what is suggested."""

    def ask(self, question: Question[Answer], given: str | None) -> Answer | None:
        """Return the answer, or None when there is none.

        Args:
            question: what is to be known.
            given: the option's value, None when it was not given.

        Raises:
            OptionInvalid: the option's value cannot be used.
        """


def converted(question: Question[Answer], given: str) -> Answer:
    """Convert the value of an option.

    Raises:
        OptionInvalid: it cannot be used; names the option.
    """
    try:
        return question.convert(given)
    except OptionInvalid as error:
        raise OptionInvalid(f'{question.option}: {error}') from error


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a converter that takes one of some words."""

    def convert(text: str) -> str:
        if text not in names:
            raise OptionInvalid(f'{text!r} is none of {", ".join(names)}')
        return text

    return convert


def to_text(text: str) -> str:
    """Take any text that is not empty."""
    if not text.strip():
        raise OptionInvalid('it is empty')
    return text.strip()


def to_size(text: str) -> Size:
    """Read WIDTHxHEIGHT."""
    match = re.fullmatch(r'([0-9]{1,5})[xX]([0-9]{1,5})', text.strip())
    if match is None:
        raise OptionInvalid(f'{text!r} is not WIDTHxHEIGHT, e.g. 512x288')
    return Size(int(match[1]), int(match[2]))


def to_number(text: str) -> float:
    """Read one number."""
    return _numbers(text)[0]


def to_whole_number(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not re.fullmatch(r'[0-9]{1,5}', text.strip()):
        raise OptionInvalid(f'{text!r} is no whole number')
    return int(text)


def to_normalisation(text: str) -> Normalisation:
    """Read the name of a preset, or 'MEAN.../STD...[/SCALE]' with commas inside."""
    known = normalisations()
    if text in known:
        return known[text]
    if text.count('/') not in (1, 2):
        raise OptionInvalid(f'{text!r} is neither {", ".join(known)} nor MEAN,../STD,..[/SCALE]')
    groups = [_numbers(group) for group in text.split('/')]
    scale = groups[2][0] if len(groups) == 3 else 255.0
    return Normalisation(groups[0], groups[1], scale)


def to_classes(text: str) -> tuple[ClassInfo, ...]:
    """Read the name of a label set; or 'a,b,c', each with '#rrggbb' after it if wanted; or a file.

    A file has one class a line. What has no colour gets one.
    """
    path = Path(text.removeprefix('@')).expanduser()
    if text in label_sets():
        return label_sets()[text].classes
    if text.startswith('@') or ('/' in text and ',' not in text):
        try:
            entries = path.read_text('utf-8').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise OptionInvalid(f'{path} cannot be read ({error})') from error
    else:
        entries = text.split(',')
    words = [entry.strip() for entry in entries if entry.strip()]
    if not words:
        raise OptionInvalid(f'{text!r} names no class')
    colors = default_colors(len(words))
    return tuple(colored(word, color) for word, color in zip(words, colors, strict=True))


def to_channels(values: tuple[float, ...], channels: int, option: str) -> tuple[float, ...]:
    """Repeat a single number for every channel; refuse any other number of them."""
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise OptionInvalid(f'{option}: {len(values)} numbers for {channels} channels')
    return values


def to_color_order(text: str) -> Literal['rgb', 'bgr']:
    """Read the order of three channels."""
    return cast('Literal["rgb", "bgr"]', one_of(['rgb', 'bgr'])(text))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(','))
    except ValueError as error:
        raise OptionInvalid(f'{text!r} is no list of numbers with commas') from error
