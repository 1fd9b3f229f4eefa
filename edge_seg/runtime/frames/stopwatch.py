"""Times the stages of one frame."""

import time

from edge_seg.runtime.frames.stats import Stage


class Stopwatch:
    """Starts at once; ``lap`` ends a stage and begins the next. For one thread."""

    def __init__(self) -> None:
        self._begin_s = self._last_s = time.monotonic()
        self.laps: list[tuple[Stage, float]] = []
        """Stages and their durations in seconds, in the order they ended."""

    def lap(self, stage: Stage) -> None:
        """Note the time since the last lap under ``stage``."""
        now_s = time.monotonic()
        self.laps.append((stage, now_s - self._last_s))
        self._last_s = now_s

    def note(self, stage: Stage, duration_s: float) -> None:
        """Note a duration that was measured elsewhere."""
        self.laps.append((stage, duration_s))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin_s
