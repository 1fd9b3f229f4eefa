"""Cheap questions about outputs and masks, asked during warm-up and probation."""

from collections.abc import Iterable
import math
from typing import cast

import cv2
from edge_seg.core.values import AnyArray, LabelArray
import numpy as np
import numpy.typing as npt


def is_finite(outputs: Iterable[AnyArray]) -> bool:
    """Tell whether no output holds a NaN or an infinity; integer outputs never do."""
    return all(_array_is_finite(array) for array in outputs)


def has_nan(scores: AnyArray) -> bool:
    """Tell whether an array holds a NaN (infinities do not count; integers never do)."""
    if not np.issubdtype(scores.dtype, np.floating):
        return False
    if scores.dtype == np.float32 and not math.isnan(_sum_of_squares(scores)):
        return False
    return bool(np.isnan(scores).any())


def dominant_share(labels: LabelArray, *, stride: int = 4) -> float:
    """Return the share 0-1 of the most frequent label, sampled at every ``stride``-th pixel.

    A mask that is one class from edge to edge (1.0), frame after frame, is the mark of a model
    that sees nothing.
    """
    counts = np.bincount(labels[::stride, ::stride].reshape(-1))
    return float(counts.max() / counts.sum())


def _sum_of_squares(array: AnyArray) -> float:
    # NaN exactly when one of its terms is, in one pass and without a temporary: squares are not
    # negative, so infinities cannot cancel.
    return cv2.norm(cast(npt.NDArray[np.float32], array), cv2.NORM_L2SQR)


def _array_is_finite(array: AnyArray) -> bool:
    if not np.issubdtype(array.dtype, np.floating):
        return True
    if array.dtype == np.float32 and math.isfinite(_sum_of_squares(array)):
        return True
    return bool(np.isfinite(array).all())
