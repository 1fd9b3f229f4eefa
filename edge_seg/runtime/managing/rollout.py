"""Brings a model to several nodes one by one; takes it back from all when one fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import logging

from edge_seg.errors import EdgeSegError
from edge_seg.models.reference import is_path
from edge_seg.runtime.managing.managed_node import Pacer
from edge_seg.runtime.managing.model_node import AT_REST, ModelNode, Reply, ServedModel

_log = logging.getLogger(__name__)

_ROLLBACK_POSSIBLE = AT_REST | {'probation'}


class RolloutFailed(EdgeSegError):
    """A model was not rolled out, or could not be taken back; the message says what serves."""


class NodesNotReady(RolloutFailed):
    """A rollout cannot begin: a node that takes part cannot load a model now."""


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
        processes: who held its name then: in another process the count means nothing.
    """

    node: ModelNode
    served: str
    restore: str
    request_id: int
    processes: frozenset[str]


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

        What the first one takes 'latest' or a label for is what the others are asked for.

        Args:
            nodes: in the order of the rollout; those that serve the target already are skipped.
            target: text for the parameter `model`.
            touched: a step is appended for each node before it is touched, and taken off when
                the node is back. Steps of a cancelled run that is taken up again may be in it.
            pacer: time.

        Raises:
            RolloutFailed: a node refused it; all are back unless the message says otherwise.
            Cancelled: told to stop; nodes done so far keep the new model.
        """
        try:
            wanted = target
            served = ''
            for node in nodes:
                before = self._known(node, pacer=pacer)
                if before.model == wanted and before.stage in AT_REST:
                    _log.info('%s: serves %s already', node.name, wanted)
                    continue
                if node.name not in (step.node.name for step in touched):
                    touched.append(self._restore_point(node, before))
                self._tell(f'rolling {wanted} out to {node.name}')
                served = self._load(node, wanted, pacer=pacer)
                wanted = target if is_path(target) else served
            _check_all_serve(nodes, served or wanted)
        except RolloutFailed as failure:
            steps = tuple(touched)
            stuck = self.undo(touched, pacer=pacer)
            raise _after_undo(failure, steps, stuck) from failure

    def undo(self, steps: list[Step], *, pacer: Pacer) -> tuple[str, ...]:
        """Restore what served before, newest step first; what is back is taken off the list.

        A node that had no other request since goes back by its own ~/rollback, which needs no
        load. For others, ~/rollback could lead to any model: the parameter is set.

        Returns:
            What went wrong, one line for each node that is not back.

        Raises:
            Cancelled: told to stop; the steps that are left can be undone later.
        """
        failures: list[str] = []
        for step in reversed(tuple(steps)):
            self._tell(f'taking {step.node.name} back to {step.served or "no model"}')
            try:
                self._restore(step, pacer=pacer)
            except RolloutFailed as failure:
                failures.append(str(failure))
            else:
                steps.remove(step)
        return tuple(failures)

    def step_back(self, node: ModelNode, *, pacer: Pacer) -> str:
        """Let a node go to its previous model by itself, which may take a load.

        Returns:
            What it serves then.

        Raises:
            RolloutFailed: it serves what it served before.
            Cancelled: told to stop.
        """
        before = self._known(node, pacer=pacer)
        reply = node.roll_back(self._limits.answer_timeout_s)
        if not reply.accepted and reply.answered:
            raise _failed(node, reply.reason, 'a previous model')
        deadline = pacer.now() + self._limits.answer_timeout_s
        while True:
            status = self._resting(node, AT_REST, pacer=pacer)
            if status.model != before.model:
                return status.model
            refused = status.stage == 'rejected' and status.request_id > before.request_id
            if refused or pacer.now() >= deadline:
                reason = status.last_error if refused else reply.reason
                raise _failed(node, f'~/rollback: {reason}', 'a previous model')
            pacer.wait(self._limits.poll_s)

    def _restore_point(self, node: ModelNode, before: ServedModel) -> Step:
        parameter = node.get_model(self._limits.answer_timeout_s)
        if parameter is None:
            raise _failed(node, 'its parameter model cannot be read', 'a node with that parameter')
        # 'floor' or 'floor@latest' would resolve to the new version again; a path only to itself.
        restore = parameter if '/' in parameter or not before.model else before.model
        return Step(node, before.model, restore, before.request_id, node.incarnation())

    def _load(self, node: ModelNode, target: str, *, pacer: Pacer) -> str:
        """Ask a node for a model and wait until it serves; return its 'name@version'."""
        process = node.incarnation()
        before = self._known(node, pacer=pacer)
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
                if status.fulfils(target):
                    _log.info('%s: serves %s', node.name, status.model)
                    return status.model
            if pacer.now() >= deadline:
                stage = f'stage {status.stage}' if status is not None else 'an unknown stage'
                met = f'{target!r} is at {stage} after {self._limits.load_timeout_s:.0f} s'
                raise _failed(node, met, 'serving')
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
        same_process = not step.node.incarnation() - step.processes
        only_request = same_process and status.request_id == step.request_id + 1
        if not step.served or only_request:
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


def _check_all_serve(nodes: Sequence[ModelNode], model: str) -> None:
    """See that nobody restarted, or was asked for something else, behind the rollout's back."""
    for node in nodes:
        status = node.served_model()
        if status is None or status.model != model:
            found = (status.model if status is not None else '') or 'no model'
            raise _failed(node, f'in the end it serves {found}', model)


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
