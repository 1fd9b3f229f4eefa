"""Runs a new model until it is at speed, and looks at what comes out."""

from collections.abc import Callable
from dataclasses import dataclass
import time

from edge_seg.core.values import DecodedImage, Size
from edge_seg.errors import InferenceFailed
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
import numpy as np

Pause = Callable[[], None]
"""Called before each piece of work that takes the processor; returns when it is free."""


def no_pause() -> None:
    """Go on at once."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What warming up measured, in seconds: a robot's first frame does not pay ``first_s``."""

    first_s: float
    steady_s: float


def warm(model: ServingModel, camera: Size, *, runs: int, pause: Pause = no_pause) -> WarmUp:
    """Run a model on noise at camera geometry until it is at speed.

    Raises:
        InferenceFailed: it fails, gives NaN or infinite scores, or the same score everywhere.
    """
    image = noise(camera)
    durations_s = []
    for _ in range(max(1, runs)):
        pause()
        begin_s = time.monotonic()
        model.segment(image, confidence=False, watch=Stopwatch())
        durations_s.append(time.monotonic() - begin_s)
    pause()
    problem = model.output_problem(image)
    if problem:
        raise InferenceFailed(
            f'{model.identity} {problem}',
            expected='finite scores that depend on the image',
            remedy='check the exported weights and the precision (try precision: fp32)',
        )
    return WarmUp(first_s=durations_s[0], steady_s=durations_s[-1])


def noise(size: Size) -> DecodedImage:
    """Make an image that no network has seen."""
    pixels = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
    return DecodedImage(pixels=pixels, order='rgb')
