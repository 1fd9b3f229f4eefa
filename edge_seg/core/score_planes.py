"""A network's output, whatever its layout and type, as one plane of numbers per class."""

from typing import cast

import cv2
from edge_seg.core.values import AnyArray, ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import IncompatibleModel
import numpy as np
import numpy.typing as npt

ONE_CHANNEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)
"""Kinds whose single channel tells class 1 from class 0."""


class PlaneReader:
    """Gives outputs as (C, h, w): float32 scores, or labels in the type they come in."""

    def __init__(self, output: TensorSpec, kind: OutputKind, spec: ModelSpec) -> None:
        """Check the declared shape.

        Raises:
            IncompatibleModel: shape, layout, kind and number of classes contradict each other.
        """
        self._shape = _planes_shape(output, kind)
        self._channels_last = output.layout == 'NHWC' and self._shape[0] > 1
        self._is_labels = kind is OutputKind.LABELS
        self._check_classes(output, kind, len(spec.classes))
        self._converted = np.empty(0, np.float32)
        self._planes = np.empty((self._shape[0], self._shape[1] * self._shape[2]), np.float32)

    def read(self, tensor: AnyArray) -> AnyArray:
        """Return the planes, a view of ``tensor`` or of memory reused by the next call."""
        if self._is_labels:
            return tensor.reshape(self._shape)
        if tensor.dtype != np.float32:
            if self._converted.size != tensor.size:
                self._converted = np.empty(tensor.size, np.float32)
            np.copyto(self._converted, tensor.reshape(-1), casting='unsafe')
            tensor = self._converted
        scores = cast(npt.NDArray[np.float32], tensor)
        if self._channels_last:
            cv2.transpose(scores.reshape(-1, self._shape[0]), dst=self._planes)
            scores = self._planes
        return scores.reshape(self._shape)

    def _check_classes(self, output: TensorSpec, kind: OutputKind, classes: int) -> None:
        channels = self._shape[0]
        if kind is OutputKind.LABELS or kind in ONE_CHANNEL:
            wanted = 1
        else:
            wanted = classes
        if channels != wanted:
            raise IncompatibleModel(
                f'output {output.name} has {channels} channels ({output.layout} {output.shape})',
                expected=f'{wanted} for {kind.value} of {classes} classes',
                remedy='correct output.kind, output.layout or classes in the manifest',
            )
        if kind in ONE_CHANNEL and classes != 2:
            raise IncompatibleModel(
                f'{kind.value} output {output.name} with {classes} classes',
                expected='two classes',
                remedy='name both classes in the manifest: what 0 means, then what 1 means',
            )


def _planes_shape(output: TensorSpec, kind: OutputKind) -> tuple[int, int, int]:
    """Return (channels, height, width) of an output with a batch of one."""
    axes = {'NCHW': 4, 'NHWC': 4, 'NHW': 3, 'HW': 2}[output.layout]
    shape = output.shape
    batch_of_one = output.layout == 'HW' or shape[:1] == (1,)
    if len(shape) != axes or not batch_of_one or min(shape) < 1:
        raise IncompatibleModel(
            f'{kind.value} output {output.name} has shape {shape}',
            expected=f'{axes} axes, {output.layout}, a batch of one',
            remedy='correct output.layout in the manifest or export with a fixed batch of 1',
        )
    if output.layout == 'NCHW':
        return shape[1], shape[2], shape[3]
    if output.layout == 'NHWC':
        return shape[3], shape[1], shape[2]
    return 1, shape[-2], shape[-1]
