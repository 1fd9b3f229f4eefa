"""How good a model is: its masks against ground truth, or against those of another model."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import LabelArray
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.offline.evaluation.frame_energy import energy_per_frame
from edge_seg.offline.evaluation.frames import Frame, FrameSet, good_frames, Progress
from edge_seg.offline.evaluation.results import EvaluationResult
from edge_seg.offline.evaluation.running import (
    AS_THE_NODE,
    running_model,
    RunningModel,
    RunOptions,
)
from edge_seg.offline.evaluation.scoring import (
    check_labels,
    check_same_classes,
    class_scores,
    known,
)
from edge_seg.runtime.frames.stats import Stage

LABELS = 'labels'


def evaluate(
    stores: LayeredStore,
    model: str | ModelPackage,
    frames: FrameSet,
    *,
    options: RunOptions = AS_THE_NODE,
    reference: str = '',
    progress: Progress | None = None,
) -> EvaluationResult:
    """Score a model with the frame path of the node.

    Args:
        stores: where models are looked up.
        model: the one to score.
        frames: what to score it on; with labels, unless there is a reference.
        options: backend, device, threads, precision.
        reference: a model whose masks are taken for true, run on the same backend; '' = labels.
        progress: told frames done and in all.

    Raises:
        SourceUnavailable: a frame or its labels cannot be used, or there are no labels.
        IncompatibleModel: the labels, or the reference, are of other classes.
        ModelNotFound, ModelRejected, InferenceFailed: a model cannot be run.
    """
    with ExitStack() as close:
        running = close.enter_context(running_model(stores, model, options))
        truth_of: Callable[[Frame], LabelArray] = _labels
        if reference:
            other = close.enter_context(running_model(stores, reference, options))
            check_same_classes(running.spec, other.spec)
            truth_of = _masks_of(other)
        else:
            check_labels(frames, running.spec)
        class_count = 0 if reference else len(running.spec.classes)
        matrix = ConfusionMatrix(len(running.spec.classes))
        done = 0
        for frame in good_frames(frames, class_count, bad=[], limit=0.0):
            matrix.add(running.segment(frame.image), truth_of(frame))
            done += 1
            if progress is not None:
                progress(done, frames.total)
        truth = other.run.model if reference else LABELS
        result = _result(running, matrix, (frames.description, truth, done))
        return replace(result, energy_j=energy_per_frame(running, frame.image))


def _labels(frame: Frame) -> LabelArray:
    assert frame.labels is not None, 'check_labels saw to it'
    return frame.labels


def _masks_of(model: RunningModel) -> Callable[[Frame], LabelArray]:
    return lambda frame: model.segment(frame.image)


def _result(
    running: RunningModel, matrix: ConfusionMatrix, about: tuple[str, str, int]
) -> EvaluationResult:
    data, truth, count = about
    return EvaluationResult(
        run=running.run,
        data=data,
        truth=truth,
        frames=count,
        pixels=matrix.pixels,
        miou=known(matrix.mean_iou()),
        pixel_accuracy=known(matrix.pixel_accuracy()),
        classes=class_scores(matrix, running.spec),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix.counts),
        infer=running.latency(Stage.INFER),
        total=running.total,
    )
