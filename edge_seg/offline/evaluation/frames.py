"""Frames to measure with: rendered scenes, pictures, a video or a bag, evenly spread."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.values import CompressedImage, DecodedImage, LabelArray, RawImage, Size
from edge_seg.errors import FrameRejected, SourceUnavailable
from edge_seg.offline.evaluation.label_files import (
    find_picture,
    find_pictures,
    LabelledPicture,
    PairingRule,
    read_labels,
    read_picture,
)
from edge_seg.sources.base import FrameSource, SourceFrame
from edge_seg.sources.image_folder import IMAGE_SUFFIXES
from edge_seg.sources.opening import is_bag, open_source, SYNTHETIC
from edge_seg.sources.scene_classes import SCENE_CLASS_NAMES
from edge_seg.sources.scene_samples import scene_samples
import numpy as np

Progress = Callable[[int, int], None]
"""Told frames done and frames in all."""
SCENE_SIZE = Size(640, 480)


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frames are wanted.

    Attributes:
        data: a folder of pictures, a picture, a video, a ROS 2 bag; 'synthetic' renders scenes.
        count: how many at most; 0 = all (of the scenes, 300).
        seed: of the scenes.
        size: of the scenes, in pixels.
        topic: of a bag; '' takes its only image topic.
        pairing: how label maps are found.
    """

    data: str = SYNTHETIC
    count: int = 0
    seed: int = 2_000_000
    size: Size = SCENE_SIZE
    topic: str = ''
    pairing: PairingRule = field(default=PairingRule())


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame ready for the frame path.

    Attributes:
        name: of the file, or its number in the stream.
        image: its pixels.
        labels: (H, W) ground truth, where it is known and was asked for.
    """

    name: str
    image: DecodedImage
    labels: LabelArray | None = None


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame that cannot be used, and why."""

    name: str
    reason: str


class FrameSet(Protocol):
    """Frames that can be gone through any number of times, the same ones each time."""

    @property
    def description(self) -> str:
        """What they are, in words."""

    @property
    def total(self) -> int:
        """How many there are, bad ones included."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the labels; () without names, None without labels."""

    def read(self, class_count: int) -> Iterator[Frame | BadFrame]:
        """Give them one after the other.

        Args:
            class_count: labels are read and checked against so many classes; 0 = no labels.
        """


@dataclass(frozen=True, slots=True)
class SceneFrames:
    """Rendered scenes with exact labels."""

    count: int
    seed: int
    size: Size

    @property
    def description(self) -> str:
        """Size and seed."""
        return f'synthetic {self.size.width}x{self.size.height}, seed {self.seed}'

    @property
    def total(self) -> int:
        """As many as were asked for."""
        return self.count

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the renderer's classes."""
        return SCENE_CLASS_NAMES

    def read(self, class_count: int) -> Iterator[Frame]:
        """Render."""
        width, height = self.size
        for number, scene in enumerate(
            scene_samples(self.count, seed=self.seed, width=width, height=height)
        ):
            labels = scene.labels if class_count else None
            yield Frame(f'scene {self.seed + number}', DecodedImage(scene.image, 'rgb'), labels)


