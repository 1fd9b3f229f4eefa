"""Follows a build through TensorRT's progress monitor, where this version has one."""

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Any

from edge_seg.backends.build_progress import BuildProgress, OnProgress
from edge_seg.backends.tensorrt.library.sdk import Sdk

MIN_PERIOD_S = 0.1
"""Shortest time from one report to the next: TensorRT reports thousands of steps."""


@dataclass(slots=True)
class _Phase:
    parent: str
    steps: int
    done: int = 0


class ProgressBook:
    """Turns phases that nest into one share of the whole, which never falls.

    TensorRT calls from several threads at once.

    Args:
        on_progress: told how far the build is; None for nobody.
        clock: gives seconds.
    """

    def __init__(
        self, on_progress: OnProgress | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_progress = on_progress
        self._clock = clock
        self._begin_s = clock()
        self._lock = threading.Lock()  # guards everything below
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0
        self._reported_s = -MIN_PERIOD_S
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether ``on_progress`` asked to stop."""
        with self._lock:
            return self._cancelled

    def announce(self, phase: str) -> bool:
        """Report a step that has no share; gives False when the build is to stop."""
        return self._report(phase, None, always=True)

    def start(self, name: str, parent: str, steps: int) -> None:
        """Note the begin of a phase of ``steps`` steps inside ``parent`` ('' for none)."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(1, steps))
        self._report(name, self._now(), always=False)

    def step(self, name: str, index: int) -> bool:
        """Note that step ``index`` of a phase is done; gives False when the build is to stop."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = index + 1
        return self._report(name, self._now(), always=False)

    def finish(self, name: str) -> None:
        """Note the end of a phase."""
        with self._lock:
            ended = self._phases.get(name)
            if ended is not None:
                ended.done = ended.steps
        share = self._now()
        with self._lock:
            self._phases.pop(name, None)
        self._report(name, share, always=False)

    def _now(self) -> float:
        with self._lock:
            roots = [name for name, phase in self._phases.items() if not phase.parent]
            reached = max((self._share_of(name) for name in roots), default=0.0)
            self._share = max(self._share, min(1.0, reached))
            return self._share

    def _share_of(self, name: str) -> float:
        """Give the share of a phase that is done; what runs inside it counts as part of a step."""
        phase = self._phases[name]
        inner = [n for n, each in self._phases.items() if each.parent == name and n != name]
        begun = max((self._share_of(each) for each in inner), default=0.0)
        return min(1.0, (phase.done + begun) / phase.steps)

    def _report(self, phase: str, share: float | None, *, always: bool) -> bool:
        now_s = self._clock()
        with self._lock:
            due = always or now_s - self._reported_s >= MIN_PERIOD_S
            if self._cancelled or self._on_progress is None or not due:
                return not self._cancelled
            self._reported_s = now_s
        try:
            goes_on = self._on_progress(BuildProgress(phase, share, now_s - self._begin_s))
        except OSError:  # nobody listens any more; an exception must not enter TensorRT's threads
            goes_on = False
        if not goes_on:
            with self._lock:
                self._cancelled = True
        return goes_on


def watch(sdk: Sdk, config: Any, book: ProgressBook) -> Any:
    """Have TensorRT tell a book how far a build is, where it can (not 8.6).

    Returns:
        The monitor, to be kept alive while it builds; None where there is none.
    """
    if not sdk.has('IBuilderConfig.progress_monitor'):
        return None

    class Monitor(sdk.trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            # super().__init__() would leave the C++ part unmade: pybind11 wants this form.
            sdk.trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            book.start(phase_name, parent_phase or '', num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return book.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            book.finish(phase_name)

    monitor = config.progress_monitor = Monitor()
    return monitor
