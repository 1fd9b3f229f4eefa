"""Asking a person for what a model file does not say; without one, naming what is missing."""

from functools import partial

import click
from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.answers import Answer, converted, Question


class TerminalInterview:
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
            OptionInvalid: the option's value cannot be used.
        """
        if given is not None:
            return converted(question, given)
        if self._interactive:
            answer: Answer = click.prompt(
                question.text,
                default=question.suggestion,
                value_proc=partial(_typed, question),
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
            OptionInvalid: answers are missing; names the options.
        """
        if self._missing:
            raise OptionInvalid(f'the file does not say: {"; ".join(self._missing)}')


def _typed(question: Question[Answer], text: str) -> Answer:
    try:
        return question.convert(text)
    except OptionInvalid as error:
        raise click.BadParameter(str(error)) from error  # click asks again
