"""Takes camera messages on a thread of its own, past the executor.

Wait sets and messages taken by hand are not in the public interface of rclpy, but the same from
Humble to Kilted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
import logging
import math
import threading
import time
from typing import Any

from edge_seg.runtime.frames.throttle import Throttle
from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription

logger = logging.getLogger(__name__)

OnMessage = Callable[[Any], None]
OnFailure = Callable[[Exception], None]
OnTaken = Callable[[float, float], None]
"""Told before ``OnMessage`` how long the message travelled, from publishing until it could be
taken, by the clocks of both machines, and how long taking it took; seconds, NaN = not known."""
JOIN_TIMEOUT_S = 5.0
RETRY_S = 0.02
"""Pause after a failure, which may be there again at once."""
ERROR_LOG_PERIOD_S = 5.0
FOUND_WAITING_NS = 50_000
"""A wait that is shorter did not sleep."""


class PastExecutor(CallbackGroup):
    """Keeps the executor away from subscriptions and their events.

    From the events too: the executor would wake for each message that it must not take, again and
    again until the reader has taken it.
    """

    def can_execute(self, entity: Any) -> bool:
        """Refuse."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Refuse."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Take note of nothing."""


@dataclass(frozen=True)
class _Taker:
    """Who is told of the messages of a subscription."""

    on_message: OnMessage
    on_failure: OnFailure
    on_taken: OnTaken


Takers = dict['Subscription[Any]', _Taker]


class FrameReader:
    """Waits for messages of a few subscriptions and hands them over.

    rclpy's executor builds its list of everything that it waits for anew around every callback, in
    Python: with the services and timers of a lifecycle node that takes longer than receiving the
    image. Here the list is the cameras.

    Args:
        node: owner of the subscriptions.
        look: called now and then on the reader's thread, about every ``look_period_s``.
        look_period_s: see ``look``.
    """

    def __init__(self, node: Node, *, look: Callable[[], None], look_period_s: float) -> None:
        self.group = PastExecutor()
        """Callback group to create the subscriptions in."""
        self._context = node.context
        self._look = look
        self._look_period_ns = int(look_period_s * 1e9)
        self._wake = GuardCondition(None, None, context=node.context)
        self._lock = threading.Lock()  # guards the two below
        self._subscriptions: Takers = {}
        self._changed = False
        self._resting: dict[Subscription[Any], float] = {}
        self._stopping = threading.Event()
        self._errors = Throttle(ERROR_LOG_PERIOD_S)
        self._thread = threading.Thread(target=self._run, name='frame_reader', daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over no more messages, and wait for the thread. Twice is fine."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake.trigger()
        self._thread.join(JOIN_TIMEOUT_S)
        self._wake.destroy()

    def attach(
        self,
        subscription: Subscription[Any],
        on_message: OnMessage,
        on_failure: OnFailure = lambda _error: None,
        on_taken: OnTaken = lambda _transport_s, _take_s: None,
    ) -> None:
        """Wait for its messages from now on.

        Args:
            subscription: made in ``group``.
            on_message: told of each message, on the reader's thread.
            on_failure: told there why one could not be taken or handed over.
            on_taken: told there how long its way was.
        """
        with self._lock:
            self._subscriptions[subscription] = _Taker(on_message, on_failure, on_taken)
            self._changed = True
        self._wake.trigger()

    def detach(self, subscription: Subscription[Any]) -> None:
        """Wait for its messages no more; one that was taken before is still handed over."""
        with self._lock:
            self._subscriptions.pop(subscription, None)
            self._changed = True
        self._wake.trigger()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                subscriptions = dict(self._subscriptions)
                self._changed = False
            try:
                self._read(subscriptions)
            except Exception as error:  # noqa: BLE001  a node without ears would be stuck
                if self._changed and isinstance(error, rclpy_implementation.InvalidHandle):
                    continue  # who was detached is destroyed by now
                self._log('waiting for frames', error)
                self._stopping.wait(RETRY_S)

    def _log(self, what: str, error: Exception) -> None:
        if self._errors.admits(what):
            logger.error('%s failed and goes on', what, exc_info=error)

    def _read(self, subscriptions: Takers) -> None:
        """Hand over messages until the subscriptions change or the end is near."""
        with ExitStack() as held:
            context: Any = self._context.handle
            held.enter_context(context)
            held.enter_context(self._wake.handle)
            for subscription in tuple(subscriptions):
                try:
                    held.enter_context(subscription.handle)
                    for handler in subscription.event_handlers:
                        held.enter_context(handler)
                except rclpy_implementation.InvalidHandle:
                    subscriptions.pop(subscription)  # destroyed just now
            events = [handler for each in subscriptions for handler in each.event_handlers]
            of_frames = rclpy_implementation.WaitSet(len(subscriptions), 1, 0, 0, 0, 0, context)
            of_events = rclpy_implementation.WaitSet(0, 0, 0, 0, 0, len(events), context)
            next_look_s = time.monotonic()
            while not (self._stopping.is_set() or self._changed):
                self._wait(of_frames, subscriptions)
                # Not with each frame: both cost more than waiting for it, with many cameras.
                if not self._changed and (now_s := time.monotonic()) >= next_look_s:
                    next_look_s = now_s + self._look_period_ns / 1e9
                    _take_events(of_events, events)
                    self._look()

    def _wait(self, waiting: Any, subscriptions: Takers) -> None:
        awake = self._awake(subscriptions)
        waiting.clear_entities()
        waiting.add_guard_condition(self._wake.handle)
        for subscription in awake:
            waiting.add_subscription(subscription.handle)
        begun_ns = time.monotonic_ns()
        waiting.wait(self._look_period_ns)
        # Who was found waiting has been here for nobody knows how long.
        slept = time.monotonic_ns() - begun_ns > FOUND_WAITING_NS
        ready_s = time.time() if slept else math.nan
        if self._changed:
            return  # what is ready is ready the next time, for those still attached
        ready = waiting.get_ready_entities('subscription')
        for subscription, taker in awake.items():
            if subscription.handle.pointer in ready:
                self._take(subscription, taker, ready_s)

    def _awake(self, subscriptions: Takers) -> Takers:
        """Leave out those that failed just now: the others must not wait for them."""
        if not self._resting:
            return subscriptions
        now_s = time.monotonic()
        self._resting = {each: until for each, until in self._resting.items() if until > now_s}
        return {each: taker for each, taker in subscriptions.items() if each not in self._resting}

    def _take(self, subscription: Subscription[Any], taker: _Taker, ready_s: float) -> None:
        begun_s = time.perf_counter()
        try:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is not None:  # it may have been lost in between
                message, info = taken
                # 0 where the middleware stamps nothing.
                published_s = info['source_timestamp'] / 1e9 or math.nan
                taker.on_taken(ready_s - published_s, time.perf_counter() - begun_s)
                taker.on_message(message)
        except Exception as error:  # noqa: BLE001  one message must not end the stream
            self._resting[subscription] = time.monotonic() + RETRY_S
            taker.on_failure(error)
            self._log(f'taking a message of {subscription.topic}', error)


def _take_events(waiting: Any, events: list[Any]) -> None:
    """Tell of what happened to the subscriptions."""
    if not events:
        return  # nothing to wait for is an error
    waiting.clear_entities()
    for handler in events:
        handler.add_to_wait_set(waiting)
    waiting.wait(0)
    for handler in events:
        if handler.is_ready(waiting):
            handler.callback(handler.take_data())
