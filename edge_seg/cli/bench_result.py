"""What a benchmark comes to: figures, targets that were met or not, and charts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_seg.errors import EdgeSegError


class MeasurementFailed(EdgeSegError):
    """A benchmark could not measure what it is there for; a missed target is no such failure."""


@dataclass(frozen=True, slots=True)
class Target:
    """One figure beside the value that it should have.

    Attributes:
        value: as measured.
        unit: 'ms', 'frames', '' for a ratio.
        bound: the limit.
        sense: on which side of the limit the value should be.
    """

    value: float
    unit: str
    bound: float
    sense: Literal['at most', 'at least'] = 'at most'

    @property
    def met(self) -> bool:
        """Whether the target is reached; NaN is not."""
        return self.value <= self.bound if self.sense == 'at most' else self.value >= self.bound

    @property
    def wanted(self) -> str:
        """The limit as a reader expects it: '<= 67 ms'."""
        sign = '<=' if self.sense == 'at most' else '>='
        return f'{sign} {self.bound:g} {self.unit}'.rstrip()


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour; ``form`` says whether they are joined."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    form: Literal['line', 'dots'] = 'line'


@dataclass(frozen=True, slots=True)
class Chart:
    """One plot.

    Attributes:
        title: what is to be seen.
        x_label: with unit.
        y_label: with unit.
        series: what is drawn.
        bound: a horizontal line at the target, or None.
        marks: vertical lines, x and text.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    bound: float | None = None
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One benchmark.

    Attributes:
        name: as on the command line.
        title: one sentence.
        targets: by name, in the order in which they are shown.
        figures: everything else worth keeping; values that JSON knows.
        charts: for the report.
        notes: what a reader must know to judge the figures.
    """

    name: str
    title: str
    targets: Mapping[str, Target]
    figures: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the user asked for.

    Attributes:
        folder: for logs, models and caches of the run; made anew for each benchmark.
        say: told one line of progress.
        quick: fewer repetitions, to see that everything works.
        reloads: good and failed reloads, each so many, of the endurance part.
    """

    folder: Path
    say: Callable[[str], None]
    quick: bool = False
    reloads: int = 200

    def repeats(self, full: int, quick: int) -> int:
        """Choose the number of repetitions."""
        return quick if self.quick else full
