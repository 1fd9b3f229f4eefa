"""Makes one transition of one lifecycle node and believes nothing but the state read back."""

from collections.abc import Callable
from dataclasses import dataclass
import logging

from edge_seg.runtime.managing.managed_node import (
    ManagedNode,
    NodeState,
    NodeTransitionFailed,
    Pacer,
    read_state,
    StateAnswer,
    Stillness,
    Transition,
    TransitionAnswer,
    TransitionReply,
)

WORDS_TIMEOUT_S = 1.0
"""How long a refusal waits for its reason."""

LOOK_S = 0.5
"""While a reply is awaited, time between two questions for the state."""

SENDS = 2
"""A request that did not reach its node is sent again, until it was sent so often."""

NO_REPLY = '%s: no reply to %s within %.1f s; reading its state until it is known'

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TransitionLimits:
    """How long a manager waits; all in seconds.

    Attributes:
        reply_timeout_s: wait for the reply to a transition. When it has passed, the state is
            polled: a missing reply is not a failure (navigation2 issue 6556).
        limit_s: from the request on; a node that is still busy or silent then has failed.
        answer_timeout_s: wait for one answer to the question for the state.
        appear_timeout_s: wait for a node to appear in the graph.
        poll_s: pause between two looks.
        unmoved_s: a node that answers, says for so long that it is still where it started, and
            sends no reply, did not take the request.
    """

    reply_timeout_s: float = 10.0
    limit_s: float = 180.0
    answer_timeout_s: float = 1.0
    appear_timeout_s: float = 10.0
    poll_s: float = 0.1
    unmoved_s: float = 2.0


