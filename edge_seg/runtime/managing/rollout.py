"""Brings a model to several nodes one by one; takes it back from all when one fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import logging
from typing import Protocol

from edge_seg.errors import EdgeSegError
from edge_seg.runtime.managing.managed_node import ManagedNode, Pacer

_log = logging.getLogger(__name__)

AT_REST = frozenset(('serving', 'rejected', 'none'))
"""Stages of ~/model_status without a load under way."""

_ROLLBACK_POSSIBLE = AT_REST | {'probation'}


class RolloutFailed(EdgeSegError):
    """A model was not rolled out, or could not be taken back; the message says what serves."""


class NodesNotReady(RolloutFailed):
    """A rollout cannot begin: a node that takes part cannot load a model now."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a node says on ~/model_status.

    Attributes:
        model: 'name@version' that serves, '' for none.
        stage: 'serving' or 'none' at rest, a load stage while loading, 'rejected' after a load
            that failed.
        requested: text of the last request.
        request_id: counts the requests.
        last_error: why the last candidate was refused.
    """

    model: str
    stage: str
    requested: str
    request_id: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a node answered to a request; accepted is False without an answer, too.

    ``answered`` is False when no answer came: the node may have taken the request all the same.
    """

    accepted: bool
    reason: str
    answered: bool = True


class ModelNode(ManagedNode, Protocol):
    """A managed node with a parameter `model` and a topic `~/model_status`."""

    def serves_models(self) -> bool:
        """Say whether somebody publishes the node's ~/model_status."""

    def served_model(self) -> ServedModel | None:
        """Return the last ~/model_status; None when none came yet."""

    def get_model(self, timeout_s: float) -> str | None:
        """Read the parameter `model`; None without an answer."""

    def set_model(self, model: str, timeout_s: float) -> Reply:
        """Set the parameter `model`; the load itself goes on in the background."""

    def roll_back(self, timeout_s: float) -> Reply:
        """Call ~/rollback, which puts the node's previous model back."""


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """How long a rollout waits, in seconds.

    Attributes:
        answer_timeout_s: for one answer of a node.
        load_timeout_s: for one node to load and try the model, an engine build included.
        poll_s: pause between two looks at ~/model_status.
    """

    answer_timeout_s: float = 2.0
    load_timeout_s: float = 300.0
    poll_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """One node that a rollout touched, and how to restore it.

    Attributes:
        node: the node.
        served: what it served before, '' for none.
        restore: text for its parameter `model` that brings that back.
        request_id: the node's count of requests before.
    """

    node: ModelNode
    served: str
    restore: str
    request_id: int


