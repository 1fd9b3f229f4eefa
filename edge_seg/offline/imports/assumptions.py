"""Answers taken as they are proposed, each noted down with where it comes from."""

from dataclasses import dataclass

from edge_seg.errors import OptionInvalid
from edge_seg.offline.imports.answers import Answer, converted, Question

GIVEN = 'given'


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that is now declared of a model.

    Attributes:
        option: the option that changes it.
        value: what is declared, as the option would say it.
        because: where it comes from; 'given' when the option said it.
        assumed: a guess, which the operator should look at.
    """

    option: str
    value: str
    because: str
    assumed: bool


class Proposer:
    """An interview without a person: takes what is proposed and remembers it."""

    def __init__(self) -> None:
        self._answers: list[Assumption] = []
        self._missing: list[str] = []

    @property
    def answers(self) -> tuple[Assumption, ...]:
        """What was taken, in the order of the questions."""
        return tuple(self._answers)

    def ask(self, question: Question[Answer], given: str | None) -> Answer | None:
        """Return the answer of the option, or the one that is proposed.

        Raises:
            OptionInvalid: the option's value cannot be used.
        """
        if given is not None:
            self._answers.append(Assumption(question.option, given, GIVEN, assumed=False))
            return converted(question, given)
        if question.suggestion is None:
            self._missing.append(f'{question.option} ({question.text})')
            return None
        self._answers.append(
            Assumption(question.option, question.suggestion, question.because, question.assumed)
        )
        return converted(question, question.suggestion)

    def close(self) -> None:
        """End the interview.

        Raises:
            OptionInvalid: something could not even be guessed; names the options.
        """
        if self._missing:
            raise OptionInvalid(f'the file does not say: {"; ".join(self._missing)}')
