"""One row of the KPI database: what was run, on what, and what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
import platform
from typing import Any, Literal

import edge_seg
from edge_seg.offline.kpi.commit import source_commit

Kind = Literal['evaluate', 'optimize', 'parity', 'profile', 'bench']
KINDS: tuple[Kind, ...] = ('evaluate', 'optimize', 'parity', 'profile', 'bench')


def now() -> str:
    """Return the present time as the database has it: ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiRun:
    """One run; None is what was not measured, or what the platform does not tell.

    Attributes:
        kind: which command it was.
        model: ``name@version``, '' when no single model was run.
        model_sha256: digest of its manifest, which names those of all its files.
        backend: registry name, e.g. 'openvino'.
        device: full name of the device, e.g. 'CPU (Intel Xeon ...)'.
        precision: of the computation, e.g. 'int8'.
        miou: mean intersection over union, 0 to 1.
        p50_ms: median latency of a frame.
        p95_ms: latency that 95 % of the frames keep.
        size_bytes: of the model's files.
        energy_j: joules for each frame.
        document: everything else worth keeping; values that JSON knows.
        time: when it ended; ISO 8601, UTC.
        version: of edge_seg.
        commit: of the source tree, with '+' when files differ from it; '' without git.
        host: name of the machine.
    """

    kind: Kind
    model: str = ''
    model_sha256: str = ''
    backend: str = ''
    device: str = ''
    precision: str = ''
    miou: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    size_bytes: int | None = None
    energy_j: float | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    time: str = field(default_factory=now)
    version: str = edge_seg.__version__
    commit: str = field(default_factory=source_commit)
    host: str = field(default_factory=platform.node)


@dataclass(frozen=True, slots=True)
class KpiRow:
    """A run with the number that it has in the database."""

    number: int
    run: KpiRun
