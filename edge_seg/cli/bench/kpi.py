"""A benchmark as a row of the KPI database."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_seg.cli.bench.result import Served
from edge_seg.offline.kpi import KpiRun, record


def record_benchmark(whole: Mapping[str, Any], served: Served | None = None) -> int | None:
    """Record a benchmark.

    Args:
        whole: the document that ``bench_report.document`` makes of it.
        served: the model that it ran; None when it was not a single one.

    Returns:
        The number of the run; None when nothing is to be recorded.

    Raises:
        KpiUnavailable: the database cannot be written to.
    """
    environment = whole.get('environment', {})
    device = f'CPU ({environment.get("processor", "")})'
    run = KpiRun(kind='bench', device=device, document=whole)
    return record(run if served is None else _of(run, served))


def _of(run: KpiRun, served: Served) -> KpiRun:
    artifact = served.package.manifest.artifacts[0]
    return replace(
        run,
        model=served.package.identity,
        model_sha256=served.package.manifest_sha256,
        backend=served.backend,
        precision=served.precision,
        p50_ms=served.p50_ms,
        p95_ms=served.p95_ms,
        size_bytes=sum(served.package.path_of(file).stat().st_size for file in artifact.files),
        energy_j=served.energy_j,
    )
