"""What a lifecycle manager needs to know of a managed node: states, transitions, protocols."""

from dataclasses import dataclass
from enum import Enum
import threading
import time
from typing import Protocol

from edge_seg.errors import EdgeSegError, TransitionFailed


class NodeState(Enum):
    """The state of a managed node as far as it can be known from outside."""

    ABSENT = 'absent'
    """Not in the ROS graph."""
    SILENT = 'silent'
    """In the graph, but no answer in time: busy (a transition, a long callback) or just killed."""
    BUSY = 'busy'
    """It answered that a transition is running."""
    UNCONFIGURED = 'unconfigured'
    INACTIVE = 'inactive'
    ACTIVE = 'active'
    FINALIZED = 'finalized'

    @property
    def is_settled(self) -> bool:
        """True for the four primary states, in which a node stays until asked to move."""
        return self in _PRIMARY


_PRIMARY = frozenset(
    (NodeState.UNCONFIGURED, NodeState.INACTIVE, NodeState.ACTIVE, NodeState.FINALIZED)
)


class Transition(Enum):
    """A lifecycle transition: label, state it starts from, state it should end in."""

    CONFIGURE = ('configure', NodeState.UNCONFIGURED, NodeState.INACTIVE)
    ACTIVATE = ('activate', NodeState.INACTIVE, NodeState.ACTIVE)
    DEACTIVATE = ('deactivate', NodeState.ACTIVE, NodeState.INACTIVE)
    CLEANUP = ('cleanup', NodeState.INACTIVE, NodeState.UNCONFIGURED)
    FINALIZE = ('shutdown', NodeState.UNCONFIGURED, NodeState.FINALIZED)

    def __init__(self, label: str, start: NodeState, goal: NodeState) -> None:
        self.label = label
        self.start = start
        self.goal = goal


class TransitionReply(Enum):
    """What a node answered to a transition; the state read back afterwards decides."""

    DONE = 'done'
    REFUSED = 'refused'
    NO_REPLY = 'no reply'


class NodeTransitionFailed(TransitionFailed):
    """One node did not get where one transition should have taken it.

    Args:
        node: full name of the node.
        transition: the transition that was asked for; None when the node never answered at all.
        state: state that was met.
        why: the fact, without the node's name.
        expected: what would have been right.
        remedy: what to do.
    """

    def __init__(
        self,
        node: str,
        transition: Transition | None,
        *,
        state: NodeState,
        why: str,
        expected: str,
        remedy: str,
    ) -> None:
        step = f'{transition.label}: ' if transition is not None else ''
        super().__init__(f'{node}: {step}{why}', expected=expected, remedy=remedy)
        self.node = node
        self.transition = transition
        self.state = state


class Cancelled(EdgeSegError):
    """The work was given up because a more urgent command came in."""


class Pacer(Protocol):
    """Time as policies see it; every wait is a point at which the work can be cancelled."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Cancelled: somebody wants the present work to stop.
        """

    def check(self) -> None:
        """Raise Cancelled when somebody wants the present work to stop, else do nothing."""


class CancellablePacer:
    """Real time, cancelled from any thread; one per piece of work."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._reason = ''  # written once, before the event is set

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or raise Cancelled as soon as `cancel` is called."""
        self._cancelled.wait(max(0.0, seconds))
        self.check()

    def check(self) -> None:
        """Raise Cancelled once `cancel` was called."""
        if self._cancelled.is_set():
            raise Cancelled(f'cancelled by {self._reason}')

    def cancel(self, reason: str) -> None:
        """Stop the work at its next wait; reason is who wants it, e.g. 'shutdown'."""
        if not self._cancelled.is_set():
            self._reason = reason
            self._cancelled.set()


class StateAnswer(Protocol):
    """A question for the state that is under way."""

    def wait(self, timeout_s: float) -> NodeState:
        """Return the state; SILENT without an answer in time, ABSENT without a node."""


class TransitionAnswer(Protocol):
    """A request for a transition that is under way."""

    def wait(self, timeout_s: float) -> TransitionReply:
        """Return the reply, NO_REPLY while there is none; may be called again later."""


class ManagedNode(Protocol):
    """A lifecycle node in another process."""

    @property
    def name(self) -> str:
        """Full name, '/robot/segmentation'."""

    def ask_state(self) -> StateAnswer:
        """Send the question and return at once, so that many nodes can be asked together."""

    def incarnation(self) -> frozenset[str]:
        """Identities of the processes that hold this name now; empty when there is none.

        A killed process may stay listed until the middleware's lease has run out, so a restarted
        node can show two; a restart is an identity that was not there before.
        """

    def ask_transition(self, transition: Transition) -> TransitionAnswer:
        """Send the request for a transition and return at once."""

    def last_words(self) -> str:
        """Return what the node itself says is wrong with it; '' when it says nothing."""


class Stillness:
    """Notices that a node goes on saying that it is where it was.

    Args:
        start: where it was.
        patience_s: how long it may say so.
    """

    def __init__(self, start: NodeState, patience_s: float) -> None:
        self._start = start
        self._patience_s = patience_s
        self._since: float | None = None

    def lasts(self, state: NodeState, now: float) -> bool:
        """Take note of a state; True once it has been the same for too long."""
        if state is not self._start:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= self._patience_s


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one node."""

    node: str
    state: NodeState
    incarnation: frozenset[str]


def read_state(node: ManagedNode, timeout_s: float) -> NodeState:
    """State of one node; SILENT or ABSENT when it does not answer within timeout_s."""
    return node.ask_state().wait(timeout_s)


def observe(
    nodes: tuple[ManagedNode, ...], timeout_s: float, *, pacer: Pacer
) -> tuple[Observation, ...]:
    """Look at all nodes at once; takes timeout_s at most, however many are silent."""
    answers = tuple((node, node.ask_state()) for node in nodes)
    deadline = pacer.now() + timeout_s
    return tuple(
        Observation(node.name, answer.wait(max(0.0, deadline - pacer.now())), node.incarnation())
        for node, answer in answers
    )
