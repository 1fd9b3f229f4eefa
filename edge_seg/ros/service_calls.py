"""Service calls that are waited for in a thread that does not spin."""

from collections.abc import Callable
import threading
import time
from typing import Any

# A node that leaves the graph will not answer: found out after so long, not after the timeout.
PRESENCE_CHECK_S = 0.1


class Call:
    """One service call; waited for in a thread that does not spin."""

    def __init__(
        self,
        client: Any,
        lock: threading.Lock,
        request: Any,
        *,
        answered: threading.Event | None = None,
    ) -> None:
        self._client = client
        self._answered = threading.Event() if answered is None else answered
        with lock:  # on Humble call_async is not safe from two threads
            self._future = client.call_async(request)
        self._future.add_done_callback(lambda _future: self._answered.set())

    def wait(self, timeout_s: float) -> Any | None:
        """Return the response, None while there is none."""
        if not self._answered.wait(max(0.0, timeout_s)):
            return None
        return self._future.result()

    @property
    def response(self) -> Any | None:
        """The response, None while there is none."""
        return self._future.result() if self._future.done() else None

    def abandon(self) -> None:
        """Forget the call; without this an unanswered one would be kept for ever."""
        self._client.remove_pending_request(self._future)


class Question:
    """A service call that is made again until it is answered; sent first when it is made.

    Args:
        client: of the service.
        lock: held while sending.
        request: what is asked.
        again_s: pause before it is asked again; infinite for what must not be done twice.
        listed: tells whether the node is in the graph.
    """

    def __init__(
        self,
        client: Any,
        lock: threading.Lock,
        request: Any,
        *,
        again_s: float,
        listed: Callable[[], bool],
    ) -> None:
        self._client = client
        self._lock = lock
        self._request = request
        self._again_s = again_s
        self._listed = listed
        self._answered = threading.Event()
        self._calls: list[Call] = []
        self._asked_at = 0.0
        self._ask()

    def wait(self, timeout_s: float) -> Any | None:
        """Return the response; None when none comes in time or the node is gone. Call it once."""
        deadline = time.monotonic() + timeout_s
        while not self._answered.wait(min(max(0.0, timeout_s), PRESENCE_CHECK_S)):
            timeout_s = deadline - time.monotonic()
            if timeout_s <= 0.0 or not self._listed():
                break
            if not self._calls or time.monotonic() - self._asked_at >= self._again_s:
                self._ask()
        responses = [call.response for call in self._calls]
        for call in self._calls:
            call.abandon()
        return next((response for response in responses if response is not None), None)

    def _ask(self) -> None:
        if self._client.service_is_ready():
            self._asked_at = time.monotonic()
            self._calls.append(
                Call(self._client, self._lock, self._request, answered=self._answered)
            )
