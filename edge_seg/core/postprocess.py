"""From a network's output to a label mask, and its confidence, at camera size."""

from dataclasses import dataclass
from typing import Optional

from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.values import AnyArray
from edge_seg.core.values import LabelArray
from edge_seg.core.values import ModelSpec
from edge_seg.core.values import OutputKind
from edge_seg.core.values import TensorSpec
from edge_seg.core.values import UInt8Array


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

    Not thread-safe: one worker calls it.
    """

    def __init__(self, output: TensorSpec, kind: OutputKind, spec: ModelSpec) -> None:
        """Check the output against the model.

        Args:
            output: the tensor as the compiled model gives it.
            kind: its meaning as the compiled model gives it (LABELS after an in-graph argmax).
            spec: classes, threshold, ignore id and resampling.

        Raises:
            IncompatibleModel: the output cannot be what it is declared to be.
        """

    @property
    def has_confidence(self) -> bool:
        """False for label outputs: the winner's score never leaves the network."""

    def labels(
        self, tensor: AnyArray, plan: GeometryPlan, *, out: Optional[LabelArray] = None
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
        """

    def labels_and_confidence(
        self,
        tensor: AnyArray,
        plan: GeometryPlan,
        *,
        out: Optional[LabelArray] = None,
        confidence_out: Optional[UInt8Array] = None,
    ) -> LabelMask:
        """Make the mask of one frame with the probability of each pixel's winner.

        Args, ownership and errors are those of ``labels``.

        Raises:
            ValueError: ``has_confidence`` is False.
        """
