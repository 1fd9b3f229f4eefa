"""Lets a node whose process died come back with the model that it served."""

from collections.abc import Sequence
from dataclasses import dataclass
import logging

from edge_seg.runtime.managing.managed_node import ManagedNode, NodeState, Observation
from edge_seg.runtime.managing.model_node import AT_REST, ModelNode, ServedModel

_log = logging.getLogger(__name__)

# A process that has just started may not be reached by the first request: the middleware still
# lists the killed one, so the service looks as if it were there.
ATTEMPTS = 3
DEAD = (NodeState.SILENT, NodeState.ABSENT)


@dataclass(frozen=True, slots=True)
class _Launch:
    """With which parameter `model` a process started; None: it was up when it was first met."""

    processes: frozenset[str]
    model: str | None


class ModelMemory:
    """Remembers what nodes were launched with and what they served; used by one thread.

    A process that was started again by its launch file has the parameter it was launched with,
    and would load an older model, or one published since. When that parameter is the same as
    last time, nobody has chosen anything new, and the model that served is what is wanted.

    Args:
        nodes: all managed nodes; those without a parameter `model` are left alone.
        answer_timeout_s: wait for one answer of a node.
    """

    def __init__(self, nodes: Sequence[ModelNode], *, answer_timeout_s: float) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._answer_timeout_s = answer_timeout_s
        self._launched: dict[str, _Launch] = {}
        self._served: dict[str, str] = {}
        self._overruled: dict[str, ServedModel | None] = {}  # last words that do not count

    def note_served(self) -> None:
        """Take what the nodes said last; a killed one may have said it just before its end."""
        for node in self._nodes.values():
            status = node.last_status()
            if status is None or status.stage not in AT_REST or not status.model:
                continue
            if status == self._overruled.get(node.name):
                continue
            if '/' in status.requested:  # by path: its name need not be in any store
                self._served.pop(node.name, None)
            else:
                self._served[node.name] = status.model

    def note_rollout(self, observations: Sequence[Observation]) -> None:
        """Take what the nodes say after a rollout, done or taken back.

        One that died before its end comes back with what it served before: the others may have
        gone back, and it fails the rollout in any case.
        """
        for seen in observations:
            node = self._nodes[seen.node]
            if seen.state in DEAD or node.served_model() is None:
                self._overruled[node.name] = node.last_status()
        self.note_served()

    def note_launch(self, node: ManagedNode) -> None:
        """Remember the parameter of a process that is about to be configured first."""
        if not self._is_known(node):
            self._learn(node)

    def note_adoption(self, node: ManagedNode) -> None:
        """Remember a process that was up already: its parameter now says what it serves.

        What it was launched with cannot be known. Launch files start a process again with the
        same parameters, so it comes back with what it served.
        """
        if not self._is_known(node):
            self._launched[node.name] = _Launch(node.incarnation(), None)

    def restore(self, node: ManagedNode) -> None:
        """Set the parameter of a process that is about to be configured after a restart."""
        if self._is_known(node):
            return
        before = self._launched.get(node.name)
        launched = self._learn(node)
        served = self._served.get(node.name, '')
        if before is None or launched is None:
            return
        if before.model is not None and launched.model != before.model:
            return
        if served and served != launched.model:
            self._set(self._nodes[node.name], served)

    def _is_known(self, node: ManagedNode) -> bool:
        launched = self._launched.get(node.name)
        return launched is not None and not node.incarnation() - launched.processes

    def _learn(self, node: ManagedNode) -> _Launch | None:
        for _ in range(ATTEMPTS):
            model = self._nodes[node.name].get_model(self._answer_timeout_s)
            if model is not None:
                launched = _Launch(node.incarnation(), model)
                self._launched[node.name] = launched
                return launched
        return None

    def _set(self, node: ModelNode, model: str) -> None:
        for _ in range(ATTEMPTS):
            reply = node.set_model(model, self._answer_timeout_s)
            if reply.accepted:
                _log.info('%s: will load %s, which it served before', node.name, model)
                return
        _log.error('%s: comes back without %s: %s', node.name, model, reply.reason)
