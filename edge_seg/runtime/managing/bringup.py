"""Ordered bring-up and reverse teardown of any number of lifecycle nodes."""

from collections.abc import Callable, Sequence
from typing import Literal

from edge_seg.errors import TransitionFailed
from edge_seg.runtime.managing.managed_node import ManagedNode, NodeState, Pacer, Transition
from edge_seg.runtime.managing.transition_driver import TransitionDriver

OnFailure = Literal['teardown', 'leave']
Moves = list[tuple[ManagedNode, Transition]]


class Conductor:
    """Takes a list of nodes up and down; used by one thread.

    Args:
        driver: makes the single transitions.
    """

    def __init__(self, driver: TransitionDriver) -> None:
        self._driver = driver

    def bring_up(
        self,
        nodes: Sequence[ManagedNode],
        *,
        pacer: Pacer,
        on_failure: OnFailure = 'teardown',
        prepare: Callable[[ManagedNode], None] = lambda _node: None,
    ) -> int:
        """Configure all nodes in order, then activate all in order, as nav2 does.

        Nodes that are there already are left alone, so a second call does nothing. With
        'teardown', a failure takes the nodes moved by this call back, in reverse, to the state
        in which they were met; with 'leave' they stay where they got to.

        Args:
            nodes: in order.
            pacer: time.
            on_failure: see above.
            prepare: called with each node that is about to be configured.

        Returns:
            The number of transitions made.

        Raises:
            TransitionFailed: a node failed; the message names node, transition and state met.
            Cancelled: told to stop; nodes stay where they are.
        """
        moved: Moves = []
        try:
            for node in nodes:
                self._configure(node, moved, prepare, pacer=pacer)
            for node in nodes:
                # Again, for a node that restarted between the two phases.
                self._configure(node, moved, prepare, pacer=pacer)
                if self._driver.drive(node, Transition.ACTIVATE, pacer=pacer):
                    moved.append((node, Transition.ACTIVATE))
        except TransitionFailed as failure:
            if on_failure == 'leave' or not moved:
                raise
            raise self._taken_back(moved, failure, pacer=pacer) from failure
        return len(moved)

    def lower(
        self, nodes: Sequence[ManagedNode], goal: NodeState, *, pacer: Pacer
    ) -> tuple[str, ...]:
        """Take nodes down in reverse order, each transition through all nodes before the next.

        A node that fails or is not there does not keep the others from going down.

        Args:
            nodes: in bring-up order.
            goal: INACTIVE, UNCONFIGURED or FINALIZED; nodes below it stay where they are.
            pacer: time.

        Returns:
            What went wrong, one line each; empty when all are down. A node that is not in the
            graph is down.

        Raises:
            Cancelled: told to stop.
        """
        failures: list[str] = []
        lost: set[str] = set()
        for transition in _ways_down(goal):
            for node in reversed(nodes):
                if node.name in lost or not node.incarnation():
                    continue
                try:
                    state = self._driver.settled(node, pacer=pacer, appear_timeout_s=0.0)
                    if state is transition.start:
                        # A node may leave by itself at any moment, between two answers too.
                        self._driver.drive(node, transition, pacer=pacer, appear_timeout_s=0.0)
                except TransitionFailed as failure:
                    lost.add(node.name)
                    if node.incarnation():  # else it ended by itself, which is as good
                        failures.append(str(failure))
        return tuple(failures)

    def _configure(
        self,
        node: ManagedNode,
        moved: Moves,
        prepare: Callable[[ManagedNode], None],
        *,
        pacer: Pacer,
    ) -> None:
        state = self._driver.settled(node, pacer=pacer)
        if state in (NodeState.INACTIVE, NodeState.ACTIVE):
            return
        if state is NodeState.UNCONFIGURED:
            prepare(node)
        if self._driver.drive(node, Transition.CONFIGURE, pacer=pacer):
            moved.append((node, Transition.CONFIGURE))

    def _taken_back(
        self, moved: Moves, failure: TransitionFailed, *, pacer: Pacer
    ) -> TransitionFailed:
        """Undo transitions, newest first, and tell in the error what became of it."""
        stuck: list[str] = []
        for node, transition in reversed(moved):
            try:
                if self._driver.settled(node, pacer=pacer) is transition.goal:
                    self._driver.drive(node, _UNDO[transition], pacer=pacer)
            except TransitionFailed as further:
                stuck.append(further.met)
        names = ', '.join(dict.fromkeys(node.name for node, _ in moved))
        outcome = f'{names} taken back to the state met before'
        if stuck:
            outcome = f'taking {names} back failed too: ' + '; '.join(stuck)
        return TransitionFailed(
            f'{failure.met} ({outcome})', expected=failure.expected, remedy=failure.remedy
        )


_UNDO = {
    Transition.CONFIGURE: Transition.CLEANUP,
    Transition.ACTIVATE: Transition.DEACTIVATE,
}


def _ways_down(goal: NodeState) -> tuple[Transition, ...]:
    steps = (Transition.DEACTIVATE, Transition.CLEANUP, Transition.FINALIZE)
    return steps[: [step.goal for step in steps].index(goal) + 1]
