"""Counts, rates and latency percentiles of the frame path, in bounded memory."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
import math
import threading

from edge_seg.errors import DropReason

SAMPLES_KEPT = 512
"""Newest samples of each stage and newest events of each kind, 4 KiB each. Recent counts go no
higher; rates do, as they are taken from the distances."""
ERROR_TEXT_LIMIT = 500


class Stage(Enum):
    """A timed part of a frame's way; the values are the names used in diagnostics."""

    TRANSPORT = 'transport'
    """Published by the camera until it can be taken here, by the clocks of both machines."""
    TAKE = 'take'
    """Taken out of the middleware."""
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
    """Percentiles (nearest rank) of one stage over its newest samples, in seconds."""

    stage: Stage
    samples: int
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class LastError:
    """The newest error text and how long ago it was noted."""

    text: str
    ago_s: float


@dataclass(frozen=True, slots=True)
class DropCount:
    """Frames dropped for one reason.

    Attributes:
        reason: why.
        total: since the start.
        recent: within the rate window.
        error: the newest text with details; None = this reason needs none.
    """

    reason: DropReason
    total: int
    recent: int
    error: LastError | None = None


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
        last_error: the newest of any reason; None = none yet.
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

    def latency(self, stage: Stage) -> StageLatency | None:
        """Give one stage; None without samples."""
        return next((each for each in self.latencies if each.stage is stage), None)


class _Ring:
    """The newest SAMPLES_KEPT floats and how many there ever were."""

    def __init__(self) -> None:
        self.count = 0
        self._values = array('d')

    def add(self, value: float) -> None:
        if len(self._values) < SAMPLES_KEPT:
            self._values.append(value)
        else:
            self._values[self.count % SAMPLES_KEPT] = value
        self.count += 1

    def oldest_first(self) -> list[float]:
        split = self.count % len(self._values) if self._values else 0
        return [*self._values[split:], *self._values[:split]]

    @property
    def newest(self) -> float | None:
        return self._values[(self.count - 1) % SAMPLES_KEPT] if self.count else None


class _Events:
    """When something happened: totals and how often of late."""

    def __init__(self) -> None:
        self._times_s = _Ring()

    @property
    def total(self) -> int:
        return self._times_s.count

    def add(self, now_s: float) -> None:
        self._times_s.add(now_s)

    def ago_s(self, now_s: float) -> float | None:
        newest_s = self._times_s.newest
        return None if newest_s is None else max(0.0, now_s - newest_s)

    def recent(self, now_s: float, window_s: float) -> list[float]:
        return [t for t in self._times_s.oldest_first() if now_s - t <= window_s]


class FrameStatistics:
    """Collects from any thread. Every ``now_s`` is ``time.monotonic()``.

    Args:
        rate_window_s: over how long rates and recent counts are taken.
    """

    def __init__(self, *, rate_window_s: float = 5.0) -> None:
        self._window_s = rate_window_s
        self._lock = threading.Lock()  # guards everything that _forget sets
        self._errors: dict[DropReason, tuple[float, str]] = {}
        self._forget()

    def frame_in(self, now_s: float) -> None:
        """Count a frame that arrived."""
        with self._lock:
            self._in.add(now_s)

    def frame_taken(self, transport_s: float, take_s: float) -> None:
        """Note how long a frame travelled, and how long taking it took; NaN = not known."""
        with self._lock:
            self._note(Stage.TRANSPORT, transport_s)
            self._note(Stage.TAKE, take_s)

    def forget_way(self) -> None:
        """Forget how long frames travelled: from now on they come from somebody else."""
        with self._lock:
            self._stages |= {stage: _Ring() for stage in (Stage.TRANSPORT, Stage.TAKE)}

    def frame_dropped(self, reason: DropReason, now_s: float, *, error: str = '') -> None:
        """Count a frame that gets no mask; details, if any, become the newest of the reason."""
        with self._lock:
            self._drops[reason].add(now_s)
            if error:
                self._errors[reason] = (now_s, error[:ERROR_TEXT_LIMIT])
            if reason is DropReason.INFERENCE_ERROR:
                self._errors_in_a_row += 1

    def frames_lost(self, count: int, now_s: float) -> None:
        """Count frames that the middleware lost before they arrived (message_lost event)."""
        with self._lock:
            self._lost_total += count
            for _ in range(min(count, SAMPLES_KEPT)):
                self._lost.add(now_s)

    def mask_out(self, now_s: float, timings: Iterable[tuple[Stage, float]] = ()) -> None:
        """Count a published mask and note its stage latencies in seconds (finite ones)."""
        with self._lock:
            self._out.add(now_s)
            self._errors_in_a_row = 0
            for stage, duration_s in timings:
                self._note(stage, duration_s)

    def snapshot(self, now_s: float) -> StatisticsSnapshot:
        """Summarise."""
        with self._lock:
            recent_in = self._in.recent(now_s, self._window_s)
            recent_out = self._out.recent(now_s, self._window_s)
            return StatisticsSnapshot(
                frames_in=self._in.total,
                masks_out=self._out.total,
                recent_in=len(recent_in),
                recent_out=len(recent_out),
                rate_in_hz=_rate_hz(recent_in, now_s, self._window_s),
                rate_out_hz=_rate_hz(recent_out, now_s, self._window_s),
                drops=self._drop_counts(now_s),
                latencies=self._latencies(),
                last_frame_ago_s=self._in.ago_s(now_s),
                last_mask_ago_s=self._out.ago_s(now_s),
                errors_in_a_row=self._errors_in_a_row,
                lost_total=self._lost_total,
                lost_recent=len(self._lost.recent(now_s, self._window_s)),
                last_error=_aged(max(self._errors.values(), default=None), now_s),
            )

    def reset(self) -> None:
        """Forget everything, as at activation."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._in = _Events()
        self._out = _Events()
        self._lost = _Events()
        self._lost_total = 0
        self._drops = {reason: _Events() for reason in DropReason}
        self._stages = {stage: _Ring() for stage in Stage}
        self._errors_in_a_row = 0
        self._errors = {}

    def _note(self, stage: Stage, duration_s: float) -> None:
        if math.isfinite(duration_s):
            self._stages[stage].add(duration_s)

    def _drop_counts(self, now_s: float) -> tuple[DropCount, ...]:
        return tuple(
            DropCount(
                reason,
                events.total,
                len(events.recent(now_s, self._window_s)),
                _aged(self._errors.get(reason), now_s),
            )
            for reason, events in self._drops.items()
            if events.total
        )

    def _latencies(self) -> tuple[StageLatency, ...]:
        return tuple(
            _percentiles(stage, sorted(ring.oldest_first()))
            for stage, ring in self._stages.items()
            if ring.count
        )


def _aged(error: tuple[float, str] | None, now_s: float) -> LastError | None:
    if error is None:
        return None
    at_s, text = error
    return LastError(text, max(0.0, now_s - at_s))


def _percentiles(stage: Stage, ascending_s: list[float]) -> StageLatency:
    def rank(share: float) -> float:
        return ascending_s[max(0, math.ceil(share * len(ascending_s)) - 1)]

    return StageLatency(stage, len(ascending_s), rank(0.50), rank(0.95), rank(0.99))


def _rate_hz(times_s: list[float], now_s: float, window_s: float) -> float:
    """Events a second: by their mean distance while they go on, fading to 0 when they stop."""
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return len(times_s) / window_s
    mean_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    if now_s - times_s[-1] <= 2.0 * mean_s:
        return 1.0 / mean_s
    return len(times_s) / (now_s - times_s[0] + mean_s)
