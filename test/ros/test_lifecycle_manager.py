"""The lifecycle manager with managed nodes, all real processes, over real DDS."""

import signal
import time

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from managed_node_process import UNRESOLVABLE
from managed_system import ManagedSystem, MANAGER
import pytest

UP = ('configure a', 'configure b', 'activate a', 'activate b')
DOWN = ('deactivate b', 'deactivate a', 'cleanup b', 'cleanup a')
EXIT_TIMEOUT_S = 4.0  # the default: so long it waits for nodes that do not go down
QUICK = {
    'node_names': ['a', 'b'],
    'supervise_period_s': 0.2,
    'service_timeout_s': 1.0,
    'restart_backoff_min_s': 0.2,
}


@pytest.fixture
def system(tmp_path, ros_domain_id, monkeypatch):
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))
    system = ManagedSystem(tmp_path)
    yield system
    system.close()


def test_a_day_of_an_operator(system):
    """Autostart, startup again, pause, a node taken down by hand, resume, the end."""
    system.start_manager(**QUICK)
    system.start_node('a')
    system.start_node('b')
    system.until_journal(*UP)
    system.until(lambda: system.manager('is_active').success, 'is_active')

    again = system.manager('startup')
    assert (again.success, again.message) == (True, 'active already: /a, /b')
    assert system.journal() == list(UP)

    assert system.manager('pause').success
    assert system.journal()[len(UP) :] == ['deactivate b', 'deactivate a']
    asked = system.manager('is_active')
    assert (asked.success, asked.message) == (False, 'paused: /a inactive, /b inactive')
    assert system.until_diagnostic('manager', 'paused').level == DiagnosticStatus.OK
    assert system.manager('resume').success
    assert system.manager('is_active').success

    assert system.change_state('b', Transition.TRANSITION_DEACTIVATE)
    held = system.until_diagnostic('/b', 'by somebody else')
    assert held.level == DiagnosticStatus.WARN
    assert system.state('b') == 'inactive'
    assert system.manager('resume').success

    before = len(system.journal())
    assert system.interrupt(MANAGER) == 0
    assert system.journal()[before:] == list(DOWN)


def test_nodes_that_end_with_the_manager_are_not_waited_for(system):
    system.start_node('a')
    system.start_node('b')
    system.start_manager(**QUICK)
    system.until_journal(*UP)
    asked_at = time.monotonic()
    assert system.interrupt_all() == {'a': 0, 'b': 0, MANAGER: 0}
    assert time.monotonic() - asked_at < EXIT_TIMEOUT_S
    assert 'all nodes are unconfigured or gone' in system.log(MANAGER)


def test_a_second_ctrl_c_as_under_launch_does_not_cut_the_teardown_off(system):
    system.start_node('a')
    system.start_node('b', deactivate_s=1.0)
    system.start_manager(**QUICK)
    system.until_journal(*UP)
    system.signal(MANAGER)
    system.until(lambda: 'deactivate b' in system.journal(), 'the teardown')
    assert system.interrupt(MANAGER) == 0
    assert system.journal()[len(UP) :] == list(DOWN)


def test_a_failing_configure_is_explained_and_the_rest_taken_back(system):
    system.start_node('a')
    system.start_node('b', fail_configure=True)
    system.start_manager(**QUICK, autostart=False)
    refused = system.manager('startup')
    assert not refused.success
    assert '/b: configure: refused, the node stayed unconfigured' in refused.message
    assert 'there is no mask.onnx' in refused.message
    assert 'expected inactive' in refused.message
    assert system.state('a') == 'unconfigured'
    assert system.journal() == ['configure a', 'configure b', 'cleanup a']

    system.set('b', 'fail_configure', False)
    assert system.manager('startup').success


