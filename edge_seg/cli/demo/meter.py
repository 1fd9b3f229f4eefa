"""Counts the masks that arrive in the demo: rate, age, mIoU against the camera's ground truth."""

from array import array
from collections import OrderedDict
from dataclasses import dataclass
import math

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import LabelArray
import numpy as np

WARM_UP_S = 1.0
"""Masks of the first second are not measured: processes and caches settle."""
TRUTHS_KEPT = 30
SCORE_EVERY = 6
"""Every so many masks are scored: enough for a figure, and next to no load."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds; NaN when there was no sample."""

    p50: float = math.nan
    p95: float = math.nan
    p99: float = math.nan


@dataclass(frozen=True, slots=True)
class Glance:
    """The last second: masks a second, their age, and the mIoU of everything scored so far."""

    fps: float
    age_ms: Percentiles
    miou: float


class MaskMeter:
    """Measures; for one thread. Times in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.received = 0
        self.scored = 0
        self.first_mask_s: float | None = None
        self._last_mask_s = -math.inf
        self._ages_ms = array('d')
        self._steady = 0
        self._steady_from_s: float | None = None
        self._glance_from = 0
        self._glanced_s = 0.0
        self._truths: OrderedDict[int, LabelArray] = OrderedDict()
        self._truths_seen = 0
        self._confusion: ConfusionMatrix | None = None
        self._unscored: tuple[int, LabelArray] = (-1, np.empty((0, 0), np.uint8))

    @property
    def truths_seen(self) -> bool:
        """Whether the camera publishes ground truth."""
        return self._truths_seen > 0

    def set_classes(self, count: int) -> None:
        """Begin to score with this many classes; what was scored with others is forgotten."""
        self._confusion = ConfusionMatrix(count)
        self.scored = 0

    def add_truth(self, stamp_ns: int, labels: LabelArray) -> None:
        """Keep the ground truth of a frame until its mask comes; old ones give way."""
        self._truths_seen += 1
        self._truths[stamp_ns] = labels
        if stamp_ns == self._unscored[0]:  # the mask was faster
            self._score(*self._unscored)
        while len(self._truths) > TRUTHS_KEPT:
            self._truths.popitem(last=False)

    def add_mask(self, stamp_ns: int, labels: LabelArray, *, age_ms: float, now_s: float) -> None:
        """Count one mask, and score it when its turn has come."""
        self.received += 1
        self._last_mask_s = now_s
        if self.first_mask_s is None:
            self.first_mask_s = self._glanced_s = now_s
        if now_s - self.first_mask_s >= WARM_UP_S:
            self._steady_from_s = self._steady_from_s or now_s
            self._steady += 1
        self._ages_ms.append(age_ms)
        if self.received % SCORE_EVERY == 1:
            self._score(stamp_ns, labels)

    def silent_s(self, now_s: float) -> float:
        """Give the seconds since the last mask; infinite before the first."""
        return now_s - self._last_mask_s

    def truth_of(self, stamp_ns: int) -> LabelArray | None:
        """Give the ground truth of a frame, None when there is none (any more)."""
        return self._truths.get(stamp_ns)

    def glance(self, now_s: float) -> Glance:
        """Give the figures since the last glance."""
        recent = self._ages_ms[self._glance_from :]
        elapsed_s = now_s - self._glanced_s
        fps = len(recent) / elapsed_s if elapsed_s > 0 else 0.0
        self._glance_from, self._glanced_s = len(self._ages_ms), now_s
        return Glance(fps, percentiles(recent), self.miou())

    def fps(self, now_s: float) -> float:
        """Masks a second from the end of the warm-up until now; 0 when that is still to come."""
        if self._steady_from_s is None or now_s <= self._steady_from_s:
            return 0.0
        return (self._steady - 1) / (now_s - self._steady_from_s)

    def age_ms(self) -> Percentiles:
        """Age of the masks after the warm-up; of all when there were no others."""
        return percentiles(self._ages_ms[len(self._ages_ms) - self._steady :] or self._ages_ms)

    def miou(self) -> float:
        """Mean IoU of everything scored; NaN when nothing was."""
        return math.nan if self._confusion is None else self._confusion.mean_iou()

    def iou(self) -> tuple[float, ...]:
        """IoU by class, NaN for those that did not occur; () when nothing was scored."""
        if self._confusion is None or not self.scored:
            return ()
        return tuple(float(value) for value in self._confusion.iou())

    def _score(self, stamp_ns: int, labels: LabelArray) -> None:
        truth = self._truths.get(stamp_ns)
        self._unscored = (stamp_ns, labels)
        if truth is None or self._confusion is None or truth.shape != labels.shape:
            return
        self._confusion.add(labels, truth)
        self.scored += 1


def percentiles(samples: 'array[float]') -> Percentiles:
    """Compute the percentiles of some milliseconds."""
    if not samples:
        return Percentiles()
    return Percentiles(*(float(value) for value in np.percentile(samples, (50, 95, 99))))
