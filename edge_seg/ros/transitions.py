"""The guard around lifecycle transitions: no reason for a failure is ever lost.

rclpy turns an exception in a transition callback into ERROR and forgets it. Here an expected
refusal (EdgeSegError) to configure or activate becomes FAILURE: the node is back where it was. A
bug becomes ERROR, and so does whatever keeps a node from letting go: what it has let go of by then
does not come back, so on_error frees the rest. All are logged with their cause.
"""

from collections.abc import Callable
import functools
import traceback
from typing import Protocol, TypeVar

from edge_seg.errors import EdgeSegError
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn


class TransitionNode(Protocol):
    """A node that can log and remember why a transition did not succeed."""

    def get_logger(self) -> RcutilsLogger:
        """Give the node's logger."""

    def transition_refused(self, transition: str, reason: str) -> None:
        """Remember the reason, for diagnostics."""


NodeT = TypeVar('NodeT', bound=TransitionNode)
Transition = Callable[[NodeT, LifecycleState], TransitionCallbackReturn]
UNDONE = ('on_configure', 'on_activate')
"""Transitions that undo what they did before they refuse."""


def guarded(transition: Transition[NodeT]) -> Transition[NodeT]:
    """Wrap an ``on_...`` method of a lifecycle node."""

    @functools.wraps(transition)
    def run(node: NodeT, state: LifecycleState) -> TransitionCallbackReturn:
        name = transition.__name__
        try:
            return transition(node, state)
        except EdgeSegError as refusal:
            undone = name in UNDONE
            node.get_logger().error(f'{name} {"refused" if undone else "failed"}: {refusal}')
            node.transition_refused(name, str(refusal))
            return TransitionCallbackReturn.FAILURE if undone else TransitionCallbackReturn.ERROR
        except Exception as bug:  # noqa: BLE001  the border to rclpy, which would swallow it
            node.get_logger().fatal(f'{name} failed:\n{traceback.format_exc()}')
            node.transition_refused(name, f'{type(bug).__name__}: {bug}')
            return TransitionCallbackReturn.ERROR

    return run
