"""A rollout takes minutes: nodes that die meanwhile are brought back all the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

from edge_seg.runtime.managing.command_desk import Outcome
from edge_seg.runtime.managing.managed_node import NodeState
from edge_seg.runtime.managing.manager import LifecycleManager
from edge_seg.runtime.managing.manager_state import ManagerSettings
from edge_seg.runtime.managing.pause_note import PauseNote
from edge_seg.runtime.managing.rollout import RolloutLimits
from edge_seg.runtime.managing.transition_driver import TransitionLimits
from fake_managed_nodes import FakeNode, FakePacer
import pytest
from real_time import in_thread, PATIENCE_S, until

SETTINGS = ManagerSettings(
    period_s=0.02,
    limits=TransitionLimits(appear_timeout_s=0.2, poll_s=0.01, answer_timeout_s=0.05),
    rollout=RolloutLimits(answer_timeout_s=PATIENCE_S, load_timeout_s=PATIENCE_S, poll_s=0.01),
)


class System:
    """A camera and a node that serves models, both up, under a manager in real time.

    Loads end when the test lets the time of the nodes pass.
    """

    def __init__(self, folder: Path) -> None:
        self.time = FakePacer()
        self.camera = FakeNode('/camera', self.time, state=NodeState.ACTIVE, parameter=None)
        self.camera.status = None
        self.node = FakeNode('/a', self.time, state=NodeState.ACTIVE)
        self.manager = LifecycleManager(
            (self.camera, self.node), SETTINGS, pause_note=PauseNote(folder / 'paused.json')
        )
        self.manager.start()

    def roll_out(self, model: str) -> Callable[[], Outcome]:
        """Begin a rollout; gives what waits for its outcome. It is loading when this returns."""
        outcome = in_thread(lambda: self.manager.rollout(model))
        until(lambda: bool(self.time.events))
        return outcome


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path)
    until(lambda: system.manager.is_active().message.startswith('nodes wanted active'))
    yield system
    assert system.manager.close(timeout_s=PATIENCE_S)


def test_another_node_is_brought_back_while_one_loads(system: System) -> None:
    outcome = system.roll_out('floor@2')
    system.camera.restart()
    until(lambda: system.camera.state is NodeState.ACTIVE)
    assert system.node.model == 'floor@1', 'it is still loading'
    system.time.wait(2.0)
    assert outcome() == Outcome(True, 'floor@2 serves on /a')


def test_the_node_that_was_killed_while_it_loaded_is_back_at_once(system: System) -> None:
    outcome = system.roll_out('floor@2')
    system.node.restart(old_one_still_listed=True)
    refused = outcome()
    assert not refused.success
    assert 'it died while loading' in refused.message
    assert 'all back: /a serves floor@1' in refused.message
    assert system.node.state is NodeState.ACTIVE


def test_who_dies_right_after_a_rollout_comes_back_with_the_new_model(system: System) -> None:
    outcome = system.roll_out('floor@2')
    system.time.wait(2.0)
    assert outcome().success
    system.node.parameter = 'floor@1'  # as it was launched
    system.node.restart()
    until(lambda: system.node.state is NodeState.ACTIVE)
    assert system.node.parameter == 'floor@2'
