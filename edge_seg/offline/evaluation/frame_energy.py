"""Energy for a frame: the same frame again and again for a second, where the platform tells."""

from contextlib import closing
import time

from edge_seg.core.values import DecodedImage
from edge_seg.offline.evaluation.running import RunningModel
from edge_seg.offline.kpi.energy import EnergyCounter, open_counter
from edge_seg.runtime.frames.stopwatch import Stopwatch

DURATION_S = 1.0
"""Counters move in steps of up to a tenth of a second."""


def energy_per_frame(running: RunningModel, image: DecodedImage) -> float | None:
    """Measure the joules that a frame takes, all that the device does meanwhile included.

    Costs no time where the platform does not tell, and leaves the model's latencies alone.

    Returns:
        None where the platform does not tell.

    Raises:
        InferenceFailed: the backend failed.
    """
    counter = open_counter(running.run.backend)
    if counter is None:
        return None
    with closing(counter):
        return _measured(counter, running, image)


def _measured(counter: EnergyCounter, running: RunningModel, image: DecodedImage) -> float | None:
    before, begin_s, frames = counter.joules(), time.monotonic(), 0
    while not frames or time.monotonic() - begin_s < DURATION_S:
        running.model.segment(image, confidence=False, watch=Stopwatch())
        frames += 1
    after = counter.joules()
    return None if before is None or after is None else (after - before) / frames