@dataclass(frozen=True, slots=True)
class PictureFrames:
    """Pictures of a folder, with label maps where they were found."""

    folder: Path
    pictures: tuple[LabelledPicture, ...]

    @property
    def description(self) -> str:
        """The folder."""
        return f'pictures of {self.folder}'

    @property
    def total(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Label maps have ids, not names."""
        return () if all(each.labels for each in self.pictures) else None

    def read(self, class_count: int) -> Iterator[Frame | BadFrame]:
        """Decode pictures and labels."""
        for each in self.pictures:
            name = str(each.picture.relative_to(self.folder))
            try:
                image, labels = read_picture(each.picture), None
                if class_count and each.labels is not None:
                    labels = read_labels(each.labels, size=image.size, class_count=class_count)
            except SourceUnavailable as error:
                yield BadFrame(name, str(error))
            else:
                yield Frame(name, image, labels)


@dataclass(frozen=True, slots=True)
class StreamFrames:
    """Frames of a video or bag, evenly spread over it."""

    uri: str
    topic: str
    numbers: frozenset[int]

    @property
    def description(self) -> str:
        """The file."""
        topic = f' {self.topic}' if self.topic else ''
        return f'frames of {self.uri}{topic}'

    @property
    def total(self) -> int:
        """Number of frames taken."""
        return len(self.numbers)

    @property
    def class_names(self) -> None:
        """There are no labels."""
        return

    def read(self, class_count: int) -> Iterator[Frame | BadFrame]:
        """Decode the frames that are taken."""
        last = max(self.numbers)
        with open_source(self.uri, loop=False, topic=self.topic) as source:
            for number, frame in enumerate(source):
                if number in self.numbers:
                    yield _decoded(f'frame {number}', frame)
                if number == last:
                    return
        raise SourceUnavailable(
            f'{self.uri} ends too early', expected=f'{last + 1} frames, as it says itself'
        )


def open_frames(request: FrameRequest, *, progress: Progress | None = None) -> FrameSet:
    """Find the frames; of more than are wanted, evenly spread ones are taken.

    Args:
        request: which.
        progress: told frames found and 0 while they are counted, where no file says how many.

    Raises:
        SourceUnavailable: nothing there, nothing in it, or nothing that can be read.
    """
    if request.data == SYNTHETIC:
        return _scenes(request)
    path = Path(request.data).expanduser()
    if path.is_dir() and not is_bag(path):
        pictures = find_pictures(path, request.pairing)
        taken = _spread(len(pictures), request.count)
        return PictureFrames(path, tuple(pictures[number] for number in taken))
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return PictureFrames(path.parent, (find_picture(path, request.pairing),))
    with open_source(request.data, loop=False, topic=request.topic) as source:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise SourceUnavailable(
                f'{path} is a device', expected='frames that can be read twice'
            )
        count = _count(source, progress)
    if not count:
        raise SourceUnavailable(f'{path} has no frames', expected='at least one')
    return StreamFrames(request.data, request.topic, frozenset(_spread(count, request.count)))


def good_frames(
    frames: FrameSet, class_count: int, *, bad: list[str], limit: float
) -> Iterator[Frame]:
    """Give the frames that can be used and note the others.

    Args:
        frames: where they come from.
        class_count: as for ``FrameSet.read``.
        bad: takes 'name: why' of each frame that cannot be used.
        limit: share 0-1 of bad frames that is borne.

    Raises:
        SourceUnavailable: more of them are bad, or all.
    """
    good = 0
    for frame in frames.read(class_count):
        if isinstance(frame, Frame):
            good += 1
            yield frame
            continue
        bad.append(f'{frame.name}: {frame.reason}')
        if len(bad) > limit * frames.total:
            raise SourceUnavailable(
                f'{len(bad)} of {frames.total} frames cannot be used, the last {bad[-1]}',
                expected=f'at most {limit:.0%}' if limit else '',
            )
    if not good:
        raise SourceUnavailable(f'{frames.description}: no frame can be used')


def _count(source: FrameSource, progress: Progress | None) -> int:
    count = source.frame_count()
    if count is not None:
        return count
    count = 0
    for count, _ in enumerate(source, start=1):
        if progress is not None:
            progress(count, 0)
    return count


def _scenes(request: FrameRequest) -> SceneFrames:
    if request.seed < 0 or not all(16 <= side <= 4096 for side in request.size):
        raise SourceUnavailable(
            f'scenes of {request.size.width}x{request.size.height} with seed {request.seed}',
            expected='16 to 4096 pixels on each side, a seed from 0 up',
        )
    return SceneFrames(request.count or 300, request.seed, request.size)


def _spread(available: int, wanted: int) -> list[int]:
    if not wanted or wanted >= available:
        return list(range(available))
    return [int(number) for number in np.linspace(0, available - 1, wanted).round()]


def _decoded(name: str, frame: SourceFrame) -> Frame | BadFrame:
    try:
        if isinstance(frame.image, CompressedImage):
            return Frame(name, decode_compressed(frame.image))
        if isinstance(frame.image, RawImage):
            return Frame(name, decode(frame.image))
    except FrameRejected as rejection:
        return BadFrame(name, str(rejection))
    return Frame(name, DecodedImage(frame.image, 'rgb'))
