"""The commands of the manager: who waits, who is refused, who takes whose place."""

from collections.abc import Callable
from pathlib import Path
import threading

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.managing.command_desk import Command, CommandDesk, Outcome
from edge_seg.runtime.managing.managed_node import NodeState, observe, Pacer, Transition
from edge_seg.runtime.managing.manager import LifecycleManager
from edge_seg.runtime.managing.manager_parameters import manager_settings, manager_values
from edge_seg.runtime.managing.manager_state import Intent, ManagerSettings
from edge_seg.runtime.managing.pause_note import default_pause_note, PauseNote
from edge_seg.runtime.managing.supervision import Standing, SupervisionPolicy
from edge_seg.runtime.managing.transition_driver import TransitionLimits
from fake_managed_nodes import FakeNode, FakePacer
import pytest
from real_time import in_thread, PATIENCE_S, until

LIMITS = TransitionLimits(appear_timeout_s=0.2, poll_s=0.01, answer_timeout_s=0.05)


@pytest.fixture
def desk():
    desk = CommandDesk(lambda _pacer: None, period_s=0.02)
    desk.start()
    yield desk
    assert desk.close(PATIENCE_S)


def endless(started: threading.Event) -> Callable[[Pacer], str]:
    def work(pacer: Pacer) -> str:
        started.set()
        while True:
            pacer.wait(1.0)

    return work


def test_an_urgent_command_takes_the_place_of_the_running_one(desk):
    started = threading.Event()
    first = in_thread(lambda: desk.call(Command('startup', endless(started))))
    assert started.wait(PATIENCE_S)
    second = desk.call(Command('shutdown', lambda _pacer: 'down', urgent=True))
    assert second == Outcome(True, 'down')
    assert first() == Outcome(False, 'startup: cancelled by shutdown')


def test_another_command_is_refused_at_once_with_the_reason(desk):
    started = threading.Event()
    in_thread(lambda: desk.call(Command('startup', endless(started))))
    assert started.wait(PATIENCE_S)
    refused = desk.call(Command('rollout', lambda _pacer: 'never'))
    assert refused == Outcome(False, 'busy: startup is running; try again when it is done')


def test_an_urgent_command_is_not_cancelled_by_another(desk):
    started = threading.Event()
    in_thread(lambda: desk.call(Command('shutdown', endless(started), urgent=True)))
    assert started.wait(PATIENCE_S)
    assert 'busy' in desk.call(Command('pause', lambda _pacer: '', urgent=True)).message


def test_a_command_that_comes_before_the_start_is_run_after_it():
    desk = CommandDesk(lambda _pacer: None, period_s=0.02)
    early = in_thread(lambda: desk.call(Command('startup', lambda _pacer: 'up')))
    desk.start()
    assert early() == Outcome(True, 'up')
    assert desk.close(PATIENCE_S)


def test_background_work_gives_way_to_a_command():
    started = threading.Event()
    desk = CommandDesk(endless(started), period_s=0.02)
    desk.start()
    assert started.wait(PATIENCE_S)
    assert desk.call(Command('pause', lambda _pacer: 'paused')).success
    assert desk.close(PATIENCE_S)


def test_closing_releases_who_waits_and_refuses_who_comes():
    started = threading.Event()
    desk = CommandDesk(lambda _pacer: None, period_s=0.02)
    desk.start()
    waiting = in_thread(lambda: desk.call(Command('startup', endless(started))))
    assert started.wait(PATIENCE_S)
    assert desk.close(PATIENCE_S)
    assert not waiting().success
    assert desk.call(Command('startup', lambda _pacer: '')).message == 'the manager is ending'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_bug_ends_the_desk_visibly_and_leaves_nobody_waiting():
    def bug(_pacer: Pacer) -> str:
        raise ZeroDivisionError

    desk = CommandDesk(lambda _pacer: None, period_s=0.02)
    desk.start()
    assert 'stopped' in desk.call(Command('startup', bug)).message
    until(lambda: not desk.alive)


