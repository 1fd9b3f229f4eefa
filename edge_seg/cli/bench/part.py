"""A part of a benchmark: what it adds to targets, figures, charts and notes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge_seg.cli.bench.result import BenchResult, Chart, Listing, Target


@dataclass(slots=True)
class Part:
    """Collected while measuring."""

    targets: dict[str, Target] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)


def joined(name: str, title: str, parts: Iterable[Part]) -> BenchResult:
    """Make one result of several parts, in their order."""
    whole = Part()
    for part in parts:
        whole.targets.update(part.targets)
        whole.figures.update(part.figures)
        whole.charts += part.charts
        whole.notes += part.notes
        whole.listings += part.listings
    return BenchResult(
        name=name,
        title=title,
        targets=whole.targets,
        figures=whole.figures,
        charts=tuple(whole.charts),
        notes=tuple(whole.notes),
        listings=tuple(whole.listings),
    )
