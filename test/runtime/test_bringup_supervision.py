"""Death, restart and operators, as the supervisor sees them."""

from itertools import pairwise

from edge_seg.errors import TransitionFailed
from edge_seg.runtime.managing.managed_node import Cancelled, NodeState, observe
from edge_seg.runtime.managing.supervision import (
    NodeReport,
    Standing,
    SupervisionPolicy,
    Supervisor,
)
from fake_managed_nodes import FakeNode, FakePacer
import pytest

POLICY = SupervisionPolicy(
    backoff_min_s=1.0, backoff_max_s=8.0, max_attempts=5, stable_after_s=30.0, silent_after_s=5.0
)


class Scene:
    """One supervised node that was active when supervision began."""

    def __init__(self) -> None:
        self.pacer = FakePacer()
        self.node = FakeNode('/a', self.pacer, state=NodeState.ACTIVE)
        self.repairs: list[float] = []
        self.failure = ''
        self.supervisor = Supervisor(POLICY, bring_back=self._bring_back)
        self.supervisor.begin(observe((self.node,), 1.0, pacer=self.pacer))

    def _bring_back(self, node, pacer) -> None:
        self.repairs.append(pacer.now())
        pacer.check()
        if self.failure:
            raise TransitionFailed(self.failure)
        node.state = NodeState.ACTIVE

    def look(self, *, after_s: float = 0.0) -> NodeReport:
        self.pacer.time += after_s
        seen = observe((self.node,), 0.1, pacer=self.pacer)
        (report,) = self.supervisor.tend((self.node,), seen, pacer=self.pacer)
        return report

    def look_for(self, seconds: float) -> NodeReport:
        end = self.pacer.time + seconds
        while self.pacer.time < end:
            report = self.look(after_s=0.5)
        return report


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_restarted_node_is_brought_back_at_once(scene):
    scene.node.die()
    assert scene.look().standing is Standing.GONE
    scene.node.restart()
    report = scene.look(after_s=1.0)
    assert (report.standing, report.restarts, report.attempts) == (Standing.UP, 1, 1)
    assert scene.repairs == [1.0]


def test_a_killed_process_that_is_still_listed_does_not_hide_the_restart(scene):
    scene.node.restart(old_one_still_listed=True)
    report = scene.look()
    assert (report.standing, report.incarnations) == (Standing.UP, 2)
    scene.node.processes.pop()  # the lease of the old one runs out
    scene.look(after_s=20.0)
    assert len(scene.repairs) == 1


def test_a_node_that_somebody_took_down_is_left_alone(scene):
    scene.node.state = NodeState.INACTIVE
    report = scene.look_for(60.0)
    assert report.standing is Standing.HELD
    assert '~/resume' in report.message
    assert scene.repairs == []


def test_a_held_node_stays_held_when_its_process_restarts(scene):
    scene.node.state = NodeState.INACTIVE
    scene.look()
    scene.node.restart()
    assert scene.look_for(10.0).standing is Standing.HELD
    assert scene.repairs == []


def test_a_held_node_that_is_activated_by_hand_is_looked_after_again(scene):
    scene.node.state = NodeState.INACTIVE
    scene.look()
    scene.node.state = NodeState.ACTIVE
    assert scene.look().standing is Standing.UP
    scene.node.restart()
    assert scene.look().standing is Standing.UP
    assert len(scene.repairs) == 1


def test_attempts_that_fail_back_off_exponentially_and_end(scene):
    scene.failure = '/a: configure: refused'
    scene.node.restart()
    report = scene.look_for(100.0)
    pauses = [later - sooner for sooner, later in pairwise(scene.repairs)]
    assert pauses == pytest.approx([1.0, 2.0, 4.0, 8.0], abs=0.6)
    assert report.standing is Standing.GAVE_UP
    assert 'given up after 5 attempts: /a: configure: refused' in report.message
    assert '~/startup' in report.message


def test_a_node_that_keeps_dying_is_given_up(scene):
    for _ in range(20):
        scene.node.restart()
        report = scene.look_for(10.0)
    assert report.standing is Standing.GAVE_UP
    assert len(scene.repairs) == 5


def test_a_node_that_stayed_up_starts_with_a_clean_slate(scene):
    for _ in range(20):
        scene.node.restart()
        report = scene.look_for(40.0)
    assert report.standing is Standing.UP
    assert len(scene.repairs) == 20


def test_beginning_again_forgets_what_was_given_up(scene):
    scene.failure = 'broken'
    scene.node.restart()
    scene.look_for(100.0)
    scene.failure = ''
    scene.node.state = NodeState.ACTIVE
    scene.supervisor.begin(observe((scene.node,), 0.1, pacer=scene.pacer))
    scene.node.restart()
    assert scene.look().standing is Standing.UP


def test_a_silent_node_is_reported_but_not_touched(scene):
    scene.node.state = NodeState.SILENT
    assert scene.look().standing is Standing.MOVING
    assert scene.look_for(6.0).standing is Standing.SILENT
    scene.node.state = NodeState.ACTIVE
    assert scene.look().standing is Standing.UP
    assert scene.repairs == []


def test_a_cancelled_repair_does_not_count_as_an_attempt(scene):
    scene.node.restart()
    scene.pacer.cancel_at = 0.0
    with pytest.raises(Cancelled):
        scene.look()
    scene.pacer.cancel_at = float('inf')
    assert scene.look().attempts == 1


def test_a_finalized_node_is_an_error_that_names_the_way_out(scene):
    scene.node.restart()
    scene.node.state = NodeState.FINALIZED
    report = scene.look()
    assert report.standing is Standing.FINALIZED
    assert 'restart of its process' in report.message