class Robot:
    """Two fake nodes and a manager that runs in real time."""

    def __init__(self, folder: Path) -> None:
        self.journal: list[str] = []
        self.pacer = FakePacer()
        self.nodes = [FakeNode(name, self.pacer, self.journal) for name in ('/a', '/b')]
        self.note = PauseNote(folder / 'note' / 'pause.json')
        self.managers: list[LifecycleManager] = []

    def manager(self, *, autostart: bool = False, period_s: float = 0.02) -> LifecycleManager:
        settings = ManagerSettings(
            autostart=autostart,
            period_s=period_s,
            limits=LIMITS,
            supervision=SupervisionPolicy(backoff_min_s=0.01, max_attempts=3),
        )
        manager = LifecycleManager(self.nodes, settings, pause_note=self.note)
        manager.start()
        self.managers.append(manager)
        return manager

    @property
    def states(self) -> list[NodeState]:
        return [node.state for node in self.nodes]


@pytest.fixture
def robot(tmp_path):
    robot = Robot(tmp_path)
    yield robot
    for manager in robot.managers:
        assert manager.close(timeout_s=PATIENCE_S)


def test_startup_pause_resume_shutdown(robot):
    manager = robot.manager()
    assert manager.startup() == Outcome(True, 'active: /a, /b')
    assert manager.startup() == Outcome(True, 'active already: /a, /b')
    assert manager.is_active().success
    assert manager.pause().success
    assert robot.states == [NodeState.INACTIVE] * 2
    assert manager.is_active() == Outcome(False, 'paused: /a inactive, /b inactive')
    assert manager.resume().success
    assert manager.shutdown().success
    assert manager.shutdown().success
    assert robot.states == [NodeState.UNCONFIGURED] * 2


def test_autostart_waits_for_the_nodes_and_tries_again(robot):
    robot.nodes[1].die()
    robot.nodes[0].outcomes[Transition.ACTIVATE] = NodeState.INACTIVE
    manager = robot.manager(autostart=True)
    until(lambda: len(manager.report.nodes) == 2)
    assert robot.journal == []
    robot.nodes[1].restart()
    until(lambda: robot.journal.count('activate /a') == 2)
    robot.nodes[0].outcomes.clear()
    until(lambda: manager.report.intent is Intent.ACTIVE)
    assert robot.states == [NodeState.ACTIVE] * 2


def test_a_node_that_dies_just_after_autostart_is_brought_back(robot):
    """It must not be judged by a look from before, when nothing was up yet."""
    manager = robot.manager(autostart=True, period_s=60.0)
    manager.wake()
    until(lambda: manager.report.nodes)
    assert [node.standing for node in manager.report.nodes] == [Standing.UP] * 2

    robot.nodes[1].restart()
    manager.wake()
    until(lambda: robot.states == [NodeState.ACTIVE] * 2)


def test_autostart_gives_up_and_says_how_to_go_on(robot):
    robot.nodes[0].outcomes[Transition.CONFIGURE] = NodeState.UNCONFIGURED
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.intent is Intent.IDLE)
    assert robot.journal.count('configure /a') == 3
    assert 'given up after 3 attempts; call ~/startup' in manager.report.problem
    robot.nodes[0].outcomes.clear()
    assert manager.startup().success
    assert manager.report.problem == ''


def test_a_paused_system_stays_paused_when_a_node_restarts(robot):
    manager = robot.manager()
    manager.startup()
    manager.pause()
    robot.nodes[0].restart()
    manager.wake()
    until(lambda: manager.report.nodes[0].state is NodeState.UNCONFIGURED)
    assert robot.states == [NodeState.UNCONFIGURED, NodeState.INACTIVE]
    assert manager.resume().success
    assert robot.states == [NodeState.ACTIVE] * 2


def test_a_new_manager_adopts_active_nodes_and_looks_after_them(robot):
    robot.manager().startup()
    robot.managers.pop().close(timeout_s=PATIENCE_S)
    robot.journal.clear()
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.intent is Intent.ACTIVE)
    assert robot.journal == []
    robot.nodes[1].restart()
    until(lambda: robot.states == [NodeState.ACTIVE] * 2)
    assert robot.journal == ['configure /b', 'activate /b']


