"""Notices managed nodes that died, restarted or were taken down, and brings back the first two."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
import logging

from edge_seg.errors import TransitionFailed
from edge_seg.runtime.managing.managed_node import (
    Cancelled,
    ManagedNode,
    NodeState,
    Observation,
    Pacer,
)

_log = logging.getLogger(__name__)


class Standing(Enum):
    """What the supervisor makes of one node."""

    UNKNOWN = 'not looked at yet'
    UP = 'active'
    RESTING = 'not wanted active'
    GONE = 'gone'
    SILENT = 'silent'
    MOVING = 'in a transition'
    RECOVERING = 'being brought back'
    HELD = 'held by somebody else'
    GAVE_UP = 'given up'
    FINALIZED = 'finalized'


@dataclass(frozen=True, slots=True)
class SupervisionPolicy:
    """When to repair and when to stop trying; times in seconds.

    Attributes:
        backoff_min_s: pause after the first attempt; doubled after each further one.
        backoff_max_s: longest pause.
        max_attempts: attempts without `stable_after_s` of activity in between; 0 = no limit.
        stable_after_s: a node that was active for so long has recovered: counting starts again.
        silent_after_s: a node that does not answer for so long is reported.
    """

    backoff_min_s: float = 1.0
    backoff_max_s: float = 30.0
    max_attempts: int = 5
    stable_after_s: float = 30.0
    silent_after_s: float = 5.0

    def backoff_s(self, attempts: int) -> float:
        """Pause after so many attempts."""
        if attempts <= 0:
            return 0.0
        return float(min(self.backoff_max_s, self.backoff_min_s * 2 ** min(attempts - 1, 30)))


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node as the supervisor sees it.

    Attributes:
        name: full name.
        state: last state seen.
        standing: what that means.
        message: the same for people, with the remedy.
        attempts: attempts to bring it back since it was last stable.
        restarts: how often it was seen to restart.
        incarnations: processes that hold the name (more than one: a killed one is still listed,
            or two nodes have the same name).
    """

    name: str
    state: NodeState
    standing: Standing
    message: str
    attempts: int = 0
    restarts: int = 0
    incarnations: int = 0


@dataclass(slots=True)
class _Record:
    """What is remembered of one node; only the supervising thread touches it."""

    known: frozenset[str] = frozenset()
    repairing: bool = False  # it restarted, or our own repair left it below active
    held: bool = False
    attempts: int = 0
    restarts: int = 0
    next_at: float = 0.0
    up_since: float | None = None
    silent_since: float | None = None
    failure: str = ''

    def forget_failures(self) -> None:
        self.repairing = self.held = False
        self.attempts = 0
        self.next_at = 0.0
        self.failure = ''


