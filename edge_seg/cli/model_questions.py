"""Asking for what a model file does not say: on a terminal one by one, else by option."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import cast, Generic, Literal, TypeVar

import click
from edge_seg.core.palette import default_colors
from edge_seg.core.values import ClassInfo, Size

Answer = TypeVar('Answer')


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One thing that has to be known.

    Attributes:
        option: the option that answers it, e.g. '--classes'.
        text: what is asked on a terminal.
        convert: turns a text into the answer; raises click.BadParameter.
        suggestion: the answer taken when nothing is said; None = it cannot be guessed.
    """

    option: str
    text: str
    convert: Callable[[str], Answer]
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Normalisation:
    """The value of a channel is (pixel / scale - mean) / std; one number fits any channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float


NORMALISATIONS = {
    'unit': Normalisation((0.0,), (1.0,), 255.0),
    'symmetric': Normalisation((0.5,), (0.5,), 255.0),
    'imagenet': Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255.0),
    'raw': Normalisation((0.0,), (1.0,), 1.0),
}


class Interview:
    """Collects answers; without a terminal it collects the options that are missing.

    Args:
        interactive: a person is there to answer.
    """

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive
        self._missing: list[str] = []

    def ask(self, question: Question[Answer], given: str | None) -> Answer | None:
        """Return the answer: the option's, the person's, or the suggested one.

        Returns:
            None when it is missing; ``close`` then reports it.

        Raises:
            click.BadParameter: the option's value cannot be used.
        """
        if given is not None:
            return _converted(question, given)
        if self._interactive:
            answer: Answer = click.prompt(
                question.text,
                default=question.suggestion,
                value_proc=question.convert,
                err=True,
            )
            return answer
        if question.suggestion is not None:
            return question.convert(question.suggestion)
        self._missing.append(f'{question.option} ({question.text})')
        return None

    def close(self) -> None:
        """End the interview.

        Raises:
            click.UsageError: answers are missing; names the options.
        """
        if self._missing:
            raise click.UsageError(f'the file does not say: {"; ".join(self._missing)}')


def _converted(question: Question[Answer], given: str) -> Answer:
    try:
        return question.convert(given)
    except click.BadParameter as error:
        raise click.BadParameter(f'{question.option}: {error.message}') from error


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a converter that takes one of some words."""

    def convert(text: str) -> str:
        if text not in names:
            raise click.BadParameter(f'{text!r} is none of {", ".join(names)}')
        return text

    return convert


def to_text(text: str) -> str:
    """Take any text that is not empty."""
    if not text.strip():
        raise click.BadParameter('it is empty')
    return text.strip()


def to_size(text: str) -> Size:
    """Read WIDTHxHEIGHT."""
    match = re.fullmatch(r'([0-9]{1,5})[xX]([0-9]{1,5})', text.strip())
    if match is None:
        raise click.BadParameter(f'{text!r} is not WIDTHxHEIGHT, e.g. 512x288')
    return Size(int(match[1]), int(match[2]))


def to_normalisation(text: str) -> Normalisation:
    """Read a name of NORMALISATIONS, or 'MEAN.../STD...[/SCALE]' with commas inside."""
    if text in NORMALISATIONS:
        return NORMALISATIONS[text]
    groups = [_numbers(group) for group in text.split('/')]
    if len(groups) not in (2, 3):
        raise click.BadParameter(
            f'{text!r} is neither {", ".join(NORMALISATIONS)} nor MEAN,../STD,..[/SCALE]'
        )
    scale = groups[2][0] if len(groups) == 3 else 255.0
    return Normalisation(groups[0], groups[1], scale)


def to_classes(text: str) -> tuple[ClassInfo, ...]:
    """Read 'a,b,c', each with '#rrggbb' after it if wanted, or a file with one a line.

    What has no colour gets one.
    """
    path = Path(text.removeprefix('@')).expanduser()
    if text.startswith('@') or ('/' in text and ',' not in text):
        try:
            entries = path.read_text('utf-8').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f'{path} cannot be read ({error})') from error
    else:
        entries = text.split(',')
    words = [entry.strip() for entry in entries if entry.strip()]
    if not words:
        raise click.BadParameter(f'{text!r} names no class')
    colors = default_colors(len(words))
    return tuple(_class(word, color) for word, color in zip(words, colors, strict=True))


def to_channels(values: tuple[float, ...], channels: int, option: str) -> tuple[float, ...]:
    """Repeat a single number for every channel; refuse any other number of them."""
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise click.BadParameter(f'{option}: {len(values)} numbers for {channels} channels')
    return values


def color_order(text: str) -> Literal['rgb', 'bgr']:
    """Read the order of three channels."""
    return cast('Literal["rgb", "bgr"]', one_of(['rgb', 'bgr'])(text))


def _class(word: str, color: tuple[int, int, int]) -> ClassInfo:
    match = re.fullmatch(r'(.*?)\s*#([0-9a-fA-F]{6})', word)
    if match is None:
        return ClassInfo(word, color)
    red, green, blue = bytes.fromhex(match[2])
    return ClassInfo(match[1], (red, green, blue))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(','))
    except ValueError as error:
        raise click.BadParameter(f'{text!r} is no list of numbers with commas') from error
