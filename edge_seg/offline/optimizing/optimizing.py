"""From a model to a smaller, faster version of it: converted, compared, published."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
import time

from edge_seg.core.values import LabelArray
from edge_seg.errors import AccuracyLost, StoreError
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.offline.evaluation.frames import (
    Frame,
    FrameRequest,
    FrameSet,
    good_frames,
    open_frames,
)
from edge_seg.offline.evaluation.running import (
    artifact_bytes,
    AS_THE_NODE,
    running_model,
    RunOptions,
)
from edge_seg.offline.evaluation.scoring import labels_fit
from edge_seg.offline.optimizing.calibration import calibrate, Calibration
from edge_seg.offline.optimizing.comparing import compare_models, Comparison
from edge_seg.offline.optimizing.conversion import Converted, has_onnx, to_fp16, to_int8
from edge_seg.offline.optimizing.description import next_version, provenance_of, write_package
from edge_seg.offline.optimizing.judging import accuracy_bound, AccuracyBound
from edge_seg.offline.optimizing.results import (
    ArtifactSize,
    CalibrationFacts,
    OptimizationResult,
    Target,
)

CALIBRATION_SEED = 1_500_000
"""Scenes to calibrate on; others than those that ``FrameRequest`` evaluates on."""
JUDGED_FRAMES = 60
"""Frames for every trial of the accuracy-aware search, which makes many."""
NO_CALIBRATION = CalibrationFacts(data='', frames=0, bad=())
OnStep = Callable[[str, int, int], None]
"""Told what is being done, and how far it is: done and in all, 0 and 0 when that is not known."""


def tell_nobody(step: str, done: int, total: int) -> None:
    """Keep it to oneself."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """What is wanted.

    Attributes:
        precision: 'fp16' or 'int8'.
        calibration: frames to take the ranges of INT8 from.
        data: frames to compare original and result on; with labels the accuracy shows.
        version: to publish as; '' = the next one.
        max_drop: points of mean IoU that may be lost; None = any. Above it layers are left in
            floating point, and if that does not do, nothing is published.
        options: on what the two are compared.
    """

    precision: Target = 'int8'
    calibration: FrameRequest = field(default=FrameRequest(count=300, seed=CALIBRATION_SEED))
    data: FrameRequest = field(default=FrameRequest(count=100))
    version: str = ''
    max_drop: float | None = None
    options: RunOptions = AS_THE_NODE


def optimize(
    stores: LayeredStore, model: str, request: OptimizeRequest, *, on_step: OnStep = tell_nobody
) -> OptimizationResult:
    """Make an optimised version of a model and publish it, whole or not at all.

    Args:
        stores: where the model is looked up; it is published into ``stores.own``.
        model: name, name@version or path.
        request: what is wanted.
        on_step: told how it goes.

    Raises:
        AccuracyLost: more than ``max_drop`` points are lost; nothing is published.
        SourceUnavailable: frames to calibrate or compare with cannot be used.
        BackendUnavailable: NNCF or another tool is missing.
        CompileFailed, IncompatibleModel: the network cannot be optimised.
        ModelRejected: original or result does not run.
        ModelNotFound, ManifestInvalid, IntegrityError, StoreError: as the store says.
    """
    begin_s = time.monotonic()
    original = stores.resolve(model)
    verify_artifacts(original)
    version = _free_version(stores, original, request.version)
    data = open_frames(request.data)
    with TemporaryDirectory(prefix='edge_seg_optimize_') as scratch:
        work = _Work(stores, original, request, data, version, Path(scratch), on_step)
        calibration = work.calibration()
        attempt = work.attempt(calibration, None)
        if work.too_far(attempt.comparison) and calibration is not None and has_onnx(original):
            attempt = work.attempt(calibration, work.bound())
        if work.too_far(attempt.comparison):
            raise _lost(original, attempt.comparison, request.max_drop)
        on_step('publishing', 0, 0)
        published = stores.own.publish(work.described(attempt, calibration))
    return _result(work, attempt, calibration, published, time.monotonic() - begin_s)


@dataclass(frozen=True, slots=True)
class _Attempt:
    folder: Path
    converted: Converted
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class _Work:
    """One optimisation under way."""

    stores: LayeredStore
    original: ModelPackage
    request: OptimizeRequest
    data: FrameSet
    version: str
    scratch: Path
    on_step: OnStep

    def calibration(self) -> Calibration | None:
        """See what the network sees; None for FP16, which needs none."""
        if self.request.precision == 'fp16':
            return None
        frames = open_frames(self.request.calibration)
        spec = self.original.manifest.spec.input
        return calibrate(spec, frames, progress=self._steps('calibrating'))

    def attempt(self, calibration: Calibration | None, bound: AccuracyBound | None) -> _Attempt:
        """Convert into a folder of its own and compare with the original."""
        folder = self.scratch / ('plain' if bound is None else 'bounded')
        folder.mkdir()
        self.on_step('converting' if bound is None else 'looking for layers to spare', 0, 0)
        if calibration is None:
            converted = to_fp16(self.original, folder)
        else:
            converted = to_int8(self.original, calibration, folder, bound=bound)
        candidate = self._package(folder, converted, calibration, None)
        comparison = compare_models(
            self.stores,
            (self.original, candidate),
            self.data,
            options=self.request.options,
            progress=self._steps('comparing'),
        )
        return _Attempt(folder, converted, comparison)

    def bound(self) -> AccuracyBound:
        """Prepare frames with known masks: ground truth, or what the original makes of them."""
        frames = open_frames(self.request.data)
        spec = self.original.manifest.spec
        with running_model(self.stores, self.original, self.request.options) as running:
            count = len(spec.classes) if labels_fit(frames, spec) else 0

            def known() -> Iterator[tuple[Frame, LabelArray]]:
                step = max(1, frames.total // JUDGED_FRAMES)
                for number, frame in enumerate(good_frames(frames, count, bad=[], limit=0.0)):
                    if number % step == 0:
                        truth = frame.labels
                        yield frame, running.segment(frame.image) if truth is None else truth

            drop = (self.request.max_drop or 0.0) / 100
            return accuracy_bound(spec, known(), max_drop=drop)

    def too_far(self, comparison: Comparison) -> bool:
        """Say whether more is lost than is allowed."""
        drop = comparison.miou_drop
        return self.request.max_drop is not None and (drop is None or drop > self.request.max_drop)

    def described(self, attempt: _Attempt, calibration: Calibration | None) -> Path:
        """Write the manifest once more, with what was measured, and give the folder."""
        self._package(attempt.folder, attempt.converted, calibration, attempt.comparison)
        return attempt.folder

    def _package(
        self,
        folder: Path,
        converted: Converted,
        calibration: Calibration | None,
        comparison: Comparison | None,
    ) -> ModelPackage:
        provenance = provenance_of(
            self.original,
            converted,
            precision=self.request.precision,
            calibration=facts(calibration),
            comparison=comparison,
        )
        return write_package(
            self.original, converted, folder, version=self.version, provenance=provenance
        )

    def _steps(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.on_step(name, done, total)


def facts(calibration: Calibration | None) -> CalibrationFacts:
    """Say what was calibrated on."""
    if calibration is None:
        return NO_CALIBRATION
    return CalibrationFacts(
        data=calibration.description, frames=len(calibration.pixels), bad=calibration.bad
    )


def _free_version(stores: LayeredStore, original: ModelPackage, wanted: str) -> str:
    name = original.manifest.spec.name
    version = wanted or next_version(stores, original)
    if (stores.own.root / name / version).exists():
        raise StoreError(
            f'{name}@{version} is in the store already',
            expected='a new version: a published one never changes',
        )
    return version


def _lost(original: ModelPackage, comparison: Comparison, max_drop: float | None) -> AccuracyLost:
    drop = comparison.miou_drop
    lost = 'nothing could be compared' if drop is None else f'{drop:.2f} points of mIoU are lost'
    return AccuracyLost(
        f'{original.identity}: {lost}',
        expected=f'at most {max_drop:g}; nothing is published',
        remedy='calibrate on more frames like those of the robot, or allow more with --max-drop',
    )


def _result(
    work: _Work,
    attempt: _Attempt,
    calibration: Calibration | None,
    published: ModelPackage,
    elapsed_s: float,
) -> OptimizationResult:
    compared = attempt.comparison
    before, after = compared.original, compared.optimized
    run = replace(after.run, model_sha256=published.manifest_sha256)
    return OptimizationResult(
        precision=work.request.precision,
        original=before,
        optimized=replace(after, run=run),
        artifacts=_sizes(work.original, published, before.run.size_bytes),
        calibration=facts(calibration),
        data=work.data.description,
        frames=compared.frames,
        agreement=compared.agreement,
        agreement_miou=compared.agreement_miou,
        miou_drop=compared.miou_drop,
        size_ratio=after.run.size_bytes / before.run.size_bytes,
        infer_ratio=after.infer.p50_ms / before.infer.p50_ms,
        total_ratio=after.total.p50_ms / before.total.p50_ms,
        kept=attempt.converted.kept,
        elapsed_s=elapsed_s,
    )


def _sizes(
    original: ModelPackage, published: ModelPackage, main_bytes: int
) -> tuple[ArtifactSize, ...]:
    sizes = []
    for artifact in published.manifest.artifacts:
        same = original.manifest.artifact(artifact.format)
        before = main_bytes if same is None else artifact_bytes(original, same)
        size = artifact_bytes(published, artifact)
        sizes.append(
            ArtifactSize(format=artifact.format.value, size_bytes=size, share=size / before)
        )
    return tuple(sizes)
