"""What evaluating, comparing and profiling models comes to; every value is one that JSON knows."""

from dataclasses import asdict, dataclass
import math
from typing import Any

from edge_seg.backends.layer_profile import LayerTime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """A model as it ran.

    Attributes:
        model: ``name@version``.
        model_sha256: digest of its manifest, which names those of all its files.
        backend: registry name, e.g. 'openvino'.
        backend_version: version of the SDK.
        device: full name, e.g. 'CPU (Intel Xeon ...)'.
        precision: of the computation, e.g. 'int8'.
        format: of what was run, e.g. 'openvino_ir', or 'tensorrt_engine' for one that was built
            from the artifact.
        size_bytes: of all its files.
    """

    model: str
    model_sha256: str
    backend: str
    backend_version: str
    device: str
    precision: str
    format: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds a frame: the median, and what 95 % of the frames keep."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class.

    Attributes:
        name: as in the manifest.
        iou: intersection over union 0-1; None when it is neither true nor predicted anywhere.
        pixels: how many truly are of this class.
    """

    name: str
    iou: float | None
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """How good a model is on some frames.

    Attributes:
        run: the model as it ran.
        data: the frames in words, e.g. 'synthetic 640x480, seed 2000000'.
        truth: 'labels', or the ``name@version`` whose masks stood in for them.
        frames: how many were scored.
        pixels: how many were compared.
        miou: mean IoU 0-1 of the classes that occur; None when no pixel was compared.
        pixel_accuracy: share 0-1 of the compared pixels that are right; None likewise.
        classes: in the order of their ids.
        confusion: pixels as [truth][prediction]; the last column is 'no class'.
        infer: latency of the network alone.
        total: latency from the decoded frame to the mask.
        energy_j: joules a frame; None where the platform does not tell.
    """

    run: ModelRun
    data: str
    truth: str
    frames: int
    pixels: int
    miou: float | None
    pixel_accuracy: float | None
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    infer: Latency
    total: Latency
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class FrameAgreement:
    """One frame seen by two models: its name, and the share 0-1 of pixels with the same label."""

    frame: str
    agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityResult:
    """How far two models, or one in two ways, give the same masks.

    Attributes:
        a: the first.
        b: the second.
        data: the frames in words.
        frames: how many were compared.
        agreement: share 0-1 of all pixels with the same label.
        miou: mean IoU 0-1 of the masks of b, those of a taken for true; None without classes.
        each: every frame, in the order of the frames.
        worst: frames in which they agree least, the worst first.
        pictures: files with the pictures of ``worst``, in their order; may be empty.
        a_total: latency of a from the decoded frame to the mask.
        b_total: that of b.
        a_energy_j: joules that a takes for a frame; None where the platform does not tell.
        b_energy_j: that of b.
    """

    a: ModelRun
    b: ModelRun
    data: str
    frames: int
    agreement: float
    miou: float | None
    each: tuple[FrameAgreement, ...]
    worst: tuple[FrameAgreement, ...]
    pictures: tuple[str, ...]
    a_total: Latency
    b_total: Latency
    a_energy_j: float | None = None
    b_energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class StageLatency:
    """One stage of the frame path: 'decode', 'preprocess', 'infer', 'postprocess' or 'total'."""

    stage: str
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Resident memory of this process in bytes, and of the GPU where there is one.

    Attributes:
        before: before the backend's SDK was loaded.
        sdk: with the SDK, without a model.
        loaded: with the model, compiled and warm.
        running: after the frames.
    """

    before: int
    sdk: int
    loaded: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult:
    """Where the time and the memory of a model go.

    Attributes:
        run: the model as it ran.
        data: the frames in words.
        frames: how many were timed.
        load_ms: to verify, compile and warm the model.
        stages: of the frame path from the camera's message on, 'total' last.
        total: latency from the decoded frame to the mask, as the other results have it.
        layers: slowest first; empty when the backend does not tell.
        layers_note: why there are no layers or no times; '' when there are.
        memory: of this process.
        energy_j: joules a frame; None where the platform does not tell.
    """

    run: ModelRun
    data: str
    frames: int
    load_ms: float
    stages: tuple[StageLatency, ...]
    total: Latency
    layers: tuple[LayerTime, ...]
    layers_note: str
    memory: MemoryUse
    energy_j: float | None = None


def as_document(result: Any) -> dict[str, Any]:
    """Return a result as the mapping that becomes JSON; a number that is none becomes None."""
    document: dict[str, Any] = _plain(asdict(result))
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
