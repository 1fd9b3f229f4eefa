"""Whether two models, or one in two ways, give the same masks of the same frames."""

from dataclasses import dataclass
from pathlib import Path

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import LabelArray
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frames import Frame, FrameSet, good_frames, Progress
from edge_seg.offline.evaluation.pictures import difference_picture, write_picture
from edge_seg.offline.evaluation.results import FrameAgreement, ParityResult
from edge_seg.offline.evaluation.running import running_model, RunningModel, RunOptions
from edge_seg.offline.evaluation.scoring import check_same_classes, known
import numpy as np


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two.

    Attributes:
        model: name, name@version or path.
        options: on what it runs.
    """

    model: str
    options: RunOptions


@dataclass(frozen=True, slots=True)
class _Disagreement:
    frame: Frame
    masks: tuple[LabelArray, LabelArray]
    agreement: float


def compare_masks(
    stores: LayeredStore,
    sides: tuple[Side, Side],
    frames: FrameSet,
    *,
    worst: int = 5,
    pictures: Path | None = None,
    progress: Progress | None = None,
) -> ParityResult:
    """Segment the same frames twice and compare pixel by pixel.

    Args:
        stores: where models are looked up.
        sides: what is compared.
        frames: what is segmented; labels are not used.
        worst: how many of the frames that agree least are named.
        pictures: folder for their pictures, PNG; None = no pictures.
        progress: told frames done and in all.

    Raises:
        SourceUnavailable: a frame cannot be used, or a picture cannot be written.
        IncompatibleModel: the models have other classes.
        ModelNotFound, ModelRejected, InferenceFailed: a model cannot be run.
    """
    with (
        running_model(stores, sides[0].model, sides[0].options) as a,
        running_model(stores, sides[1].model, sides[1].options) as b,
    ):
        check_same_classes(b.spec, a.spec)
        matrix = ConfusionMatrix(len(a.spec.classes))
        equal = pixels = 0
        each: list[FrameAgreement] = []
        kept: list[_Disagreement] = []
        for frame in good_frames(frames, 0, bad=[], limit=0.0):
            masks = a.segment(frame.image), b.segment(frame.image)
            same = int(np.count_nonzero(masks[0] == masks[1]))
            matrix.add(masks[1], masks[0])
            equal += same
            pixels += masks[0].size
            each.append(FrameAgreement(frame.name, same / masks[0].size))
            kept.append(_Disagreement(frame, masks, each[-1].agreement))
            kept = sorted(kept, key=lambda one: one.agreement)[:worst]
            if progress is not None:
                progress(len(each), frames.total)
        return ParityResult(
            a=a.run,
            b=b.run,
            data=frames.description,
            frames=len(each),
            agreement=equal / pixels,
            miou=known(matrix.mean_iou()),
            each=tuple(each),
            worst=tuple(FrameAgreement(one.frame.name, one.agreement) for one in kept),
            pictures=() if pictures is None else _draw(pictures, kept, a, b),
            a_total=a.total,
            b_total=b.total,
        )


def _draw(
    folder: Path, kept: list[_Disagreement], a: RunningModel, b: RunningModel
) -> tuple[str, ...]:
    files = []
    for number, each in enumerate(kept, start=1):
        picture = difference_picture(
            each.frame.image,
            each.masks,
            a.spec.classes,
            captions=(_caption(a), _caption(b)),
            agreement=each.agreement,
        )
        path = folder / f'{number:02d}_{_file_name(each.frame.name)}.png'
        write_picture(path, picture)
        files.append(str(path))
    return tuple(files)


def _caption(running: RunningModel) -> str:
    run = running.run
    return f'{run.model} {run.backend} {run.precision}'


def _file_name(frame: str) -> str:
    return ''.join(letter if letter.isalnum() or letter in '-_' else '_' for letter in frame)