class Supervisor:
    """Judges observations and repairs; used by one thread.

    A node below active is a *restart* when its name is held by a process that was not there
    before, and is brought back. The same process below active was taken down by somebody: an
    operator, another manager, the node itself. That is never fought.

    Args:
        policy: see there.
        bring_back: takes one node to active; raises TransitionFailed.
    """

    def __init__(
        self, policy: SupervisionPolicy, *, bring_back: Callable[[ManagedNode, Pacer], None]
    ) -> None:
        self._policy = policy
        self._bring_back = bring_back
        self._records: dict[str, _Record] = {}

    def begin(self, observations: Sequence[Observation]) -> None:
        """Take the present processes as known and forget attempts, holds and failures."""
        for seen in observations:
            record = self._record(seen.node)
            record.forget_failures()
            record.known = seen.incarnation

    def tend(
        self,
        nodes: Sequence[ManagedNode],
        observations: Sequence[Observation],
        *,
        pacer: Pacer,
    ) -> tuple[NodeReport, ...]:
        """Judge all nodes, which are wanted active, and repair those whose turn it is.

        Raises:
            Cancelled: told to stop; a repair under way is taken up again next time.
        """
        reports = []
        for node, seen in zip(nodes, observations, strict=True):
            report = self._judge(seen, pacer.now())
            record = self._record(seen.node)
            if report.standing is Standing.RECOVERING and pacer.now() >= record.next_at:
                report = self._repair(node, record, seen, pacer=pacer)
            reports.append(report)
        return tuple(reports)

    def rest(self, observations: Sequence[Observation]) -> tuple[NodeReport, ...]:
        """Report nodes that nobody wants active: nothing is judged, nothing repaired."""
        return tuple(
            self._report(seen, Standing.RESTING, seen.state.value) for seen in observations
        )

    def _repair(
        self, node: ManagedNode, record: _Record, seen: Observation, *, pacer: Pacer
    ) -> NodeReport:
        record.attempts += 1
        _log.warning('%s: bringing it back, attempt %d', node.name, record.attempts)
        try:
            self._bring_back(node, pacer)
        except TransitionFailed as failure:
            record.failure = str(failure)
            record.next_at = pacer.now() + self._policy.backoff_s(record.attempts)
            _log.error('%s', failure)
            return self._judge(seen, pacer.now())
        except Cancelled:
            record.attempts -= 1
            raise
        record.next_at = pacer.now() + self._policy.backoff_s(record.attempts)
        _log.info('%s: active again', node.name)
        return self._judge(
            Observation(node.name, NodeState.ACTIVE, node.incarnation()), pacer.now()
        )

    def _judge(self, seen: Observation, now: float) -> NodeReport:
        record = self._record(seen.node)
        if seen.state is not NodeState.SILENT:
            record.silent_since = None
        if seen.state is NodeState.ABSENT or (
            seen.state.is_settled and seen.state is not NodeState.ACTIVE
        ):
            record.up_since = None
        if seen.state is NodeState.ABSENT:
            return self._report(
                seen, Standing.GONE, 'not in the ROS graph: waiting for its process to come back'
            )
        if seen.state is NodeState.SILENT:
            return self._judge_silent(seen, record, now)
        if seen.state is NodeState.BUSY:
            return self._report(seen, Standing.MOVING, 'in a transition')
        if seen.state is NodeState.ACTIVE:
            return self._judge_active(seen, record, now)
        return self._judge_down(seen, record, now)

    def _judge_silent(self, seen: Observation, record: _Record, now: float) -> NodeReport:
        if record.silent_since is None:
            record.silent_since = now
        silence_s = now - record.silent_since
        if silence_s < self._policy.silent_after_s:
            return self._report(seen, Standing.MOVING, 'no answer yet')
        return self._report(
            seen,
            Standing.SILENT,
            f'no answer for {silence_s:.0f} s: busy, hanging or just killed; look into its log',
        )

    def _judge_active(self, seen: Observation, record: _Record, now: float) -> NodeReport:
        if seen.incarnation - record.known:
            record.restarts += 1
        record.known = seen.incarnation
        record.repairing = record.held = False
        record.failure = ''
        if record.up_since is None:
            record.up_since = now
        elif now - record.up_since >= self._policy.stable_after_s:
            record.attempts = 0
        return self._report(seen, Standing.UP, 'active')

    def _judge_down(self, seen: Observation, record: _Record, now: float) -> NodeReport:
        if seen.incarnation - record.known:
            record.restarts += 1
            record.known |= seen.incarnation
            record.repairing = not record.held
        if seen.state is NodeState.FINALIZED and not record.held:
            return self._report(
                seen, Standing.FINALIZED, 'finalized: only a restart of its process brings it back'
            )
        if not record.repairing:
            record.held = True
            return self._report(
                seen,
                Standing.HELD,
                f'taken to {seen.state.value} by somebody else and left alone; activate it by '
                'hand or call ~/resume',
            )
        limit = self._policy.max_attempts
        if limit and record.attempts >= limit:
            return self._report(
                seen,
                Standing.GAVE_UP,
                f'given up after {record.attempts} attempts: '
                f'{record.failure or "it keeps dying"}; call ~/startup when that is repaired',
            )
        wait_s = max(0.0, record.next_at - now)
        reason = f': {record.failure}' if record.failure else ''
        return self._report(
            seen,
            Standing.RECOVERING,
            f'restarted; attempt {record.attempts + 1} in {wait_s:.1f} s{reason}',
        )

    def _record(self, name: str) -> _Record:
        return self._records.setdefault(name, _Record())

    def _report(self, seen: Observation, standing: Standing, message: str) -> NodeReport:
        record = self._record(seen.node)
        return NodeReport(
            seen.node,
            seen.state,
            standing,
            message,
            attempts=record.attempts,
            restarts=record.restarts,
            incarnations=len(seen.incarnation),
        )
