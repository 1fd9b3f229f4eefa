"""What a judgement comes to: a level, a line for the operator, and all that is known."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement.

    Attributes:
        level: severity.
        message: one line for the operator.
        values: keys and texts for /diagnostics; see ``health_values``.
    """

    level: Level
    message: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says.

    Attributes:
        level: severity.
        message: one line for the operator.
        why_no_mask: why there is no mask and what to do; '' = there are masks.
    """

    level: Level
    message: str
    why_no_mask: str = ''


def no_mask(level: Level, message: str) -> Verdict:
    """Say the same as reason for the missing masks."""
    return Verdict(level, message, message)
