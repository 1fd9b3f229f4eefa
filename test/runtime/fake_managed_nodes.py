"""Managed nodes and time that tests control."""

from collections.abc import Callable
from dataclasses import dataclass, field
import itertools

from edge_seg.runtime.managing.managed_node import (
    Cancelled,
    NodeState,
    Transition,
    TransitionReply,
)
from edge_seg.runtime.managing.model_node import Reply, ServedModel

_serial = itertools.count()


class FakePacer:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.cancel_at = float('inf')
        self.events: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += max(seconds, 0.001)
        for event in [event for event in self.events if event[0] <= self.time]:
            self.events.remove(event)
            event[1]()
        self.check()

    def check(self) -> None:
        if self.time >= self.cancel_at:
            raise Cancelled('cancelled by the test')

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        self.events.append((time_s, action))


@dataclass
class FakeNode:
    """Implements ManagedNode and ModelNode.

    `outcomes` says where a transition ends instead of in its goal; `takes_s` how long it takes;
    `loses_replies` that the reply never comes; `loses_requests` how many requests for a transition
    do not reach it; `answers_left` after how many answers to the question for its state it leaves;
    `resolves` what a request names here.
    """

    name: str
    pacer: FakePacer
    journal: list[str] = field(default_factory=list)
    state: NodeState = NodeState.UNCONFIGURED
    outcomes: dict[Transition, NodeState] = field(default_factory=dict)
    takes_s: dict[Transition, float] = field(default_factory=dict)
    loses_replies: bool = False
    loses_requests: int = 0
    ignores_requests: bool = False
    answers_left: int | None = None
    words: str = ''
    processes: set[str] = field(default_factory=set)
    model: str = 'floor@1'
    parameter: str | None = 'floor@1'
    previous_model: str = ''
    refuses: dict[str, str] = field(default_factory=dict)
    rejects: dict[str, str] = field(default_factory=dict)
    can_roll_back: bool = True
    loses_answers: bool = False
    resolves: dict[str, str] = field(default_factory=dict)
    status: ServedModel | None = None

    def __post_init__(self) -> None:
        self.processes = self.processes or {f'process {next(_serial)}'}
        self.status = ServedModel(self.model, 'serving', self.model, 1, '')
        self.before: ServedModel | None = None

    # ManagedNode

    def incarnation(self) -> frozenset[str]:
        return frozenset(self.processes)

    def ask_state(self) -> 'FakeNode':
        return self

    def wait(self, timeout_s: float) -> NodeState:
        if self.state in (NodeState.SILENT,):
            self.pacer.wait(timeout_s)
        state = self.state
        if self.answers_left is not None:
            self.answers_left -= 1
            if self.answers_left == 0:
                self.die()
        return state

    def ask_transition(self, transition: Transition) -> 'FakeTransition':
        self.loses_requests -= 1
        if self.ignores_requests or self.loses_requests >= 0:
            return FakeTransition(self, TransitionReply.NO_REPLY)
        self.journal.append(f'{transition.label} {self.name}')
        takes_s = self.takes_s.get(transition, 0.0)
        end = self.outcomes.get(transition, transition.goal)
        answer = FakeTransition(self, TransitionReply.NO_REPLY)

        def finish() -> None:
            self.state = end
            if end is NodeState.INACTIVE and self.status is None and self.parameter is not None:
                self.model = self.parameter
                self.status = ServedModel(self.model, 'serving', self.model, 1, '')
            if not self.loses_replies:
                good = end is transition.goal
                answer.reply = TransitionReply.DONE if good else TransitionReply.REFUSED

        if takes_s:
            self.state = NodeState.SILENT
            self.pacer.at(self.pacer.time + takes_s, finish)
        else:
            finish()
        return answer

    def last_words(self) -> str:
        return self.words

    # What tests do to it

    def die(self) -> None:
        self.state = NodeState.ABSENT
        self.processes = set()

    def restart(self, *, old_one_still_listed: bool = False) -> None:
        self.state = NodeState.UNCONFIGURED
        kept = self.processes if old_one_still_listed else set()
        self.processes = {*kept, f'process {next(_serial)}'}
        self.before = self.status
        self.status = None  # an unconfigured process says nothing
        self.previous_model = ''

    # ModelNode

    def serves_models(self) -> bool:
        return self.status is not None

    def served_model(self) -> ServedModel | None:
        return self.status

    def last_status(self) -> ServedModel | None:
        return self.status or self.before

    def get_model(self, timeout_s: float) -> str | None:
        return self.parameter

    def set_model(self, model: str, timeout_s: float) -> Reply:
        self.journal.append(f'{self.name} model={model}')
        if model in self.refuses:
            return Reply(False, self.refuses[model])
        if self.status is None:
            self.parameter = model
            return Reply(True, '')
        self._load(model)
        if self.loses_answers:
            return Reply(False, 'no answer', answered=False)
        return Reply(True, '')

    def roll_back(self, timeout_s: float) -> Reply:
        self.journal.append(f'rollback {self.name}')
        if not self.can_roll_back or not self.previous_model:
            return Reply(False, 'there is no previous model')
        self._serve(self.previous_model)
        return Reply(True, f'serving {self.model}')

    def _load(self, model: str) -> None:
        assert self.status is not None
        request = self.status.request_id + 1
        self.status = ServedModel(self.model, 'load', model, request, '')
        processes = set(self.processes)

        def finish() -> None:
            if processes != self.processes:
                return  # the process that was loading is gone
            if model in self.rejects:
                self.status = ServedModel(
                    self.model, 'rejected', model, request, self.rejects[model]
                )
            else:
                self._serve(self.resolves.get(model, model))

        self.pacer.at(self.pacer.time + 1.0, finish)

    def _serve(self, model: str) -> None:
        assert self.status is not None
        self.previous_model, self.model = self.model, model
        self.parameter = model
        self.status = ServedModel(
            model, 'serving', self.status.requested, self.status.request_id, ''
        )


@dataclass
class FakeTransition:
    """Implements TransitionAnswer; the reply comes with the passing of time."""

    node: FakeNode
    reply: TransitionReply

    def wait(self, timeout_s: float) -> TransitionReply:
        if self.reply is TransitionReply.NO_REPLY and timeout_s > 0:
            self.node.pacer.wait(timeout_s)
        return self.reply