class Rollout:
    """Changes models; used by one thread.

    Args:
        limits: how long to wait.
        tell: told what is being done, for people.
    """

    def __init__(self, limits: RolloutLimits, *, tell: Callable[[str], None]) -> None:
        self._limits = limits
        self._tell = tell

    def run(
        self, nodes: Sequence[ModelNode], target: str, touched: list[Step], *, pacer: Pacer
    ) -> None:
        """Let each node in order load `target`; all go back when one does not.

        Args:
            nodes: in the order of the rollout; those that serve the target already are skipped.
            target: text for the parameter `model`.
            touched: a step is appended for each node before it is touched. Steps of a cancelled
                run that is taken up again may be in it.
            pacer: time.

        Raises:
            RolloutFailed: a node refused it; all are back unless the message says otherwise.
            Cancelled: told to stop; nodes done so far keep the new model.
        """
        for node in nodes:
            try:
                before = self._known(node, pacer=pacer)
                if before.model == target and before.stage in AT_REST:
                    _log.info('%s: serves %s already', node.name, target)
                    continue
                if node.name not in (step.node.name for step in touched):
                    touched.append(self._restore_point(node, before))
                self._tell(f'rolling {target} out to {node.name}')
                self._load(node, target, pacer=pacer)
            except RolloutFailed as failure:
                stuck = self.undo(touched, pacer=pacer)
                raise _after_undo(failure, touched, stuck) from failure

    def undo(self, steps: Sequence[Step], *, pacer: Pacer) -> tuple[str, ...]:
        """Restore what served before, newest step first.

        A node that had no other request since goes back by its own ~/rollback, which needs no
        load. For others, ~/rollback could lead to any model: the parameter is set.

        Returns:
            What went wrong, one line for each node that is not back.

        Raises:
            Cancelled: told to stop.
        """
        failures: list[str] = []
        for step in reversed(steps):
            self._tell(f'taking {step.node.name} back to {step.served or "no model"}')
            try:
                self._restore(step, pacer=pacer)
            except RolloutFailed as failure:
                failures.append(str(failure))
        return tuple(failures)

    def _restore_point(self, node: ModelNode, before: ServedModel) -> Step:
        parameter = node.get_model(self._limits.answer_timeout_s)
        if parameter is None:
            raise _failed(node, 'its parameter model cannot be read', 'a node with that parameter')
        # 'floor' or 'floor@latest' would resolve to the new version again; a path only to itself.
        restore = parameter if '/' in parameter or not before.model else before.model
        return Step(node, before.model, restore, before.request_id)

    def _load(self, node: ModelNode, target: str, *, pacer: Pacer) -> None:
        before = self._known(node, pacer=pacer)
        process = node.incarnation()
        self._request(node, target, before, pacer=pacer)
        deadline = pacer.now() + self._limits.load_timeout_s
        while True:
            if node.incarnation() - process or not node.incarnation():
                raise _failed(node, f'it died while loading {target!r}', 'a node that lives')
            status = node.served_model()
            if status is not None and status.request_id > before.request_id:
                if status.requested != target:
                    raise _failed(
                        node, f'somebody else requested {status.requested!r}', f'{target!r}'
                    )
                if status.stage == 'rejected':
                    raise _failed(node, f'{target!r} {status.last_error}', 'a model it accepts')
                if status.stage == 'serving':
                    _log.info('%s: serves %s', node.name, status.model)
                    return
            if pacer.now() >= deadline:
                stage = status.stage if status is not None else 'unknown'
                raise _failed(
                    node,
                    f'{target!r} is at stage {stage} after {self._limits.load_timeout_s:.0f} s',
                    'serving',
                )
            pacer.wait(self._limits.poll_s)

    def _request(self, node: ModelNode, target: str, before: ServedModel, *, pacer: Pacer) -> None:
        """Set the parameter; a request whose answer was lost is looked for on ~/model_status."""
        reply = node.set_model(target, self._limits.answer_timeout_s)
        deadline = pacer.now() + self._limits.answer_timeout_s
        while not reply.accepted:
            status = node.served_model()
            if not reply.answered and status is not None and status.request_id > before.request_id:
                return  # whose it is, is seen next
            if reply.answered or pacer.now() >= deadline:
                raise _failed(node, f'{target!r} refused: {reply.reason}', 'a model it accepts')
            pacer.wait(self._limits.poll_s)

    def _restore(self, step: Step, *, pacer: Pacer) -> None:
        status = self._resting(step.node, _ROLLBACK_POSSIBLE, pacer=pacer)
        if status.model == step.served:
            return
        if not step.served or status.request_id == step.request_id + 1:
            reply = step.node.roll_back(self._limits.answer_timeout_s)
            if self._went_back(step, reply, pacer=pacer):
                return
            if not step.served:
                raise _failed(step.node, f'~/rollback: {reply.reason}', 'no model')
        self._load(step.node, step.restore, pacer=pacer)

    def _went_back(self, step: Step, reply: Reply, *, pacer: Pacer) -> bool:
        """Look what came of ~/rollback; a reply that is late is no refusal."""
        deadline = pacer.now() + self._limits.answer_timeout_s
        while self._resting(step.node, AT_REST, pacer=pacer).model != step.served:
            if not reply.accepted or pacer.now() >= deadline:
                return False
            pacer.wait(self._limits.poll_s)
        return True

    def _known(self, node: ModelNode, *, pacer: Pacer) -> ServedModel:
        deadline = pacer.now() + self._limits.answer_timeout_s
        while True:
            status = node.served_model()
            if status is not None:
                return status
            if pacer.now() >= deadline:
                raise _failed(node, 'nothing on ~/model_status', 'a node that publishes it')
            pacer.wait(self._limits.poll_s)

    def _resting(self, node: ModelNode, stages: frozenset[str], *, pacer: Pacer) -> ServedModel:
        """Wait until a node is at one of these stages."""
        deadline = pacer.now() + self._limits.load_timeout_s
        while True:
            status = self._known(node, pacer=pacer)
            if status.stage in stages:
                return status
            if pacer.now() >= deadline or not node.incarnation():
                raise _failed(node, f'still at stage {status.stage}', 'a load that ends')
            pacer.wait(self._limits.poll_s)


def _failed(node: ModelNode, met: str, expected: str) -> RolloutFailed:
    return RolloutFailed(
        f'{node.name}: {met}',
        expected=expected,
        remedy=f'see its log, and ros2 topic echo {node.name}/model_status',
    )


def _after_undo(
    failure: RolloutFailed, steps: Sequence[Step], stuck: Sequence[str]
) -> RolloutFailed:
    outcome = 'nothing was changed'
    if stuck:
        outcome = 'NOT all could be taken back: ' + '; '.join(stuck)
    elif steps:
        outcome = 'all back: ' + ', '.join(
            f'{step.node.name} serves {step.served or "no model"}' for step in steps
        )
    return RolloutFailed(
        f'{failure.met} ({outcome})', expected=failure.expected, remedy=failure.remedy
    )
