"""A part of a benchmark: what it adds to targets, figures, charts and notes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge_seg.cli.bench.result import BenchResult, Listing, Served, Target
from edge_seg.offline.reporting.charts import Chart


@dataclass(slots=True)
class Part:
    """Collected while measuring."""

    targets: dict[str, Target] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    served: Served | None = None


def joined(name: str, title: str, parts: Iterable[Part]) -> BenchResult:
    """Make one result of several parts, in their order; only a single one has a single model."""
    whole, all_parts = Part(), list(parts)
    for part in all_parts:
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
        served=all_parts[0].served if len(all_parts) == 1 else None,
    )
