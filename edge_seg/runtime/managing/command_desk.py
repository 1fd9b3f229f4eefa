"""One worker thread that runs commands one at a time and looks after things in between."""

from collections.abc import Callable
from dataclasses import dataclass, field
import threading

from edge_seg.errors import EdgeSegError
from edge_seg.runtime.managing.managed_node import CancellablePacer, Cancelled, Pacer


@dataclass(frozen=True, slots=True)
class Command:
    """Something an operator wants.

    Attributes:
        name: what it is called, e.g. 'startup'.
        work: does it; returns what to tell the operator, raises EdgeSegError with the reason
            why not. Must wait through the pacer only, else it cannot be cancelled.
        urgent: takes the place of a command that is running and not urgent.
    """

    name: str
    work: Callable[[Pacer], str]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, in the form of std_srvs/Trigger."""

    success: bool
    message: str


@dataclass(slots=True)
class _Job:
    command: Command
    pacer: CancellablePacer = field(default_factory=CancellablePacer)
    done: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome = Outcome(False, 'the manager stopped before the command was finished')


class CommandDesk:
    """Serialises everything that moves nodes, so that no two policies ever disagree.

    Callers of `call` block until their command is done, in their own thread; at most two can
    (one running, one about to take its place), everybody else is refused at once with the
    reason. Background work gives way to any command.

    Args:
        background: called in the worker thread every `period_s`, or sooner after `wake`.
        period_s: time between two calls of background, in seconds.
    """

    def __init__(self, background: Callable[[Pacer], None], *, period_s: float) -> None:
        self._background = background
        self._period_s = period_s
        # Over everything below.
        self._changed = threading.Condition()
        self._running: _Job | None = None
        self._next: _Job | None = None
        self._background_pacer: CancellablePacer | None = None
        self._woken = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='manager', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False before start, after close, and when a bug ended the worker."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Let the background work run now; from any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def call(self, command: Command) -> Outcome:
        """Run a command and wait for it; from any thread but the worker's.

        One that comes before `start` is run first thing.
        """
        job = _Job(command)
        with self._changed:
            refusal = self._refusal(command)
            if refusal:
                return Outcome(False, refusal)
            self._next = job
            self._cancel_present(command.name)
            self._changed.notify_all()
        job.done.wait()
        return job.outcome

    def close(self, timeout_s: float) -> bool:
        """Cancel what is running and end the worker.

        Returns:
            False when it did not end within timeout_s seconds.
        """
        with self._changed:
            self._closed = True
            self._cancel_present('the end of the manager')
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _cancel_present(self, by: str) -> None:
        if self._running is not None:
            self._running.pacer.cancel(by)
        if self._background_pacer is not None:
            self._background_pacer.cancel(by)

    def _refusal(self, command: Command) -> str:
        if self._closed:
            return 'the manager is ending'
        if self._next is not None:
            return f'busy: {self._next.command.name} is about to run'
        if self._running is None:
            return ''
        running = self._running.command
        if running.urgent or not command.urgent:
            return f'busy: {running.name} is running; try again when it is done'
        return ''

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._closed or self._next is not None or self._woken,
                        self._period_s,
                    )
                    if self._closed:
                        return
                    self._woken = False
                    self._running, self._next = self._next, None
                    job = self._running
                    if job is None:
                        self._background_pacer = CancellablePacer()
                if job is None:
                    self._look_after()
                else:
                    self._execute(job)
        finally:
            self._abandon()

    def _look_after(self) -> None:
        pacer = self._background_pacer
        assert pacer is not None
        try:
            self._background(pacer)
        except Cancelled:
            pass  # a command came in; the next round goes on from the state it leaves
        finally:
            with self._changed:
                self._background_pacer = None

    def _execute(self, job: _Job) -> None:
        try:
            job.outcome = Outcome(True, job.command.work(job.pacer))
        except EdgeSegError as refusal:
            job.outcome = Outcome(False, f'{job.command.name}: {refusal}')
        finally:
            with self._changed:
                self._running = None
                self._woken = True  # show the new state at once
            job.done.set()

    def _abandon(self) -> None:
        """Release whoever waits; after a bug in the worker too."""
        with self._changed:
            self._closed = True
            waiting = [job for job in (self._running, self._next) if job is not None]
            self._running = self._next = None
        for job in waiting:
            job.done.set()