def test_a_configure_longer_than_the_timeout_succeeds_and_the_manager_stays_responsive(system):
    system.start_node('a')
    system.start_node('b', configure_s=3.0)
    system.start_manager(**QUICK, autostart=False, transition_timeout_s=0.3)
    startup = system.manager_later('startup')
    system.until(lambda: 'configure b' in system.journal(), 'the long configure')

    asked_at = time.monotonic()
    asked = system.manager('is_active')
    refused = system.manager_once('rollout')
    assert time.monotonic() - asked_at < 2.0
    assert (asked.success, '/b silent' in asked.message) == (False, True)
    assert 'busy: startup is running' in refused.message

    done = startup()
    assert (done.success, done.message) == (True, 'active: /a, /b')
    assert 'no reply to configure within 0.3 s' in system.log(MANAGER)


def test_kill_9_of_a_node_and_of_the_manager(system):
    system.start_node('a')
    system.start_node('b')
    system.start_manager(**QUICK)
    system.until_journal(*UP)
    system.until(lambda: system.manager('is_active').success, 'is_active')

    system.kill('b')
    system.start_node('b')
    system.until_journal(*UP, 'configure b', 'activate b')
    system.until_diagnostic('/b', 'active', restarts='1')

    journal = system.journal()
    system.kill(MANAGER)
    assert (system.state('a'), system.state('b')) == ('active', 'active')
    system.start_manager(**QUICK)
    system.until(lambda: 'adopted' in system.log(MANAGER), 'the adoption')
    assert system.journal() == journal

    system.kill('a')
    system.start_node('a')
    system.until_journal(*journal, 'configure a', 'activate a')

    assert system.manager('pause').success
    journal = system.journal()
    system.kill(MANAGER)
    system.start_manager(**QUICK)
    system.until(lambda: 'an operator paused' in system.log(MANAGER), 'respect for the pause')
    assert system.journal() == journal
    assert system.interrupt(MANAGER, signal.SIGTERM) == 0


def test_rollouts_reach_all_nodes_or_none(system):
    system.start_node('a')
    system.start_node('b', rejects='floor@3')
    system.start_manager(**QUICK, rollout_model='floor@2')
    system.until(lambda: system.manager('is_active').success, 'is_active')

    def models() -> list[str]:
        return [system.get(name, 'model') for name in ('a', 'b')]

    done = system.manager_once('rollout')
    assert (done.success, done.message) == (True, 'floor@2 serves on /a, /b')
    assert models() == ['floor@2', 'floor@2']

    system.set(MANAGER, 'rollout_model', 'floor@3')
    refused = system.manager_once('rollout')
    assert not refused.success
    assert "/b: 'floor@3' warm: output is not finite" in refused.message
    assert 'all back: /a serves floor@2, /b serves floor@2' in refused.message
    system.set(MANAGER, 'rollout_model', UNRESOLVABLE)
    assert 'nothing answers to it' in system.manager_once('rollout').message

    system.kill('b')
    system.start_node('b')
    system.until(lambda: system.manager('is_active').success, 'the return of b')
    assert system.get('b', 'model') == 'floor@2'  # not floor@1, with which it started

    back = system.manager_once('rollback')
    assert back.success, back.message
    assert models() == ['floor@1', 'floor@1']
    assert system.interrupt(MANAGER) == 0


def test_nodes_that_are_killed_during_a_rollout_are_back_before_it_is_over(system):
    system.start_node('a')
    system.start_node('b', load_s=1000.0)
    system.start_manager(**QUICK, rollout_model='floor@2')
    system.until_journal(*UP)
    system.until(lambda: system.manager('is_active').success, 'is_active')

    rollout = system.manager_later('rollout')
    system.until(lambda: system.get('b', 'model') == 'floor@2', 'the load of b')
    system.kill('a')
    system.start_node('a')
    system.until_journal(*UP, 'configure a', 'activate a')

    system.kill('b')
    system.start_node('b')
    told = rollout()
    assert not told.success
    assert "/b: it died while loading 'floor@2'" in told.message
    system.until_journal(*UP, 'configure a', 'activate a', 'configure b', 'activate b')
    assert [system.get(name, 'model') for name in ('a', 'b')] == ['floor@1', 'floor@1']


def test_a_parameter_that_cannot_be_used_ends_the_manager_with_the_reason(system):
    system.start_manager(node_names=['a', 'a'])
    assert system.wait_for_end(MANAGER) == 1
    assert 'node_names' in system.log(MANAGER)
