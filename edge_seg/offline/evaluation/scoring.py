"""Scores of masks against ground truth or other masks, as the results have them."""

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import ModelSpec
from edge_seg.errors import IncompatibleModel, SourceUnavailable
from edge_seg.offline.evaluation.frames import FrameSet, PictureFrames
from edge_seg.offline.evaluation.label_files import PairingRule, require_labels
from edge_seg.offline.evaluation.results import ClassScore
import numpy as np


def labels_fit(frames: FrameSet, spec: ModelSpec) -> bool:
    """Say whether the frames have labels of the model's classes."""
    names = frames.class_names
    return names is not None and names in ((), class_names(spec))


def check_labels(frames: FrameSet, spec: ModelSpec) -> None:
    """Refuse frames without labels of the model's classes.

    Raises:
        SourceUnavailable: there are none, or not for every picture.
        IncompatibleModel: they are of other classes.
    """
    if isinstance(frames, PictureFrames):
        require_labels(frames.folder, frames.pictures)
    names = frames.class_names
    if names is None:
        raise SourceUnavailable(
            f'{frames.description} have no labels',
            expected='a folder of pictures and label maps',
            remedy='give --reference MODEL to compare with its masks',
        )
    if not labels_fit(frames, spec):
        raise IncompatibleModel(
            f'{spec.name}@{spec.version} has the classes {", ".join(class_names(spec))}',
            expected=f'{", ".join(names)}, those of the rendered scenes',
            remedy='evaluate it on a labelled folder: --data FOLDER, or give --reference MODEL',
        )


def check_all_or_none(frames: FrameSet, pairing: PairingRule) -> None:
    """Refuse pictures of which some have label maps, and a rule by which none has.

    Scores would silently be something else than the labels were meant for.

    Raises:
        SourceUnavailable: names the first picture without a label map.
    """
    if not isinstance(frames, PictureFrames):
        return
    meant = pairing.labels is not None or pairing.label_ending
    if meant or any(each.labels for each in frames.pictures):
        require_labels(frames.folder, frames.pictures)


def check_same_classes(spec: ModelSpec, reference: ModelSpec) -> None:
    """Refuse two models whose labels mean different things.

    Raises:
        IncompatibleModel: they have other classes.
    """
    if class_names(spec) != class_names(reference):
        raise IncompatibleModel(
            f'{spec.name}@{spec.version} has the classes {", ".join(class_names(spec))}',
            expected=f'those of {reference.name}@{reference.version}: '
            f'{", ".join(class_names(reference))}',
        )


def class_names(spec: ModelSpec) -> tuple[str, ...]:
    """Return the names of a model's classes."""
    return tuple(info.name for info in spec.classes)


def class_scores(matrix: ConfusionMatrix, spec: ModelSpec) -> tuple[ClassScore, ...]:
    """Return the score of each class."""
    truths = matrix.counts.sum(axis=1)
    return tuple(
        ClassScore(info.name, None if np.isnan(iou) else float(iou), int(pixels))
        for info, iou, pixels in zip(spec.classes, matrix.iou(), truths, strict=True)
    )


def known(value: float) -> float | None:
    """Return None for NaN."""
    return None if np.isnan(value) else value
