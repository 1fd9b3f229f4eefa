"""How good masks are against ground truth: confusion matrix, IoU, accuracy."""

import math
from typing import Any

from edge_seg.core.values import LabelArray
import numpy as np
import numpy.typing as npt

BYTE_VALUES = 256


class ConfusionMatrix:
    """Counts pixels by true and predicted class, over any number of masks.

    A pixel whose truth is no class is left out. A pixel whose prediction is no class is a miss of
    its true class: a model gains nothing by not answering.

    Args:
        class_count: classes in the table.
    """

    def __init__(self, class_count: int) -> None:
        if class_count < 1:
            raise ValueError(f'{class_count} classes; at least one is needed')
        self._classes = class_count
        self._counts = np.zeros((class_count, class_count + 1), np.int64)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Pixels as [truth, prediction], (classes, classes + 1); the last column is no class."""
        return self._counts.copy()

    @property
    def pixels(self) -> int:
        """Number of pixels counted."""
        return int(self._counts.sum())

    def add(self, predicted: LabelArray, truth: LabelArray) -> None:
        """Count one mask.

        Args:
            predicted: (H, W) labels; anything outside the table is no class.
            truth: (H, W) labels; anything outside the table is left out.

        Raises:
            ValueError: the two have different shapes.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f'predicted is {predicted.shape}, truth is {truth.shape}')
        side = self._classes + 1
        # Few classes fit a pair into a byte: eight times less memory to walk than with intp.
        pair = np.uint8 if side * side <= BYTE_VALUES else np.intp
        codes = _limited(truth, self._classes, pair)
        codes *= side
        codes += _limited(predicted, self._classes, pair)
        counts = np.bincount(codes.reshape(-1), minlength=side * side)
        self._counts += counts.reshape(side, side)[: self._classes]

    def iou(self) -> npt.NDArray[np.float64]:
        """Return intersection over union per class; NaN for a class neither true nor predicted."""
        hits = np.diagonal(self._counts).astype(np.float64)
        union = self._counts.sum(axis=1) + self._counts[:, :-1].sum(axis=0) - hits
        iou = np.full(self._classes, np.nan)
        np.divide(hits, union, out=iou, where=union > 0)
        return iou

    def mean_iou(self) -> float:
        """Return the mean IoU of the classes that occur in truth or prediction; NaN for none."""
        iou = self.iou()
        present = iou[~np.isnan(iou)]
        return float(present.mean()) if present.size else math.nan

    def pixel_accuracy(self) -> float:
        """Return the share 0-1 of counted pixels that are right; NaN when none was counted."""
        total = self.pixels
        return float(np.trace(self._counts) / total) if total else math.nan


def _limited(labels: LabelArray, highest: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return ``labels`` with everything above ``highest`` replaced by it, a fresh array."""
    limit = min(highest, int(np.iinfo(labels.dtype).max))
    return np.minimum(labels, limit).astype(dtype)
