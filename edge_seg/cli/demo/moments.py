"""Decides when the demo looks at pictures, and joins those of one frame by their stamp."""

from collections import deque, OrderedDict
from dataclasses import dataclass, field

from edge_seg.core.values import LabelArray, UInt8Array

MOMENTS = 5
ENDLESS_MOMENT_EVERY_S = 5.0
FIRST_MOMENT_S = 0.5
FILM_LONGEST_S = 4.0
FILM_SHARE = 0.2
FILM_FROM_SHARE = 0.5
ENDLESS_FILM_FROM_S = 6.0
FILM_EVERY = 2
"""Every so many frames are filmed."""
OPEN_STAMPS = 12


@dataclass(slots=True)
class FramePictures:
    """What belongs to one camera frame: pixels (H, W, 3) RGB, labels (H, W)."""

    stamp_ns: int
    at_s: float = 0.0
    age_ms: float = 0.0
    camera: UInt8Array | None = None
    overlay: UInt8Array | None = None
    mask: LabelArray | None = None
    truth: LabelArray | None = None

    @property
    def complete(self) -> bool:
        """Whether everything but the ground truth is there."""
        return self.camera is not None and self.overlay is not None and self.mask is not None


@dataclass(frozen=True, slots=True)
class MomentPlan:
    """When to look, in seconds since the first mask.

    Attributes:
        every_s: from one moment of the contact sheet to the next.
        film_from_s: when the film begins.
        film_to_s: when it ends.
    """

    every_s: float
    film_from_s: float
    film_to_s: float

    @classmethod
    def for_run(cls, seconds: float) -> 'MomentPlan':
        """Spread the moments over a run of so many seconds; 0 = until it is stopped."""
        if not seconds:
            end_s = ENDLESS_FILM_FROM_S + FILM_LONGEST_S
            return cls(ENDLESS_MOMENT_EVERY_S, ENDLESS_FILM_FROM_S, end_s)
        begin_s = FILM_FROM_SHARE * seconds
        return cls(
            (seconds - FIRST_MOMENT_S) / MOMENTS,
            begin_s,
            begin_s + min(FILM_LONGEST_S, FILM_SHARE * seconds),
        )


@dataclass(slots=True)
class Moments:
    """Picks complete frames: some for the contact sheet, many for the film.

    The pictures cost camera and segmentation something, so they are subscribed to only while
    ``looking``.
    """

    plan: MomentPlan
    sheet: deque[FramePictures] = field(default_factory=lambda: deque(maxlen=MOMENTS))
    looking: bool = False
    _next_s: float = FIRST_MOMENT_S
    _due: bool = False
    _filming: bool = False
    _seen: int = 0
    _open: OrderedDict[int, FramePictures] = field(default_factory=OrderedDict)

    def tick(self, since_s: float) -> None:
        """Follow the plan; ``looking`` says afterwards whether pictures are wanted."""
        self._filming = self.plan.film_from_s <= since_s < self.plan.film_to_s
        if since_s >= self._next_s:
            self._due = True
            self._next_s += self.plan.every_s
        self.looking = self._filming or self._due
        if not self.looking:
            self._open.clear()

    def frame(self, stamp_ns: int) -> FramePictures:
        """Give the pictures of a frame, to be filled in; call ``joined`` afterwards."""
        pictures = self._open.setdefault(stamp_ns, FramePictures(stamp_ns))
        while len(self._open) > OPEN_STAMPS:
            self._open.popitem(last=False)
        return pictures

    def joined(self, pictures: FramePictures, since_s: float) -> FramePictures | None:
        """Note a frame when it is complete; give it when it is one for the film."""
        if not pictures.complete or self._open.pop(pictures.stamp_ns, None) is None:
            return None
        pictures.at_s = since_s
        if self._due:
            self._due = False
            self.sheet.append(pictures)
        self._seen += 1
        if self._filming and self._seen % FILM_EVERY == 0:
            return pictures
        return None
