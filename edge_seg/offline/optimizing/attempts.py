"""Attempts at optimising a model: convert, compare, and once more with layers spared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import math
from pathlib import Path

from edge_seg.core.values import LabelArray
from edge_seg.errors import AccuracyLost, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.offline.evaluation.frames import (
    Frame,
    FrameRequest,
    FrameSet,
    good_frames,
    open_frames,
)
from edge_seg.offline.evaluation.running import running_model, RunOptions
from edge_seg.offline.evaluation.scoring import labels_fit
from edge_seg.offline.optimizing.calibration import calibrate, Calibration
from edge_seg.offline.optimizing.comparing import compare_models, Comparison
from edge_seg.offline.optimizing.conversion import Converted, to_fp16, to_int8
from edge_seg.offline.optimizing.description import provenance_of, write_package
from edge_seg.offline.optimizing.judging import accuracy_bound, AccuracyBound
from edge_seg.offline.optimizing.results import CalibrationFacts, Target

CALIBRATION_SEED = 1_500_000
"""Scenes to calibrate on; others than those that ``FrameRequest`` evaluates on."""
JUDGED_FRAMES = 60
"""Most frames for every trial of the accuracy-aware search, which makes many."""
IN_FP32 = RunOptions()
READING = 'reading frames'
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
        options: on what the two are compared; what is not quantised computes in FP32, also where
            a node would take the device's own precision.
    """

    precision: Target = 'int8'
    calibration: FrameRequest = field(default=FrameRequest(count=300, seed=CALIBRATION_SEED))
    data: FrameRequest = field(default=FrameRequest(count=100))
    version: str = ''
    max_drop: float | None = None
    options: RunOptions = IN_FP32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A converted model that was compared with its original."""

    folder: Path
    converted: Converted
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Attempts:
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
        frames = open_frames(self.request.calibration, progress=self._steps(READING))
        spec = self.original.manifest.spec.input
        return calibrate(spec, frames, progress=self._steps('calibrating'))

    def best(self, calibration: Calibration | None) -> Attempt:
        """Convert everything; where that loses too much and a bound was set, spare some layers.

        Raises:
            AccuracyLost: the result is too far from the original, or does not work at all.
        """
        may_spare = self.request.max_drop is not None and calibration is not None
        try:
            attempt = self.attempt(calibration, None)
            if may_spare and self.too_far(attempt.comparison):
                attempt = self.attempt(calibration, self.bound())
        except ModelRejected as useless:
            if not may_spare:
                raise _useless(self.original, useless, self.request.precision) from useless
            attempt = self.attempt(calibration, self.bound())
        if self.too_far(attempt.comparison):
            raise _lost(self.original, attempt.comparison, self.request)
        return attempt

    def attempt(self, calibration: Calibration | None, bound: AccuracyBound | None) -> Attempt:
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
        return Attempt(folder, converted, comparison)

    def bound(self) -> AccuracyBound:
        """Prepare frames with known masks: ground truth, or what the original makes of them."""
        frames, spec = self.data, self.original.manifest.spec
        with running_model(self.stores, self.original, self.request.options) as running:
            count = len(spec.classes) if labels_fit(frames, spec) else 0

            def known() -> Iterator[tuple[Frame, LabelArray]]:
                step = math.ceil(frames.total / JUDGED_FRAMES)
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

    def described(self, attempt: Attempt, calibration: Calibration | None) -> Path:
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


def _useless(original: ModelPackage, rejection: ModelRejected, precision: Target) -> AccuracyLost:
    remedy = 'with --max-drop, layers that INT8 ruins stay in floating point'
    if precision == 'fp16':
        remedy = 'keep it in FP32, or try --precision int8'
    return AccuracyLost(
        f'{original.identity} cannot be optimised as it is: {rejection}', remedy=remedy
    )


def _lost(
    original: ModelPackage, comparison: Comparison, request: OptimizeRequest
) -> AccuracyLost:
    drop = comparison.miou_drop
    lost = 'nothing could be compared' if drop is None else f'{drop:.2f} points of mIoU are lost'
    remedy = 'allow more with --max-drop'
    if request.precision == 'int8':
        remedy = f'calibrate on more frames like those of the robot, or {remedy}'
    return AccuracyLost(
        f'{original.identity}: {lost}',
        expected=f'at most {request.max_drop:g}; nothing is published',
        remedy=remedy,
    )
