"""Original and optimised model on the same frames, taking turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import LabelArray
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.offline.evaluation.frame_energy import energy_per_frame
from edge_seg.offline.evaluation.frames import Frame, FrameSet, good_frames, Progress
from edge_seg.offline.evaluation.running import running_model, RunningModel, RunOptions
from edge_seg.offline.evaluation.scoring import class_scores, known, labels_fit
from edge_seg.offline.optimizing.results import Side
from edge_seg.runtime.frames.stats import Stage
import numpy as np


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing came to; the fields are those of ``OptimizationResult``."""

    original: Side
    optimized: Side
    frames: int
    agreement: float
    agreement_miou: float | None

    @property
    def miou_drop(self) -> float | None:
        """Points of mean IoU that were lost, against ground truth where there is some."""
        if self.original.miou is not None and self.optimized.miou is not None:
            return 100 * (self.original.miou - self.optimized.miou)
        return None if self.agreement_miou is None else 100 * (1 - self.agreement_miou)


def compare_models(
    stores: LayeredStore,
    models: tuple[ModelPackage, ModelPackage],
    frames: FrameSet,
    *,
    options: RunOptions,
    progress: Progress | None = None,
) -> Comparison:
    """Run two models of the same classes on the same frames, in turns.

    Labels are used where the frames have them for all frames and for the models' classes.

    Raises:
        SourceUnavailable: a frame cannot be used.
        ModelRejected, InferenceFailed: a model cannot be run.
    """
    with running_pair(stores, models, options) as (original, optimized):
        spec = original.spec
        count = len(spec.classes)
        labelled = labels_fit(frames, spec)
        truths = ConfusionMatrix(count), ConfusionMatrix(count)
        masks = ConfusionMatrix(count)
        equal = pixels = done = 0
        for frame in good_frames(frames, count if labelled else 0, bad=[], limit=0.0):
            before, after = in_turns(original, optimized, frame, first=done % 2)
            equal += int(np.count_nonzero(before == after))
            pixels += before.size
            masks.add(after, before)
            if frame.labels is not None:
                truths[0].add(before, frame.labels)
                truths[1].add(after, frame.labels)
            done += 1
            if progress is not None:
                progress(done, frames.total)
        sides = [
            _side(model, matrix, energy_per_frame(model, frame.image))
            for model, matrix in zip((original, optimized), truths, strict=True)
        ]
    return Comparison(sides[0], sides[1], done, equal / pixels, known(masks.mean_iou()))


@contextmanager
def running_pair(
    stores: LayeredStore, models: tuple[ModelPackage, ModelPackage], options: RunOptions
) -> Iterator[tuple[RunningModel, RunningModel]]:
    """Load two models side by side."""
    with (
        running_model(stores, models[0], options) as first,
        running_model(stores, models[1], options) as second,
    ):
        yield first, second


def in_turns(
    a: RunningModel, b: RunningModel, frame: Frame, *, first: int
) -> tuple[LabelArray, LabelArray]:
    """Segment a frame with both; which of them goes first should change from frame to frame."""
    if first == 0:
        mask = a.segment(frame.image)
        return mask, b.segment(frame.image)
    mask = b.segment(frame.image)
    return a.segment(frame.image), mask


def _side(running: RunningModel, matrix: ConfusionMatrix, energy_j: float | None) -> Side:
    return Side(
        run=running.run,
        miou=known(matrix.mean_iou()),
        classes=class_scores(matrix, running.spec) if matrix.pixels else (),
        infer=running.latency(Stage.INFER),
        total=running.total,
        energy_j=energy_j,
    )
