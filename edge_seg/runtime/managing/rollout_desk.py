"""Starts rollouts, remembers the last one so that it can be taken back, and watches the store."""

from collections.abc import Callable, Sequence
import logging

from edge_seg.runtime.managing.managed_node import (
    CancellablePacer,
    Cancelled,
    NodeState,
    observe,
    Pacer,
)
from edge_seg.runtime.managing.manager_state import ManagerSettings
from edge_seg.runtime.managing.model_node import ModelNode
from edge_seg.runtime.managing.rollout import NodesNotReady, Rollout, RolloutFailed, Step
from edge_seg.runtime.managing.store_watch import StoreWatch

_log = logging.getLogger(__name__)


class RolloutDesk:
    """The manager's side of rollouts; used by one thread, `summary` and `failed` by any.

    Args:
        nodes: all managed nodes.
        settings: see there.
        watch: tells of newly published models; None = do not watch.
        tell: told what is being done, for people.
    """

    def __init__(
        self,
        nodes: Sequence[ModelNode],
        settings: ManagerSettings,
        *,
        watch: StoreWatch | None,
        tell: Callable[[str], None],
    ) -> None:
        self._nodes = tuple(nodes)
        self._settings = settings
        self._watch = watch
        self._rollout = Rollout(settings.rollout, tell=tell)
        self._touched: list[Step] = []  # by the rollout under way, in its order
        self._last: list[Step] = []  # of the last rollout that stands, as far as it does
        self._went_back: dict[str, str] = {}  # in a ~/rollback without steps: what node serves
        self._unfinished = ''  # target of a rollout that was cancelled
        self._published = ''  # found by the watch and not rolled out yet
        self._next_look = 0.0
        self._told_not_ready = False
        self.summary = ''
        self.failed = False

    def run(self, target: str, *, pacer: Pacer) -> str:
        """Roll a model out to all nodes that serve models; return what came of it.

        Raises:
            RolloutFailed: refused, or failed and taken back.
            Cancelled: told to stop; the same rollout again goes on from there.
        """
        nodes = self._participants()
        if not target:
            raise RolloutFailed(
                'the parameter rollout_model is empty',
                expected="a model such as 'floor@2'",
                remedy='set it, then call ~/rollout',
            )
        if self._unfinished != target:
            self._touched = []
        self._went_back.clear()
        self._unfinished = target
        try:
            self._rollout.run(nodes, target, self._touched, pacer=pacer)
        except RolloutFailed as failure:
            self._unfinished = ''
            self._conclude(str(failure), failed=True)
            raise
        except Cancelled:
            done = ', '.join(step.node.name for step in self._touched) or 'no node'
            self._conclude(
                f'{target}: cancelled after {done}; ~/rollback takes it back', failed=True
            )
            raise
        self._unfinished = ''
        self._last = self._touched or self._last
        names = ', '.join(node.name for node in nodes)
        self._conclude(f'{target} serves on {names}', failed=False)
        return self.summary

    def roll_back(self, *, pacer: Pacer) -> str:
        """Take the last rollout back; without one, let each node go to its previous model.

        Raises:
            RolloutFailed: not all nodes are back; called again, it takes back those.
            Cancelled: told to stop; called again, it goes on from there.
        """
        if self._unfinished:
            self._last = self._touched or self._last
        self._unfinished = self._published = ''
        self._touched = []
        try:
            if self._last:
                done = ', '.join(
                    f'{step.node.name} to {step.served or "none"}' for step in self._last
                )
                failures = self._rollout.undo(self._last, pacer=pacer)
            else:
                failures, done = self._each_by_itself(pacer=pacer)
        except Cancelled:
            self._conclude('rollback: cancelled; ~/rollback takes back the rest', failed=True)
            raise
        if failures:
            self._conclude('; '.join(failures), failed=True)
            raise RolloutFailed('; '.join(failures))
        self._conclude(f'rolled back: {done}', failed=False)
        return self.summary

    def look_after(self, *, pacer: Pacer) -> bool:
        """Roll out what was newly published, as soon as all nodes can load it.

        Returns:
            True when a rollout was tried.

        Raises:
            Cancelled: told to stop; the rollout goes on at the next call.
        """
        if self._watch is None:
            return False
        if pacer.now() >= self._next_look:
            self._next_look = pacer.now() + self._settings.watch_period_s
            self._published = self._watch.look() or self._published
        if not self._published:
            return False
        try:
            self.run(self._published, pacer=pacer)
        except NodesNotReady as reason:
            if not self._told_not_ready:
                _log.warning('%s waits for its rollout: %s', self._published, reason)
            self._told_not_ready = True
            return False
        except RolloutFailed as failure:
            _log.error('newly published %s: %s', self._published, failure)
        self._published = ''
        self._told_not_ready = False
        return True

    def _each_by_itself(self, *, pacer: Pacer) -> tuple[tuple[str, ...], str]:
        """Let every node go to its previous model, once: twice would be there and back."""
        failures: list[str] = []
        for node in reversed(self._participants()):
            status = node.served_model()
            if status is not None and self._went_back.get(node.name) == status.model:
                continue
            try:
                self._went_back[node.name] = self._rollout.step_back(node, pacer=pacer)
            except RolloutFailed as failure:
                failures.append(str(failure))
        done = ', '.join(f'{name} to {model}' for name, model in self._went_back.items())
        if not failures:
            self._went_back.clear()
        return tuple(failures), done

    def _participants(self) -> tuple[ModelNode, ...]:
        """Nodes that serve models, in their order; refuses when one cannot load now."""
        names = self._settings.rollout_nodes
        by_name = {node.name: node for node in self._nodes}
        if names:
            nodes = tuple(by_name[name] for name in names)
        else:
            nodes = tuple(node for node in self._nodes if node.serves_models())
        if not nodes:
            raise NodesNotReady(
                'no managed node publishes ~/model_status',
                expected='at least one node that serves models',
                remedy='bring the nodes up with ~/startup, or name them in rollout_nodes',
            )
        seen = observe(nodes, self._settings.rollout.answer_timeout_s, pacer=CancellablePacer())
        for one in seen:
            if one.state not in (NodeState.ACTIVE, NodeState.INACTIVE):
                raise NodesNotReady(
                    f'{one.node} is {one.state.value}',
                    expected='all nodes that serve models active or inactive',
                    remedy='bring them up with ~/startup first',
                )
        return nodes

    def _conclude(self, summary: str, *, failed: bool) -> None:
        self.summary = summary
        self.failed = failed
        (_log.error if failed else _log.info)('rollout: %s', summary)
