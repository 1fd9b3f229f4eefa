"""From a network's output to a label mask, and its confidence, at camera size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
import math

import cv2
from edge_seg.core.checks import has_nan
from edge_seg.core.geometry import (
    GeometryPlan,
    labels_to_camera,
    LabelT,
    place_in_camera,
    scores_to_camera,
)
from edge_seg.core.label_output import LabelReader
from edge_seg.core.score_planes import ONE_CHANNEL, PlaneReader
from edge_seg.core.values import (
    AnyArray,
    LabelArray,
    ModelSpec,
    OutputKind,
    TensorSpec,
    UInt8Array,
)
from edge_seg.core.winner import RunningWinner, Scratch, SoftmaxShare, strips, to_confidence
from edge_seg.errors import InferenceFailed
import numpy as np
import numpy.typing as npt

FloatPlane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelMask:
    """A mask at camera size.

    Attributes:
        labels: (H, W) uint8, or uint16 above 255 classes; 255 / 65535 = no class.
        confidence: (H, W) uint8, the winner's probability times 255; 0 where there is no class.
    """

    labels: LabelArray
    confidence: UInt8Array


class Postprocessor:
    """Turns outputs into masks; keeps its scratch memory from frame to frame.

    With ``resample: labels`` the winner is taken in the output's resolution and scaled by nearest
    neighbour; with ``logits`` the scores are scaled bilinearly first. Not thread-safe: one worker
    calls it.
    """

    def __init__(self, output: TensorSpec, kind: OutputKind, spec: ModelSpec) -> None:
        """Check the output against the model.

        Args:
            output: the tensor as the compiled model gives it.
            kind: its meaning as the compiled model gives it (LABELS after an in-graph argmax).
            spec: classes, threshold, ignore id and resampling. The ignore id holds for the
                winners of score outputs too, so that a mask does not depend on where the argmax
                is taken.

        Raises:
            IncompatibleModel: the output cannot be what it is declared to be.
        """
        self._shape = output.shape
        self._name = output.name
        self._kind = kind
        self._planes = PlaneReader(output, kind, spec)
        self._labels = LabelReader(output.name, spec)
        self._unlabelled = spec.unlabelled
        self._ignores = spec.output.ignore_id is not None
        self._smooth = spec.output.resample == 'logits' and kind is not OutputKind.LABELS
        self._threshold = _threshold(spec.output.threshold, kind)
        self._winner = RunningWinner()
        self._share = SoftmaxShare()
        self._small = Scratch(spec.label_dtype)
        self._certainty = Scratch(np.uint8)
        self._scaled = Scratch(np.float32)

    @property
    def has_confidence(self) -> bool:
        """False for label outputs: the winner's score never leaves the network."""
        return self._kind is not OutputKind.LABELS

    def labels(
        self, tensor: AnyArray, plan: GeometryPlan, *, out: LabelArray | None = None
    ) -> LabelArray:
        """Make the mask of one frame.

        Args:
            tensor: the network's output; read only during the call, never kept.
            plan: the plan that the network's input was made with.
            out: (camera height, camera width) of ``spec.label_dtype``, C-contiguous; written to
                and returned when given.

        Returns:
            ``out`` or a fresh array; either belongs to the caller and is never touched again.

        Raises:
            InferenceFailed: the tensor has another shape than declared, holds NaN, or holds
                labels outside the class table.
            ValueError: ``out`` has another shape or dtype.
        """
        planes = self._read(tensor)
        return self._to_camera(self._decide(planes, plan), plan, self._unlabelled, out)

    def labels_and_confidence(
        self,
        tensor: AnyArray,
        plan: GeometryPlan,
        *,
        out: LabelArray | None = None,
        confidence_out: UInt8Array | None = None,
    ) -> LabelMask:
        """Make the mask of one frame with the probability of each pixel's winner.

        Args, ownership and errors are those of ``labels``.

        Raises:
            ValueError: ``has_confidence`` is False.
        """
        if not self.has_confidence:
            raise ValueError(f'output {self._name} holds labels; there is no confidence in it')
        planes = self._read(tensor)
        certainty: UInt8Array = self._certainty.of(self._resolution(planes, plan))
        winners = self._decide(planes, plan, certainty)
        if self._ignores:
            certainty[winners == self._unlabelled] = 0
        labels = self._to_camera(winners, plan, self._unlabelled, out)
        return LabelMask(labels, self._to_camera(certainty, plan, 0, confidence_out))

    def _read(self, tensor: AnyArray) -> AnyArray:
        """Check one output and give it as planes, (C, h, w)."""
        if tensor.shape != self._shape:
            raise InferenceFailed(
                f'output {self._name} has shape {tensor.shape}', expected=f'{self._shape}'
            )
        planes = self._planes.read(tensor)
        if has_nan(planes):
            raise InferenceFailed(
                f'output {self._name} holds NaN',
                remedy='the model is damaged, or overflows at this precision (try fp32)',
            )
        return planes

    def _decide(
        self, planes: AnyArray, plan: GeometryPlan, certainty: UInt8Array | None = None
    ) -> LabelArray:
        """Return the winners, in the output's resolution or in that of the camera ROI.

        Args:
            planes: (C, h, w).
            plan: geometry of the frame.
            certainty: of the winners' size; receives their probabilities times 255.
        """
        if self._kind is OutputKind.LABELS:
            return self._labels.read(planes[0])
        size = self._resolution(planes, plan)
        winners: LabelArray = self._small.of(size)
        if self._smooth:
            # Scaled one by one: all of them at camera size would be a lot of memory.
            self._take(partial(self._scaled_planes, planes, plan), winners, certainty)
        else:
            for rows in strips(*size):
                confidence = None if certainty is None else certainty[rows]
                self._take(partial(iter, planes[:, rows]), winners[rows], confidence)
        return self._labels.ignore(winners)

    def _resolution(self, planes: AnyArray, plan: GeometryPlan) -> tuple[int, int]:
        """Give (height, width) of the winners."""
        if self._smooth:
            return plan.camera_roi.height, plan.camera_roi.width
        return planes.shape[1], planes.shape[2]

    def _scaled_planes(self, planes: AnyArray, plan: GeometryPlan) -> Iterator[FloatPlane]:
        """Give each plane in the resolution of the camera; valid until the next one."""
        scaled: FloatPlane = self._scaled.of(self._resolution(planes, plan))
        for plane in planes:
            yield scores_to_camera(plane, plan, out=scaled)

    def _take(
        self,
        planes: Callable[[], Iterator[FloatPlane]],
        winners: LabelArray,
        certainty: UInt8Array | None,
    ) -> None:
        """Write the winners of some rows, and their probabilities times 255."""
        if self._kind in ONE_CHANNEL:
            plane = next(planes())
            np.greater_equal(plane, self._threshold, out=winners.view(np.bool_))
            if certainty is not None:
                to_confidence(self._share_of_two(plane, winners), out=certainty)
            return
        best = self._winner.find(planes(), winners)
        if certainty is not None and self._kind is OutputKind.LOGITS:
            self._share.confidence(planes(), best, out=certainty)
        elif certainty is not None:
            to_confidence(best, out=certainty)

    def _share_of_two(self, plane: FloatPlane, winners: LabelArray) -> FloatPlane:
        """Give the probability of the winner where one channel tells class 1 from class 0."""
        if self._kind is OutputKind.SIGMOID:
            return np.where(winners == 1, plane, 1 - plane)
        # sigmoid(-x) = 1 - sigmoid(x); exp may overflow to inf, which divides to 0.
        rising = cv2.exp(np.where(winners == 1, -plane, plane))
        return np.float32(1) / (np.float32(1) + rising)

    def _to_camera(
        self, winners: LabelT, plan: GeometryPlan, unseen: int, out: LabelT | None
    ) -> LabelT:
        """Bring labels or confidence to camera size, into ``out`` or a fresh array."""
        if not self._smooth:
            return labels_to_camera(winners, plan, unlabelled=unseen, out=out)
        return place_in_camera(winners, plan, unlabelled=unseen, out=out)


def _threshold(probability: float, kind: OutputKind) -> np.float32:
    """Return the value of the network's output from which a pixel is class 1."""
    if kind is not OutputKind.SIGMOID_LOGITS:
        return np.float32(probability)
    if not 0 < probability < 1:
        return np.float32(math.inf if probability >= 1 else -math.inf)
    return np.float32(math.log(probability / (1 - probability)))
