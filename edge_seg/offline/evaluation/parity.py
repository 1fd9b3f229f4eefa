"""Whether two models, or one in two ways, give the same masks of the same frames."""

from dataclasses import dataclass, field
from pathlib import Path

from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import LabelArray
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frame_energy import energy_per_frame
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


@dataclass(slots=True)
class _Comparison:
    matrix: ConfusionMatrix
    worst: int
    equal: int = 0
    pixels: int = 0
    each: list[FrameAgreement] = field(default_factory=list)
    kept: list[_Disagreement] = field(default_factory=list)

    def add(self, frame: Frame, masks: tuple[LabelArray, LabelArray]) -> None:
        same = int(np.count_nonzero(masks[0] == masks[1]))
        self.matrix.add(masks[1], masks[0])
        self.equal += same
        self.pixels += masks[0].size
        self.each.append(FrameAgreement(frame.name, same / masks[0].size))
        self.kept.append(_Disagreement(frame, masks, self.each[-1].agreement))
        self.kept = sorted(self.kept, key=lambda one: one.agreement)[: self.worst]


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
        count = _Comparison(ConfusionMatrix(len(a.spec.classes)), worst)
        for frame in good_frames(frames, 0, bad=[], limit=0.0):
            count.add(frame, (a.segment(frame.image), b.segment(frame.image)))
            if progress is not None:
                progress(len(count.each), frames.total)
        return ParityResult(
            a=a.run,
            b=b.run,
            data=frames.description,
            frames=len(count.each),
            agreement=count.equal / count.pixels,
            miou=known(count.matrix.mean_iou()),
            each=tuple(count.each),
            worst=tuple(FrameAgreement(one.frame.name, one.agreement) for one in count.kept),
            pictures=() if pictures is None else _draw(pictures, count.kept, a, b),
            a_total=a.total,
            b_total=b.total,
            a_energy_j=energy_per_frame(a, frame.image),
            b_energy_j=energy_per_frame(b, frame.image),
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
