"""The lifecycle manager without ROS: what is wanted of the nodes, and the commands that say so."""

from collections.abc import Callable, Sequence
from functools import partial
import logging

from edge_seg.errors import TransitionFailed
from edge_seg.runtime.managing.bringup import Conductor
from edge_seg.runtime.managing.command_desk import Command, CommandDesk, Outcome
from edge_seg.runtime.managing.managed_node import (
    CancellablePacer,
    ManagedNode,
    NodeState,
    Observation,
    observe,
    Pacer,
)
from edge_seg.runtime.managing.manager_state import Intent, ManagerReport, ManagerSettings
from edge_seg.runtime.managing.model_memory import ModelMemory
from edge_seg.runtime.managing.model_node import ModelNode
from edge_seg.runtime.managing.pause_note import PauseNote
from edge_seg.runtime.managing.rollout_desk import RolloutDesk
from edge_seg.runtime.managing.store_watch import StoreWatch
from edge_seg.runtime.managing.supervision import NodeReport, Supervisor
from edge_seg.runtime.managing.transition_driver import TransitionDriver
from edge_seg.runtime.managing.watchful_pacer import WatchfulPacer

_log = logging.getLogger(__name__)


class LifecycleManager:
    """Owns the policies and the one thread that they run in.

    Args:
        nodes: in bring-up order.
        settings: see there.
        pause_note: where a pause is remembered.
        watch: tells of newly published models; None = do not watch.
    """

    def __init__(
        self,
        nodes: Sequence[ModelNode],
        settings: ManagerSettings,
        *,
        pause_note: PauseNote,
        watch: StoreWatch | None = None,
    ) -> None:
        self._nodes = tuple(nodes)
        self._settings = settings
        self._pause_note = pause_note
        driver = TransitionDriver(settings.limits, tell=self._tell)
        self._rollouts = RolloutDesk(self._nodes, settings, watch=watch, tell=self._tell)
        self._models = ModelMemory(self._nodes, answer_timeout_s=settings.limits.answer_timeout_s)
        self._conductor = Conductor(driver)
        self._supervisor = Supervisor(settings.supervision, bring_back=self._bring_back)
        self._desk = CommandDesk(self._look_after, period_s=settings.period_s)
        # The following are written by the desk's thread only; readers take what is there.
        self._intent = Intent.UNDECIDED
        self._activity = ''
        self._problem = ''
        self._reports: tuple[NodeReport, ...] = ()
        self._start_attempts = 0
        self._start_at = 0.0
        self._owns_nodes = settings.autostart

    def start(self) -> None:
        """Begin to look at the nodes, and to bring them up with autostart."""
        self._desk.start()

    def wake(self) -> None:
        """Look at the nodes now; something in the graph changed. Any thread."""
        self._desk.wake()

    @property
    def alive(self) -> bool:
        """False when the manager's thread has ended."""
        return self._desk.alive

    @property
    def brought_nodes_up(self) -> bool:
        """True when this manager was asked to bring the nodes up."""
        return self._owns_nodes

    @property
    def report(self) -> ManagerReport:
        """The present state, for diagnostics. Any thread."""
        return ManagerReport(
            self._intent,
            self._activity,
            self._problem,
            self._rollouts.summary,
            self._rollouts.failed,
            self._reports,
        )

    def startup(self) -> Outcome:
        """Bring all nodes up in order; does nothing to those that are up."""
        return self._desk.call(Command('startup', self._startup))

    def resume(self) -> Outcome:
        """Bring all nodes up again after a pause, those that restarted meanwhile included."""
        return self._desk.call(Command('resume', self._startup))

    def pause(self) -> Outcome:
        """Deactivate all active nodes in reverse order; models stay warm."""
        return self._desk.call(Command('pause', self._pause, urgent=True))

    def shutdown(self) -> Outcome:
        """Take all nodes down in reverse order, to finalized when the settings say so."""
        return self._desk.call(Command('shutdown', self._shutdown, urgent=True))

    def reset(self) -> Outcome:
        """Take all nodes down to unconfigured; forget failures and attempts."""
        return self._desk.call(Command('reset', self._reset, urgent=True))

    def rollout(self, target: str) -> Outcome:
        """Bring a model to all nodes that serve models; all or none."""

        def work(pacer: Pacer) -> str:
            return self._rollouts.run(target, pacer=pacer)

        return self._desk.call(Command('rollout', partial(self._change_models, work)))

    def rollback(self) -> Outcome:
        """Take the last rollout back, or else let every node go back to its previous model."""

        def work(pacer: Pacer) -> str:
            return self._rollouts.roll_back(pacer=pacer)

        return self._desk.call(Command('rollback', partial(self._change_models, work)))

    def is_active(self) -> Outcome:
        """Say whether all nodes are active now; asks them, in the caller's thread."""
        seen = observe(
            self._nodes, self._settings.limits.answer_timeout_s, pacer=CancellablePacer()
        )
        states = ', '.join(f'{one.node} {one.state.value}' for one in seen)
        doing = f'; {self._activity}' if self._activity else ''
        active = all(one.state is NodeState.ACTIVE for one in seen)
        return Outcome(active, f'{self._intent.value}: {states}{doing}')

    def close(self, *, timeout_s: float) -> bool:
        """End the thread; nodes stay as they are.

        Returns:
            False when it did not end in time.
        """
        return self._desk.close(timeout_s)

    def _startup(self, pacer: Pacer) -> str:
        try:
            moves = self._conductor.bring_up(
                self._nodes,
                pacer=pacer,
                on_failure=self._settings.on_failure,
                prepare=self._models.note_launch,
            )
        except TransitionFailed as failure:
            self._problem = str(failure)
            _log.error('bring-up failed: %s', failure)
            raise
        finally:
            self._activity = ''
        self._owns_nodes = True
        self._pause_note.withdraw()
        self._now_active()
        names = ', '.join(node.name for node in self._nodes)
        return f'active: {names}' if moves else f'active already: {names}'

    def _pause(self, pacer: Pacer) -> str:
        self._set_intent(Intent.PAUSED)
        self._lower(NodeState.INACTIVE, pacer=pacer)
        self._pause_note.leave(self._look())
        return 'paused; ~/resume activates the nodes again'

    def _shutdown(self, pacer: Pacer) -> str:
        goal = NodeState.FINALIZED if self._settings.finalize else NodeState.UNCONFIGURED
        self._set_intent(Intent.IDLE)
        self._pause_note.withdraw()
        self._lower(goal, pacer=pacer)
        return f'all nodes are {goal.value} or gone'

    def _reset(self, pacer: Pacer) -> str:
        self._set_intent(Intent.IDLE)
        self._pause_note.withdraw()
        self._problem = ''
        self._lower(NodeState.UNCONFIGURED, pacer=pacer)
        self._supervisor.begin(self._look())
        return 'all nodes are unconfigured or gone; failures are forgotten'

    def _lower(self, goal: NodeState, *, pacer: Pacer) -> None:
        try:
            failures = self._conductor.lower(self._nodes, goal, pacer=pacer)
        finally:
            self._activity = ''
        if failures:
            raise TransitionFailed('; '.join(failures))

    def _look_after(self, pacer: Pacer) -> None:
        seen = self._look()
        if any(one.state is NodeState.SILENT for one in seen):
            # Perhaps its successor has started and is only not reached yet: look again without
            # the usual pause. Waiting for the answer that did not come was pause enough.
            self._desk.wake()
        try:
            if self._intent is Intent.UNDECIDED:
                self._decide(seen)
            if self._intent is Intent.STARTING:
                self._try_to_start(seen, pacer=pacer)
                seen = self._look()  # they are elsewhere now; who was down before is not held
            self._judge(seen, pacer=pacer)
            if self._intent is Intent.ACTIVE:
                self._models.note_served()
                if self._rollouts.look_after(pacer=self._watchful(pacer)):
                    self._models.note_rollout(self._look())
        finally:
            self._activity = ''

    def _judge(self, seen: Sequence[Observation], *, pacer: Pacer) -> None:
        """Bring back what died when that is wanted, and report."""
        if self._intent is Intent.ACTIVE and self._settings.supervise:
            self._reports = self._supervisor.tend(self._nodes, seen, pacer=pacer)
        else:
            self._reports = self._supervisor.rest(seen)

    def _change_models(self, work: Callable[[Pacer], str], pacer: Pacer) -> str:
        """Roll models out or back; the nodes are looked after meanwhile."""
        try:
            return work(self._watchful(pacer))
        finally:
            self._activity = ''
            self._models.note_rollout(self._look())

    def _watchful(self, pacer: Pacer) -> Pacer:
        return WatchfulPacer(pacer, self._tend_meanwhile, period_s=self._settings.period_s)

    def _tend_meanwhile(self, pacer: Pacer) -> None:
        activity = self._activity
        self._judge(self._look(), pacer=pacer)
        self._activity = activity

    def _decide(self, seen: Sequence[Observation]) -> None:
        """Adopt nodes in the state in which they are met, once all answer and are listed."""
        if not all(one.state.is_settled and one.incarnation for one in seen):
            return
        if all(one.state is NodeState.ACTIVE for one in seen):
            _log.info('all nodes are active already: adopted')
            self._now_active()
        elif self._pause_note.tells_of(seen):
            _log.warning('an operator paused the nodes: left so; ~/resume activates them')
            self._set_intent(Intent.PAUSED)
        elif self._settings.autostart:
            self._set_intent(Intent.STARTING)
        else:
            self._set_intent(Intent.IDLE)

    def _try_to_start(self, seen: Sequence[Observation], *, pacer: Pacer) -> None:
        policy = self._settings.supervision
        if policy.max_attempts and self._start_attempts >= policy.max_attempts:
            self._problem += f' (given up after {self._start_attempts} attempts; call ~/startup)'
            self._set_intent(Intent.IDLE)
            return
        if pacer.now() < self._start_at or not all(one.state.is_settled for one in seen):
            return
        try:
            self._startup(pacer)
        except TransitionFailed:
            self._start_attempts += 1
            self._start_at = pacer.now() + policy.backoff_s(self._start_attempts)

    def _bring_back(self, node: ManagedNode, pacer: Pacer) -> None:
        self._conductor.bring_up(
            (node,), pacer=pacer, on_failure='leave', prepare=self._models.restore
        )

    def _now_active(self) -> None:
        self._problem = ''
        self._start_attempts = 0
        self._supervisor.begin(self._look())
        for node in self._nodes:
            self._models.note_adoption(node)
        self._set_intent(Intent.ACTIVE)

    def _look(self) -> tuple[Observation, ...]:
        return observe(
            self._nodes,
            min(self._settings.limits.answer_timeout_s, self._settings.period_s / 2),
            pacer=CancellablePacer(),
        )

    def _set_intent(self, intent: Intent) -> None:
        if intent is not self._intent:
            _log.info('%s', intent.value)
        self._intent = intent

    def _tell(self, activity: str) -> None:
        self._activity = activity
