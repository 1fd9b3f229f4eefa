"""Class ids that a network gives by itself: range check, ignore id, mask type."""

from typing import Any, cast, TypeAlias

from edge_seg.core.values import AnyArray, LabelArray, ModelSpec
from edge_seg.errors import InferenceFailed
import numpy as np
import numpy.typing as npt

IntegerArray: TypeAlias = 'npt.NDArray[np.integer[Any]]'  # NumPy 1.21 cannot subscript it


class LabelReader:
    """Turns ids of any number type into labels that the class table knows."""

    def __init__(self, name: str, spec: ModelSpec) -> None:
        self._name = name
        self._classes = len(spec.classes)
        self._ignore_id = spec.output.ignore_id
        self._dtype = np.dtype(spec.label_dtype)
        self._unlabelled = self._dtype.type(spec.unlabelled)

    def read(self, ids: AnyArray) -> LabelArray:
        """Check one map of ids.

        Args:
            ids: (h, w), any integer type, or floats that are whole numbers (OpenCV 4 gives its
                argmax as float32).

        Returns:
            (h, w) of the mask's dtype; ``ids`` itself when nothing had to change.

        Raises:
            InferenceFailed: an id is neither in the class table nor the ignore id. A mask made of
                it would send a robot somewhere.
        """
        whole = self._whole(ids)
        lowest, highest = int(whole.min()), int(whole.max())
        if lowest >= 0 and highest < self._classes:
            labels: LabelArray = whole.astype(self._dtype, copy=False)
            if not self._ignores_a_class():
                return labels
            return np.where(labels == self._ignore_id, self._unlabelled, labels)
        ignored = whole == self._ignore_id
        foreign = ~ignored & ((whole < 0) | (whole >= self._classes))
        if foreign.any():
            raise InferenceFailed(
                f'output {self._name} holds label {int(whole[foreign][0])}',
                expected=f'0 to {self._classes - 1}' + self._or_ignored(),
                remedy='correct classes or output.ignore_id in the manifest',
            )
        known: LabelArray = whole.astype(self._dtype)
        known[ignored] = self._unlabelled
        return known

    def ignore(self, labels: LabelArray) -> LabelArray:
        """Replace the ignore id by the unlabelled value, in place."""
        if self._ignores_a_class():
            np.copyto(labels, self._unlabelled, where=labels == self._ignore_id)
        return labels

    def _ignores_a_class(self) -> bool:
        return self._ignore_id is not None and 0 <= self._ignore_id < self._classes

    def _or_ignored(self) -> str:
        return '' if self._ignore_id is None else f' or {self._ignore_id} for no class'

    def _whole(self, ids: AnyArray) -> IntegerArray:
        if ids.dtype == np.bool_:
            return ids.view(np.uint8)
        if not np.issubdtype(ids.dtype, np.floating):
            return cast(IntegerArray, ids)
        with np.errstate(invalid='ignore'):
            whole = ids.astype(np.int64)
        if (whole != ids).any():
            raise InferenceFailed(
                f'label output {self._name} holds numbers that are not whole',
                expected='class ids',
                remedy='correct output.kind in the manifest',
            )
        return whole