def test_an_adopted_node_comes_back_with_the_model_that_it_served(robot):
    for node in robot.nodes:
        node.state = NodeState.ACTIVE
    served = robot.nodes[1]
    served.set_model('floor@2', 1.0)
    robot.pacer.wait(2.0)
    robot.journal.clear()
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.intent is Intent.ACTIVE)
    served.parameter = 'floor@1'  # as the launch file has it
    served.restart()
    until(lambda: served.state is NodeState.ACTIVE)
    assert robot.journal == ['/b model=floor@2', 'configure /b', 'activate /b']


def test_a_new_manager_respects_the_pause_of_an_operator(robot):
    manager = robot.manager()
    manager.startup()
    manager.pause()
    robot.managers.pop().close(timeout_s=PATIENCE_S)
    successor = robot.manager(autostart=True)
    until(lambda: successor.report.intent is Intent.PAUSED)
    assert robot.states == [NodeState.INACTIVE] * 2


def test_a_new_manager_does_not_decide_before_it_knows_the_processes(robot):
    """Else it could not tell that they were paused."""
    robot.manager().startup()
    robot.managers[0].pause()
    robot.managers.pop().close(timeout_s=PATIENCE_S)
    listed = [node.processes for node in robot.nodes]
    for node in robot.nodes:
        node.processes = set()
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.nodes)
    assert manager.report.intent is Intent.UNDECIDED

    for node, processes in zip(robot.nodes, listed, strict=True):
        node.processes = processes
    until(lambda: manager.report.intent is Intent.PAUSED)
    assert robot.states == [NodeState.INACTIVE] * 2


def test_a_new_manager_finishes_a_bring_up_that_was_cut_off(robot):
    for node in robot.nodes:
        node.state = NodeState.INACTIVE
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.intent is Intent.ACTIVE)
    assert robot.states == [NodeState.ACTIVE] * 2


def test_the_note_of_a_pause_means_nothing_to_other_processes(robot):
    seen = observe(tuple(robot.nodes), 0.1, pacer=robot.pacer)
    robot.note.leave(seen)
    assert robot.note.tells_of(seen)
    for node in robot.nodes:
        node.restart()
    assert not robot.note.tells_of(observe(tuple(robot.nodes), 0.1, pacer=robot.pacer))


def test_a_damaged_pause_note_is_no_note(tmp_path):
    path = tmp_path / 'pause.json'
    path.write_text('{"paused": 3', 'utf-8')
    assert not PauseNote(path).tells_of(())


def test_managers_of_different_domains_and_names_keep_different_notes():
    paths = {
        default_pause_note(name, domain=domain)
        for name in ('/lifecycle_manager', '/robot/lifecycle_manager')
        for domain in ('', '7')
    }
    assert len(paths) == 4


def test_reset_makes_a_given_up_system_startable(robot):
    robot.nodes[0].outcomes[Transition.CONFIGURE] = NodeState.UNCONFIGURED
    manager = robot.manager(autostart=True)
    until(lambda: manager.report.intent is Intent.IDLE)
    assert manager.reset().success
    assert manager.report.problem == ''


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'node_names': ['a', 'a']}, 'node_names'),
        ({'node_names': []}, 'node_names'),
        ({'rollout_nodes': ['b'], 'node_names': ['a']}, 'rollout_nodes has b'),
        ({'watch_store': '/models'}, 'watch_model'),
        ({'shutdown_on_exit': 'perhaps'}, 'shutdown_on_exit'),
        ({'transition_timeout_s': -1.0}, 'transition_timeout_s'),
    ],
)
def test_wrong_parameters_are_refused_by_name(values, reason):
    with pytest.raises(SettingsInvalid, match=reason):
        manager_values(values)


def test_the_defaults_of_the_table_are_those_of_the_settings():
    full_names = {'segmentation': '/segmentation'}
    settings = manager_settings(manager_values({}), full_names=full_names)
    assert settings.supervision == SupervisionPolicy()
    assert settings.limits == TransitionLimits(answer_timeout_s=2.0)
    assert settings.rollout_nodes == ()


def test_rollout_nodes_are_given_by_their_full_names():
    values = manager_values({'node_names': ['a', '/b'], 'rollout_nodes': ['/b', 'a']})
    settings = manager_settings(values, full_names={'a': '/robot/a', '/b': '/b'})
    assert settings.rollout_nodes == ('/b', '/robot/a')