class TransitionDriver:
    """Moves one node by one transition; used by one thread.

    Args:
        limits: how long to wait.
        tell: told what is being done, for people ('configure /segmentation').
    """

    def __init__(self, limits: TransitionLimits, *, tell: Callable[[str], None]) -> None:
        self._limits = limits
        self._tell = tell

    def drive(
        self,
        node: ManagedNode,
        transition: Transition,
        *,
        pacer: Pacer,
        appear_timeout_s: float | None = None,
    ) -> bool:
        """Make one transition and read the state back.

        Args:
            node: to move.
            transition: to make.
            pacer: time.
            appear_timeout_s: as `settled`.

        Returns:
            False when the node was in the goal state already.

        Raises:
            NodeTransitionFailed: it is not in the goal state; a timeout alone is no failure.
            Cancelled: told to stop.
        """
        met = self.settled(node, pacer=pacer, appear_timeout_s=appear_timeout_s)
        if met is transition.goal:
            return False
        if met is not transition.start:
            raise NodeTransitionFailed(
                node.name,
                transition,
                state=met,
                why=f'the node is {met.value}',
                expected=transition.start.value,
                remedy=_remedy(node, met),
            )
        self._tell(f'{transition.label} {node.name}')
        before = node.incarnation()
        started = pacer.now()
        state = self._moved(node, transition, before, pacer=pacer)
        if state is not transition.goal:
            self._await_words(node, state, pacer=pacer)
            raise self._failure(node, transition, state, restarted=node.incarnation() - before)
        _log.info(
            '%s: %s, now %s (%.2f s)',
            node.name,
            transition.label,
            state.value,
            pacer.now() - started,
        )
        return True

    def settled(
        self, node: ManagedNode, *, pacer: Pacer, appear_timeout_s: float | None = None
    ) -> NodeState:
        """Wait until a node is there and in a primary state.

        An absent node has `appear_timeout_s`, by default that of the limits. One that is silent
        or in a transition has `limit_s`: rclpy nodes with a single-threaded executor answer
        nothing while a transition runs, so silence is what a long configure looks like.

        Raises:
            NodeTransitionFailed: it never answered with a primary state.
            Cancelled: told to stop.
        """
        limits = self._limits
        if appear_timeout_s is None:
            appear_timeout_s = limits.appear_timeout_s
        started = pacer.now()
        while True:
            state = read_state(node, limits.answer_timeout_s)
            if state.is_settled:
                return state
            absent = state is NodeState.ABSENT
            patience_s = appear_timeout_s if absent else limits.limit_s
            if pacer.now() - started >= patience_s:
                raise NodeTransitionFailed(
                    node.name,
                    None,
                    state=state,
                    why=f'{_WHY_UNSETTLED[state]} for {patience_s:.1f} s',
                    expected='an answer to get_state with a primary state',
                    remedy=_remedy(node, state),
                )
            self._tell(f'waiting for {node.name}')
            pacer.wait(limits.poll_s)

    def _moved(
        self,
        node: ManagedNode,
        transition: Transition,
        before: frozenset[str],
        *,
        pacer: Pacer,
    ) -> NodeState:
        """Send the request; return the state once it is the outcome or time is up."""
        deadline = pacer.now() + self._limits.limit_s
        for _ in range(SENDS):
            answer = node.ask_transition(transition)
            if not self._await_reply(node, transition, answer, before, pacer=pacer):
                break
            # Before two processes know all of each other, the middleware drops requests and
            # replies. One that arrives late after all is refused: the transition is made by then.
            _log.warning('%s: the request to %s did not arrive', node.name, transition.label)
        still = Stillness(transition.start, self._limits.unmoved_s)
        while True:
            replied = answer.wait(0.0) is not TransitionReply.NO_REPLY
            state = read_state(node, self._limits.answer_timeout_s)
            now = pacer.now()
            unmoved = still.lasts(state, now)
            known = state.is_settled and state is not transition.start
            if known or state is NodeState.ABSENT or now >= deadline:
                return state
            if state is transition.start and (replied or unmoved):
                return state
            pacer.wait(self._limits.poll_s)

    def _await_reply(
        self,
        node: ManagedNode,
        transition: Transition,
        answer: TransitionAnswer,
        before: frozenset[str],
        *,
        pacer: Pacer,
    ) -> bool:
        """Wait for the reply, but not longer than somebody is there to send it.

        Replies get lost, so the state is looked at, too. Most nodes answer such a question only
        after the transition: until then its answer is not waited for.

        Returns:
            True when the node says for `unmoved_s` that it is where it was: it knows of nothing.
        """
        started = looked = pacer.now()
        still = Stillness(transition.start, self._limits.unmoved_s)
        question: StateAnswer | None = None
        while answer.wait(self._limits.poll_s) is TransitionReply.NO_REPLY:
            pacer.check()
            present = node.incarnation()
            if present - before or not present:
                return False
            now = pacer.now()
            if question is not None:
                state, question = question.wait(0.0), None
                if state is transition.goal:
                    return False
                if state is not NodeState.SILENT and still.lasts(state, now):
                    return True
            elif now - looked >= LOOK_S:
                question, looked = node.ask_state(), now
            if now - started >= self._limits.reply_timeout_s:
                _log.warning(NO_REPLY, node.name, transition.label, self._limits.reply_timeout_s)
                return False
        return False

    def _await_words(self, node: ManagedNode, state: NodeState, *, pacer: Pacer) -> None:
        """Give a node that refused a moment to say why: its words may come after its reply."""
        started = pacer.now()
        while (
            state.is_settled and not node.last_words() and pacer.now() - started < WORDS_TIMEOUT_S
        ):
            pacer.wait(self._limits.poll_s)

    def _failure(
        self,
        node: ManagedNode,
        transition: Transition,
        state: NodeState,
        *,
        restarted: frozenset[str],
    ) -> NodeTransitionFailed:
        if restarted:
            why = f'the node restarted meanwhile and is {state.value}'
        elif state is NodeState.ABSENT:
            why = 'the node died'
        elif state in (NodeState.SILENT, NodeState.BUSY):
            why = f'{_WHY_UNSETTLED[state]} after {self._limits.limit_s:.1f} s'
        elif state is transition.start:
            why = f'refused, the node stayed {state.value}'
        else:
            why = f'failed, the node is now {state.value}'
        words = node.last_words()
        if words:
            why = f'{why}; it says: {words}'
        return NodeTransitionFailed(
            node.name,
            transition,
            state=state,
            why=why,
            expected=transition.goal.value,
            remedy=_remedy(node, state),
        )


_WHY_UNSETTLED = {
    NodeState.ABSENT: 'not in the ROS graph',
    NodeState.SILENT: 'no answer',
    NodeState.BUSY: 'still in a transition',
}


def _remedy(node: ManagedNode, state: NodeState) -> str:
    if state is NodeState.ABSENT:
        return 'start its process; check its name, namespace and ROS_DOMAIN_ID'
    if state in (NodeState.SILENT, NodeState.BUSY):
        return 'look into its log; a node that hangs must be killed and started again'
    if state is NodeState.FINALIZED:
        return 'a finalized node cannot come back: start its process again'
    return f'look into the log of {node.name}; by hand: ros2 lifecycle get {node.name}'
