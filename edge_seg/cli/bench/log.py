"""The files in which camera and consumer note what they did, and what follows from them.

Times are nanoseconds of the system clock, which all processes of one machine share and which is
also the clock of the stamps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import struct

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
_PAIR = struct.Struct('=qq')
MS = 1e-6


class EventLog:
    """Appends pairs of times to a file; every pair is there at once, whatever happens next."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, stamp_ns: int, time_ns: int) -> None:
        """Note one event."""
        os.write(self._file, _PAIR.pack(stamp_ns, time_ns))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_log(path: Path) -> Times:
    """Read a log; (N, 2), the stamp and the time of each event; (0, 2) without a file."""
    if not path.exists():
        return np.empty((0, 2), np.int64)
    content = path.read_bytes()
    whole = len(content) - len(content) % _PAIR.size
    return np.frombuffer(content[:whole], np.int64).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, in nanoseconds of the system clock."""

    begin_ns: int
    end_ns: int

    def contains(self, times: Times) -> npt.NDArray[np.bool_]:
        """Tell which times lie in it."""
        inside: npt.NDArray[np.bool_] = (times >= self.begin_ns) & (times < self.end_ns)
        return inside

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.begin_ns) * 1e-9


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went in and came out during a window.

    Attributes:
        frames: camera frames stamped in it.
        unanswered: of them, those that never got a mask.
        ages_ms: of the masks of the others, on arrival at the consumer.
        longest_gap_ms: between two masks, of which at least one arrived in the window.
        rate_hz: masks a second.
        seconds: length of the window.
    """

    frames: int
    unanswered: int
    ages_ms: npt.NDArray[np.float64]
    longest_gap_ms: float
    rate_hz: float
    seconds: float

    @property
    def unanswered_share(self) -> float:
        """Share 0-1 of the frames."""
        return self.unanswered / self.frames if self.frames else 0.0

    def age_ms(self, percentile: float) -> float:
        """Give a percentile of the ages; NaN without a mask."""
        return float(np.percentile(self.ages_ms, percentile)) if self.ages_ms.size else np.nan


class TrafficLogs:
    """The logs of one camera and one consumer, read when asked."""

    def __init__(self, camera: Path, consumer: Path) -> None:
        self.camera = camera
        self.consumer = consumer

    def masks(self) -> int:
        """Count the masks received so far."""
        return self.consumer.stat().st_size // _PAIR.size if self.consumer.exists() else 0

    def first_mask_after(self, time_ns: int) -> int | None:
        """Give the arrival of the first mask of a frame stamped after ``time_ns``, or None."""
        masks = read_log(self.consumer)
        arrivals = masks[masks[:, 0] >= time_ns, 1]
        return int(arrivals.min()) if arrivals.size else None

    def arrivals(self) -> Times:
        """Give stamp and arrival of every mask, (N, 2)."""
        return read_log(self.consumer)

    def traffic(self, window: Window) -> Traffic:
        """Compare both logs over a window; ask when the last mask of it must have come."""
        return compare(read_log(self.camera), read_log(self.consumer), window)


def compare(camera: Times, consumer: Times, window: Window) -> Traffic:
    """Match masks with frames by their stamps.

    Args:
        camera: (N, 2) stamp and time of publication.
        consumer: (M, 2) stamp and arrival.
        window: frames count by their stamp, gaps by the arrivals.
    """
    frames = camera[window.contains(camera[:, 0]), 0]
    masks = consumer[window.contains(consumer[:, 0])]
    ages_ms = ((masks[:, 1] - masks[:, 0]) * MS).astype(np.float64)
    arrivals = np.sort(consumer[:, 1])
    gaps = np.diff(arrivals)
    touching = window.contains(arrivals[1:]) | window.contains(arrivals[:-1])
    span_s = max(window.seconds, 1e-9)
    return Traffic(
        frames=int(frames.size),
        unanswered=int(np.count_nonzero(~np.isin(frames, masks[:, 0]))),
        ages_ms=ages_ms,
        longest_gap_ms=float(gaps[touching].max() * MS) if touching.any() else np.nan,
        rate_hz=float(np.count_nonzero(window.contains(arrivals)) / span_s),
        seconds=span_s,
    )


def complete(outputs: Sequence[Times]) -> Times:
    """Give stamp and last arrival of the frames of which every output arrived, (N, 2)."""
    stamps = np.unique(outputs[0][:, 0])
    for each in outputs[1:]:
        stamps = np.intersect1d(stamps, each[:, 0])
    arrivals = np.full(stamps.shape, np.iinfo(np.int64).min)
    for each in outputs:
        found, first = np.unique(each[:, 0], return_index=True)
        np.maximum(arrivals, each[first[np.isin(found, stamps)], 1], out=arrivals)
    return np.stack([stamps, arrivals], axis=1)


def merge(parts: list[Traffic]) -> Traffic:
    """Take several windows as one; the gap is the longest, the rate the mean."""
    return Traffic(
        frames=sum(part.frames for part in parts),
        unanswered=sum(part.unanswered for part in parts),
        ages_ms=np.concatenate([part.ages_ms for part in parts]),
        longest_gap_ms=max(part.longest_gap_ms for part in parts),
        rate_hz=float(np.mean([part.rate_hz for part in parts])),
        seconds=sum(part.seconds for part in parts),
    )
