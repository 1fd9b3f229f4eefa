"""What every frame source offers: one frame after another, until there are no more."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import Protocol

from edge_seg.core.values import CompressedImage, RawImage, UInt8Array


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame as its source has it.

    Attributes:
        image: RGB pixels (H, W, 3) uint8; or, from a bag, the message as it was recorded, with
            nothing checked (`edge_seg.core.decode` does that).
        labels: ground truth (H, W) uint8 class ids of the same size, where the source has it.
        stamp_ns: the source's own time in nanoseconds: the header stamp in a bag, the position
            in a video or in the rendered scenes. None where frames carry no time. Grows from
            frame to frame, over the end of a loop as well (a bag's own jumps are kept).
    """

    image: UInt8Array | RawImage | CompressedImage
    labels: UInt8Array | None = None
    stamp_ns: int | None = None


class FrameSource(Protocol):
    """A stream of frames; a context manager that closes itself, and an iterator.

    Not thread-safe: one thread reads, and nobody closes it meanwhile.
    """

    def read(self) -> SourceFrame | None:
        """Return the next frame; None when there are no more.

        Raises:
            SourceUnavailable: the source broke while it was being read.
        """
        ...

    def frame_count(self) -> int | None:
        """Say how many frames there are without a loop; None where only reading them tells."""
        return None

    def close(self) -> None:
        """Release the source. Twice is fine."""
        ...

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[SourceFrame]:
        frame = self.read()
        while frame is not None:
            yield frame
            frame = self.read()
