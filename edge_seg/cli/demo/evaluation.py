"""Takes what the viewer receives: measures masks, picks moments, draws the film's pictures."""

from collections.abc import Callable, Iterable
import time

from edge_seg.cli.demo.meter import MaskMeter
from edge_seg.cli.demo.moments import FramePictures, Moments
from edge_seg.cli.demo.pictures import Column, film_panels
from edge_seg.core.palette import Palette
from edge_seg.core.values import ClassInfo, LabelArray, UInt8Array


class Evaluation:
    """Implements ViewerEvents; for one thread.

    Args:
        moments: which frames to keep.
        on_transition: told of a node and what has become of it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        moments: Moments,
        *,
        on_transition: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.meter = MaskMeter()
        self.moments = moments
        self.film: list[tuple[Column, ...]] = []
        self.classes: tuple[ClassInfo, ...] = ()
        self._palette = Palette(())
        self._tell = on_transition
        self._up: set[str] = set()
        self._clock = clock

    def on_classes(self, classes: tuple[ClassInfo, ...]) -> None:
        """Begin to score; a reload to a model with the same classes goes on scoring."""
        if classes != self.classes:
            self.classes = classes
            self._palette = Palette(classes)
            self.meter.set_classes(len(classes))

    def on_mask(self, stamp_ns: int, labels: LabelArray, *, age_ms: float) -> None:
        """Measure a mask; keep it while pictures are wanted."""
        self.meter.add_mask(stamp_ns, labels, age_ms=age_ms, now_s=self._clock())
        if self.moments.looking:
            pictures = self.moments.frame(stamp_ns)
            pictures.mask, pictures.age_ms = labels, age_ms
            self._join(pictures)

    def on_truth(self, stamp_ns: int, labels: LabelArray) -> None:
        """Keep the ground truth until its mask comes, or join it to one that was faster."""
        self.meter.add_truth(stamp_ns, labels)
        if self.moments.looking:
            self._join(self.moments.frame(stamp_ns))

    def on_camera(self, stamp_ns: int, pixels: UInt8Array) -> None:
        """Keep a camera frame while pictures are wanted."""
        if self.moments.looking:
            pictures = self.moments.frame(stamp_ns)
            pictures.camera = pixels
            self._join(pictures)

    def on_overlay(self, stamp_ns: int, pixels: UInt8Array) -> None:
        """Keep an overlay while pictures are wanted."""
        if self.moments.looking:
            pictures = self.moments.frame(stamp_ns)
            pictures.overlay = pixels
            self._join(pictures)

    def on_transition(self, node: str, start: str, goal: str) -> None:
        """Pass on how far a node has come up."""
        if (start, goal) == ('configuring', 'inactive'):
            self._up.discard(node)
            self._tell(node, 'configured')
        elif (start, goal) == ('activating', 'active'):
            self.all_up([node])

    def all_up(self, nodes: Iterable[str]) -> None:
        """Pass on that these are active: once, whoever says it first, the node or the manager."""
        for node in nodes:
            if node not in self._up:
                self._up.add(node)
                self._tell(node, 'active')

    @property
    def since_first_mask_s(self) -> float:
        """Seconds since the first mask; 0 before it."""
        first_s = self.meter.first_mask_s
        return 0.0 if first_s is None else self._clock() - first_s

    def _join(self, pictures: FramePictures) -> None:
        pictures.truth = self.meter.truth_of(pictures.stamp_ns)
        if pictures.truth is None and self.meter.truths_seen:
            return
        filmed = self.moments.joined(pictures, self.since_first_mask_s)
        if filmed is not None:
            self.film.append(film_panels(filmed, self._palette))
