"""Cheap questions about outputs and masks, asked during warm-up and probation."""

from collections.abc import Iterable
import math

import cv2
import numpy as np

from edge_seg.core.values import AnyArray
from edge_seg.core.values import LabelArray


def is_finite(outputs: Iterable[AnyArray]) -> bool:
    """Tell whether no output holds a NaN or an infinity; integer outputs never do."""
    return all(_array_is_finite(array) for array in outputs)


def has_nan(scores: AnyArray) -> bool:
    """Tell whether a float array holds a NaN (infinities do not count)."""
    # A sum of squares is NaN exactly when one of its terms is: one pass, no temporary.
    if scores.dtype == np.float32 and not math.isnan(cv2.norm(scores, cv2.NORM_L2SQR)):
        return False
    return bool(np.isnan(scores).any())


def dominant_share(labels: LabelArray, *, stride: int = 4) -> float:
    """Return the share 0-1 of the most frequent label, sampled at every ``stride``-th pixel.

    A mask that is one class from edge to edge (1.0), frame after frame, is the mark of a model
    that sees nothing.
    """
    counts = np.bincount(labels[::stride, ::stride].reshape(-1))
    return float(counts.max() / counts.sum())


def _array_is_finite(array: AnyArray) -> bool:
    if not np.issubdtype(array.dtype, np.floating):
        return True
    if array.dtype == np.float32 and math.isfinite(cv2.norm(array, cv2.NORM_L2SQR)):
        return True
    return bool(np.isfinite(array).all())
