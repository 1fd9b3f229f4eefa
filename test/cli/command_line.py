"""What a command left, and the form of the call that runs one."""

from dataclasses import dataclass
import io
from typing import Protocol


class Terminal(io.StringIO):
    """A stream with a person behind it."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs the words after ``edge_seg``; ``typed`` are the lines typed on a terminal."""

    def __call__(self, *words: object, typed: str | None = None) -> Result: ...
