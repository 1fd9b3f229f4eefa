"""The score of a network's raw outputs on known frames, for accuracy-aware quantisation."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_seg.core.geometry import GeometryPlan, plan_geometry
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import AnyArray, LabelArray, ModelSpec, TensorSpec, UInt8Array
from edge_seg.offline.evaluation.frames import Frame
import numpy as np


@dataclass(frozen=True, slots=True)
class KnownFrame:
    """A frame with the mask that it should get.

    Attributes:
        pixels: resized to the network's input, (1, H, W, C) uint8, in its colour order.
        plan: how its mask comes back to the camera's size.
        truth: (camera H, camera W) labels.
    """

    pixels: UInt8Array
    plan: GeometryPlan
    truth: LabelArray


@dataclass(frozen=True, slots=True)
class AccuracyBound:
    """How much worse a network may become, and on what it is judged.

    Attributes:
        max_drop: of the mean IoU, 0-1.
        frames: what it is judged on.
        spec: what the manifest declares.
    """

    max_drop: float
    frames: tuple[KnownFrame, ...]
    spec: ModelSpec

    def score(self, answers: Iterable[tuple[KnownFrame, AnyArray]]) -> tuple[float, list[float]]:
        """Score frames by the network's outputs for them: mean IoU of all, and of each."""
        everything = ConfusionMatrix(len(self.spec.classes))
        each: list[float] = []
        for frame, output in answers:
            mask = self._mask(frame, output)
            everything.add(mask, frame.truth)
            alone = ConfusionMatrix(len(self.spec.classes))
            alone.add(mask, frame.truth)
            each.append(alone.mean_iou())
        return everything.mean_iou(), each

    def _mask(self, frame: KnownFrame, output: AnyArray) -> LabelArray:
        declared = self.spec.output
        shape = (1,) * (len(declared.layout) - output.ndim) + output.shape
        tensor = TensorSpec(declared.name, shape, str(output.dtype), declared.layout)
        postprocess = Postprocessor(tensor, declared.kind, self.spec)
        return postprocess.labels(output.reshape(shape), frame.plan)


def accuracy_bound(
    spec: ModelSpec, frames: Iterable[tuple[Frame, LabelArray]], *, max_drop: float
) -> AccuracyBound:
    """Prepare frames for judging networks.

    Args:
        spec: what the manifest declares.
        frames: frames, each with the mask that it should get.
        max_drop: how much worse the mean IoU may become, 0-1.
    """
    shape = (1, spec.input.size.height, spec.input.size.width, spec.input.channels)
    resize = Preprocessor(spec.input, TensorSpec(spec.input.name, shape, 'uint8', 'NHWC'))
    known = []
    for frame, truth in frames:
        plan = plan_geometry(frame.image.size, spec.input.size, spec.input.resize)
        known.append(KnownFrame(np.array(resize(frame.image, plan), np.uint8), plan, truth))
    return AccuracyBound(max_drop, tuple(known), spec)
