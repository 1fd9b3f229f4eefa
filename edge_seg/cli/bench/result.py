"""What a benchmark comes to: figures, targets that were met or not, and charts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
from pathlib import Path
from typing import Any, Literal

from edge_seg.errors import EdgeSegError
from edge_seg.models.package import ModelPackage
from edge_seg.offline.reporting.charts import Chart

RUNS = 5
"""Of each measurement, unless asked otherwise."""


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
        what: what it is, in words; '' when the name says it.
    """

    value: float
    unit: str
    bound: float
    sense: Literal['at most', 'at least'] = 'at most'
    what: str = ''

    @property
    def met(self) -> bool:
        """Whether the target is reached; NaN is not."""
        return self.value <= self.bound if self.sense == 'at most' else self.value >= self.bound

    def title(self, name: str) -> str:
        """Give words for a reader, made of the name where there are none."""
        return self.what or name.replace('_', ' ')

    @property
    def wanted(self) -> str:
        """The limit as a reader expects it: '<= 67 ms'."""
        sign = '<=' if self.sense == 'at most' else '>='
        return f'{sign} {self.bound:g} {self.unit}'.rstrip()

    @property
    def measured(self) -> str:
        """The value as a reader expects it: '41.3 ms'."""
        whole = math.isfinite(self.value) and self.value == int(self.value)
        text = f'{self.value:.0f}' if whole or abs(self.value) >= 1000 else f'{self.value:.3g}'
        return f'{text} {self.unit}'.rstrip()


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of figures beside the targets.

    Attributes:
        columns: their heads; the first is that of the rows' names.
        rows: one text for each column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The model that the node ran, for the KPI database.

    Attributes:
        package: in the store of the node.
        backend: registry name.
        precision: of the computation, e.g. 'int8'.
        p50_ms: median age of the masks at the consumer; None where the benchmark is of something
            else.
        p95_ms: the age that 95 % of the masks keep; likewise.
        energy_j: joules for each mask, camera and consumer included; None where the platform does
            not tell.
    """

    package: ModelPackage
    backend: str
    precision: str
    p50_ms: float | None = None
    p95_ms: float | None = None
    energy_j: float | None = None


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
        listings: tables for the report and the screen.
        served: the model that was run; None when it was not a single one.
    """

    name: str
    title: str
    targets: Mapping[str, Target]
    figures: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the user asked for.

    Attributes:
        folder: for logs, models and caches of the run; made anew for each benchmark.
        say: told one line of progress.
        quick: fewer repetitions, to see that everything works.
        runs: of each measurement; from three on the best and the worst are dropped.
        minutes: length of the benchmark memory.
        reloads: good and failed reloads, each so many, of the endurance part.
    """

    folder: Path
    say: Callable[[str], None]
    quick: bool = False
    reloads: int = 200
    runs: int = RUNS
    minutes: float = 10.0

    def repeats(self, full: int, quick: int) -> int:
        """Choose the number of repetitions."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often to measure."""
        return self.repeats(self.runs, 1)
