"""A benchmark as a row of the KPI database."""

from collections.abc import Mapping
from typing import Any

from edge_seg.offline.kpi import KpiRun, record


def record_benchmark(whole: Mapping[str, Any]) -> int | None:
    """Record a benchmark.

    Args:
        whole: the document that ``bench_report.document`` makes of it.

    Returns:
        The number of the run; None when nothing is to be recorded.

    Raises:
        KpiUnavailable: the database cannot be written to.
    """
    environment = whole.get('environment', {})
    device = f'CPU ({environment.get("processor", "")})'
    return record(KpiRun(kind='bench', device=device, document=whole))
