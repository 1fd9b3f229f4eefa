"""What a lifecycle manager is set to do, and what it reports of itself."""

from dataclasses import dataclass
from enum import Enum

from edge_seg.runtime.managing.bringup import OnFailure
from edge_seg.runtime.managing.rollout import RolloutLimits
from edge_seg.runtime.managing.supervision import NodeReport, SupervisionPolicy
from edge_seg.runtime.managing.transition_driver import TransitionLimits


class Intent(Enum):
    """What is wanted of the managed nodes."""

    UNDECIDED = 'looking for the nodes'
    STARTING = 'bringing the nodes up'
    ACTIVE = 'nodes wanted active'
    PAUSED = 'paused'
    IDLE = 'nodes left alone'


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """What the parameters of the manager say; times in seconds.

    Attributes:
        autostart: bring the nodes up as soon as all are there, and again when that fails.
        supervise: bring nodes back that died or restarted.
        period_s: time between two looks at the nodes.
        on_failure: what becomes of the other nodes when a bring-up fails.
        finalize: shutdown ends in finalized, as nav2's does, not in unconfigured.
        limits: waits of single transitions.
        supervision: attempts and pauses.
        rollout: waits of rollouts.
        rollout_nodes: full names of the nodes that take part in rollouts, in their order; empty
            = every managed node that publishes ~/model_status.
        watch_period_s: time between two looks at the model store.
    """

    autostart: bool = True
    supervise: bool = True
    period_s: float = 0.5
    on_failure: OnFailure = 'teardown'
    finalize: bool = False
    limits: TransitionLimits = TransitionLimits()
    supervision: SupervisionPolicy = SupervisionPolicy()
    rollout: RolloutLimits = RolloutLimits()
    rollout_nodes: tuple[str, ...] = ()
    watch_period_s: float = 2.0


@dataclass(frozen=True, slots=True)
class ManagerReport:
    """A snapshot for diagnostics.

    Attributes:
        intent: what is wanted.
        activity: what is being done at this moment, '' for nothing.
        problem: why the last bring-up failed, '' when it did not.
        rollout: how the last rollout ended, '' before the first.
        rollout_failed: True when that is bad news.
        nodes: one entry per managed node, in bring-up order.
    """

    intent: Intent = Intent.UNDECIDED
    activity: str = ''
    problem: str = ''
    rollout: str = ''
    rollout_failed: bool = False
    nodes: tuple[NodeReport, ...] = ()
