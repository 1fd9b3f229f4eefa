"""What a plot shows: lines and dots over an axis, bars, a confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour; ``form`` says whether they are joined."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    form: Literal['line', 'dots'] = 'line'


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines and dots.

    Attributes:
        title: what is to be seen.
        x_label: with unit.
        y_label: with unit.
        series: what is drawn.
        bound: a horizontal line at the target, or None.
        marks: vertical lines, x and text.
        categories: names of x = 0, 1, 2 ..., in place of numbers.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    bound: float | None = None
    marks: tuple[tuple[float, str], ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The text for those who do not see it."""
        names = ', '.join(series.name for series in self.series)
        return f'{self.title}: {self.y_label} over {self.x_label}; {names}'


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        name: beside it on the left.
        value: its length; None draws no bar.
        text: beside it on the right.
        color: red, green, blue, 0-255; None = that of all bars.
        mark: a second value, drawn as a short line, or None.
    """

    name: str
    value: float | None
    text: str
    color: tuple[int, int, int] | None = None
    mark: float | None = None


@dataclass(frozen=True, slots=True)
class BarChart:
    """Horizontal bars.

    Attributes:
        title: what is to be seen.
        x_label: with unit.
        bars: from the top.
        full: end of the axis; None = as the values ask.
        mark_name: what the marks are, '' without any.
        value_name: what the bars are, beside marks.
    """

    title: str
    x_label: str
    bars: Sequence[Bar]
    full: float | None = None
    value_name: str = ''
    mark_name: str = ''

    @property
    def words(self) -> str:
        """The text for those who do not see it."""
        return f'{self.title}: ' + ', '.join(f'{bar.name} {bar.text}' for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix: each row is what pixels of a class were taken for, in percent.

    Attributes:
        title: what is to be seen.
        names: of the classes.
        counts: pixels as [truth][prediction]; a column more than classes is 'no class'.
    """

    title: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def words(self) -> str:
        """The text for those who do not see it."""
        rightly = ', '.join(
            f'{name} {line[index] / sum(line):.0%}'
            for index, (name, line) in enumerate(zip(self.names, self.counts, strict=True))
            if sum(line)
        )
        return f'{self.title}: taken for what they are: {rightly}'


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart that was drawn: an SVG document, and the text for those who do not see it."""

    svg: str
    words: str
