"""Shadow frames: what the previous model would have said of a frame that the new one answered."""

from dataclasses import dataclass
import logging

from edge_seg.core.checks import dominant_share
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.errors import InferenceFailed, NoActiveModel
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import Holding
from edge_seg.runtime.frames.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

ONE_CLASS = 0.999
"""Share of pixels from which a mask counts as being of one class."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two models differ on one frame.

    Attributes:
        agreement: mean IoU 0-1 of the two masks; None when the models have other classes.
        only_new_is_one_class: the new mask is of one class from edge to edge, the old one is not.
    """

    agreement: float | None
    only_new_is_one_class: bool


def compare(
    previous: Holding[ServingModel], model: ServingModel, answer: Answer
) -> Comparison | None:
    """Run the previous model on a frame and compare the masks.

    Args:
        previous: still loaded.
        model: the one that answered.
        answer: the frame and its mask.

    Returns:
        None when the previous model is gone or fails itself, in whatever way: it cannot speak
        against the new one.
    """
    try:
        with previous.lease() as old:
            expected = old.segment(answer.image, confidence=False, watch=Stopwatch()).labels
            classes = [info.name for info in old.spec.classes]
    except (NoActiveModel, InferenceFailed):
        return None
    except Exception:
        logger.exception('a bug in the inference of the previous model')
        return None
    only_new = dominant_share(answer.labels) > ONE_CLASS >= dominant_share(expected)
    if classes != [info.name for info in model.spec.classes]:
        return Comparison(None, only_new)
    matrix = ConfusionMatrix(len(classes))
    matrix.add(answer.labels, expected)
    return Comparison(matrix.mean_iou(), only_new)
