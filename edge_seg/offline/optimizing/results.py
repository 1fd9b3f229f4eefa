"""What optimising a model comes to; every value is one that JSON knows."""

from dataclasses import dataclass
from typing import Literal

from edge_seg.offline.evaluation.results import ClassScore, Latency, ModelRun

Target = Literal['fp16', 'int8']


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSize:
    """One artifact of the optimised model.

    Attributes:
        format: 'openvino_ir' or 'onnx'.
        size_bytes: of all its files.
        share: of the size of the original's artifact.
    """

    format: str
    size_bytes: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The original or the optimised model, on the same frames in the same run.

    Attributes:
        run: the model as it ran.
        miou: against ground truth, 0-1; None when the frames have none.
        classes: against ground truth; empty when the frames have none.
        infer: latency of the network alone; the two models took turns.
        total: latency from the decoded frame to the mask.
        energy_j: joules a frame; None where the platform does not tell.
    """

    run: ModelRun
    miou: float | None
    classes: tuple[ClassScore, ...]
    infer: Latency
    total: Latency
    energy_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFacts:
    """From which frames the ranges of INT8 were taken.

    Attributes:
        data: the frames in words; '' for FP16, which needs none.
        frames: how many were used.
        bad: those that could not be read, each 'name: why'.
    """

    data: str
    frames: int
    bad: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizationResult:
    """An optimised model beside its original.

    Attributes:
        precision: what was asked for.
        original: the model that was optimised.
        optimized: what came of it; ``run.model`` is the version that was published.
        artifacts: its artifacts.
        calibration: the frames that INT8 was calibrated on.
        data: the frames that the two were compared on, in words.
        frames: how many they are.
        agreement: share 0-1 of pixels with the same label as the original.
        agreement_miou: mean IoU 0-1 of the masks, the original's taken for true.
        miou_drop: original minus optimised in points (0-100), against ground truth, or against
            the original's masks when the frames have none.
        size_ratio: optimised / original, of the artifacts that ran.
        infer_ratio: optimised / original, medians of the network alone.
        total_ratio: optimised / original, medians of decoded frame to mask.
        kept: layers left in floating point to keep the accuracy.
        elapsed_s: of everything.
    """

    precision: Target
    original: Side
    optimized: Side
    artifacts: tuple[ArtifactSize, ...]
    calibration: CalibrationFacts
    data: str
    frames: int
    agreement: float
    agreement_miou: float | None
    miou_drop: float | None
    size_ratio: float
    infer_ratio: float
    total_ratio: float
    kept: tuple[str, ...]
    elapsed_s: float
