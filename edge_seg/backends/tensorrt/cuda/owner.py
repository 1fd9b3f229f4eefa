"""The thread that alone talks to CUDA and TensorRT for one model."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
import threading
import traceback
from typing import Any, cast, TypeVar

Answer = TypeVar('Answer')


class OwnerGone(Exception):
    """The thread does not answer: it was stopped, or a call in it never came back."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class _Ticket:
    task: Callable[[], Any]
    outcome: 'SimpleQueue[_Outcome]'


class OwnerThread:
    """Runs tasks one after the other in a thread of its own; callers wait for their result.

    What CUDA allocates must be freed on the thread that holds the context, and a thread must not
    end with a context pushed: so one thread does all of it. ``SimpleQueue`` hands over within
    microseconds and waits without the GIL. A daemon: a hung GPU must not keep the process from
    ending.
    """

    def __init__(self, name: str) -> None:
        self._tickets: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the next one
        self._gone = ''
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, task: Callable[[], Answer], *, timeout_s: float | None = None) -> Answer:
        """Run a task over there; at once when called from over there.

        Args:
            task: what to run; what it raises is raised here.
            timeout_s: how long it may take; None is for ever.

        Raises:
            OwnerGone: stopped, or the task took too long; nothing runs here from then on.
        """
        if threading.current_thread() is self._thread:
            return task()  # the garbage collector may close a model in the thread of another task
        with self._lock:
            if self._gone:
                raise OwnerGone(self._gone)
            ticket = _Ticket(task, SimpleQueue())
            self._tickets.put(ticket)
        try:
            outcome = ticket.outcome.get(timeout=timeout_s)
        except Empty:
            with self._lock:
                self._gone = self._gone or f'it did not answer within {timeout_s:.0f} s'
                raise OwnerGone(self._gone) from None
        if outcome.error is not None:
            raise outcome.error
        return cast(Answer, outcome.value)

    def stop(self, timeout_s: float, *, last: Callable[[], object] | None = None) -> bool:
        """End the thread after what was asked of it; twice is fine.

        Args:
            timeout_s: how long to wait for the end.
            last: run over there before the end, also when the thread was given up: a GPU that
                answers after all must not leave a thread that ends with a context pushed, which
                would abort the process. What it raises is dropped.

        Returns:
            False when it did not end in time: a call in it hangs.
        """
        with self._lock:
            self._gone = self._gone or 'it was stopped'
            if last is not None:
                self._tickets.put(_Ticket(last, SimpleQueue()))
            self._tickets.put(None)
        if threading.current_thread() is self._thread:
            return True  # it ends after this task
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            ticket = self._tickets.get()
            if ticket is None:
                return
            ticket.outcome.put(_run(ticket.task))
            del ticket  # not held while waiting for the next one


def _run(task: Callable[[], Any]) -> _Outcome:
    try:
        return _Outcome(task(), None)
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
        release_locals(error)
        return _Outcome(None, error)


def release_locals(error: BaseException) -> None:
    """Drop what the frames of an exception hold, here and now.

    A traceback keeps the local variables of every frame it came through: GPU objects among them
    would be freed wherever the exception ends, on another thread and without a context.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        pending += [each.__cause__, each.__context__]
