"""Counts, rates and latency percentiles of the frame path, in bounded memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from edge_seg.errors import DropReason


class Stage(Enum):
    """A timed part of a frame's way; the values are the names used in diagnostics."""

    DECODE = 'decode'
    PREPROCESS = 'preprocess'
    INFER = 'infer'
    POSTPROCESS = 'postprocess'
    PUBLISH = 'publish'
    TOTAL = 'total'
    """Taken from the mailbox until everything is published."""
    AGE = 'age'
    """Header stamp until the mask is published, on the node's clock."""


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Percentiles of one stage over its newest samples, in seconds."""

    stage: Stage
    samples: int
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class DropCount:
    """Frames dropped for one reason, since the start and within the rate window."""

    reason: DropReason
    total: int
    recent: int


@dataclass(frozen=True, slots=True)
class LastError:
    """The newest error text and how long ago it was noted."""

    text: str
    ago_s: float


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """The statistics at one moment.

    Attributes:
        frames_in: frames that arrived, since the start.
        masks_out: masks published, since the start.
        recent_in: frames that arrived within the rate window.
        recent_out: masks published within the rate window.
        rate_in_hz: frames a second over the window.
        rate_out_hz: masks a second over the window.
        drops: reasons that occurred, in the order of DropReason.
        latencies: stages that have samples, in the order of Stage.
        last_frame_ago_s: seconds since the last frame; None = none yet.
        last_mask_ago_s: seconds since the last mask; None = none yet.
        errors_in_a_row: frames lost to INFERENCE_ERROR since the last mask.
        lost_total: frames lost in transport, as far as the middleware told, since the start.
        lost_recent: the same within the rate window.
        last_error: None = none yet.
    """

    frames_in: int = 0
    masks_out: int = 0
    recent_in: int = 0
    recent_out: int = 0
    rate_in_hz: float = 0.0
    rate_out_hz: float = 0.0
    drops: tuple[DropCount, ...] = ()
    latencies: tuple[StageLatency, ...] = ()
    last_frame_ago_s: float | None = None
    last_mask_ago_s: float | None = None
    errors_in_a_row: int = 0
    lost_total: int = 0
    lost_recent: int = 0
    last_error: LastError | None = None


class FrameStatistics:
    """Collects from any thread. Every ``now_s`` is ``time.monotonic()``."""

    def __init__(self, *, rate_window_s: float = 5.0) -> None:
        raise NotImplementedError

    def frame_in(self, now_s: float) -> None:
        """Count a frame that arrived."""
        raise NotImplementedError

    def frame_dropped(self, reason: DropReason, now_s: float) -> None:
        """Count a frame that gets no mask."""
        raise NotImplementedError

    def frames_lost(self, count: int, now_s: float) -> None:
        """Count frames that the middleware lost before they arrived (message_lost event)."""
        raise NotImplementedError

    def mask_out(self, now_s: float, timings: Iterable[tuple[Stage, float]] = ()) -> None:
        """Count a published mask and note its stage latencies in seconds."""
        raise NotImplementedError

    def error(self, text: str, now_s: float) -> None:
        """Remember the newest error."""
        raise NotImplementedError

    def snapshot(self, now_s: float) -> StatisticsSnapshot:
        """Summarise."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything, as at activation."""
        raise NotImplementedError
