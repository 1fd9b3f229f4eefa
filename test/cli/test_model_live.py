"""Activate and rollback against a running node: asked, watched, read back."""

from collections.abc import Iterator
import json
from pathlib import Path
import threading
from typing import Any

from command_line import Run
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from edge_seg.ros.qos import LATCHED
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import pytest
from rcl_interfaces.msg import SetParametersResult
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger


class FakeSegmentation(Node):
    """Answers as the segmentation node does; the test scripts what becomes of a request."""

    def __init__(self, context: Context, state: int) -> None:
        super().__init__('segmentation', context=context)
        self.stages = ['verify', 'load', 'serving']
        self.reason = ''
        self.previous = 'floor@0'
        self.hangs = threading.Event()
        self.hangs.set()
        self._served = 'floor@1'
        self._requested = ''
        self._requests = 3
        self._state = state
        self._status = self.create_publisher(DiagnosticStatus, '~/model_status', LATCHED)
        self.create_service(GetState, '~/get_state', self._on_get_state)
        self.create_service(Trigger, '~/rollback', self._on_rollback)
        self.declare_parameter('model', 'floor@1')
        self.add_on_set_parameters_callback(self._on_set)
        self._say('serving')

    def _on_get_state(self, _: GetState.Request, response: GetState.Response) -> Any:
        response.current_state.id = self._state
        return response

    def _on_rollback(self, _: Trigger.Request, response: Trigger.Response) -> Any:
        self.hangs.wait(30.0)
        response.success = bool(self.previous)
        response.message = 'there is no previous model'
        if self.previous:
            self._served, response.message = self.previous, f'serving {self.previous}'
            self._say('serving')
        return response

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        wanted = parameters[0].value
        self.hangs.wait(30.0)
        if self._state == State.PRIMARY_STATE_UNCONFIGURED:
            return SetParametersResult(successful=True)
        if wanted.startswith('unknown'):
            return SetParametersResult(successful=False, reason=f'resolve: no model {wanted}')
        self._requests += 1
        self._requested = wanted
        for stage in self.stages:
            self._served = wanted if stage == 'serving' else self._served
            self._say('serving' if stage == 'the one before serves' else stage)
        return SetParametersResult(successful=True)

    def _say(self, stage: str) -> None:
        values = {
            'model': self._served,
            'stage': stage,
            'requested': self._requested,
            'request_id': str(self._requests),
            'last_error': self.reason if stage == 'rejected' else '',
        }
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        self._status.publish(DiagnosticStatus(name='model', values=pairs))


def running(state: int) -> Iterator[FakeSegmentation]:
    context = Context()
    context.init(args=[])
    node = FakeSegmentation(context, state)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join(30.0)
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[FakeSegmentation]:
    yield from running(State.PRIMARY_STATE_ACTIVE)


@pytest.fixture
def unconfigured_node(ros_domain_id: int) -> Iterator[FakeSegmentation]:
    yield from running(State.PRIMARY_STATE_UNCONFIGURED)


WAIT = ('--wait', '20', '--timeout', '20')


def test_a_model_that_comes_to_serve_is_reported(run: Run, node: FakeSegmentation) -> None:
    result = run('model', 'activate', 'floor@2', *WAIT)
    assert result.code == 0, result.err
    assert result.out == '/segmentation serves floor@2 (parameter model: floor@2)\n'
    assert result.err.split()[-1] == 'serving'


def test_a_request_that_the_node_refuses_has_its_reason(run: Run, node: FakeSegmentation) -> None:
    result = run('model', 'activate', 'unknown@2', *WAIT)
    assert (result.code, result.out) == (1, '')
    assert 'resolve: no model unknown@2; it serves floor@1' in result.err


def test_a_model_that_fails_on_the_way_is_refused(run: Run, node: FakeSegmentation) -> None:
    node.stages, node.reason = ['verify', 'rejected'], 'verify: floor.onnx has sha256 00'
    result = run('model', 'activate', 'floor@2', *WAIT)
    assert result.code == 1
    assert 'verify: floor.onnx has sha256 00; it serves floor@1' in result.err


def test_that_the_model_before_passed_its_trial_is_no_success(
    run: Run, node: FakeSegmentation
) -> None:
    node.stages = ['build', 'the one before serves']
    result = run('model', 'activate', 'floor@2', '--wait', '20', '--timeout', '0.5')
    assert result.code == 5
    assert 'floor@2 neither serves nor is refused' in result.err
    node.stages = ['build', 'the one before serves', 'serving']
    assert run('model', 'activate', 'floor@2', *WAIT).code == 0


def test_a_node_that_does_not_answer_is_not_told_as_a_refusal(
    run: Run, node: FakeSegmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('edge_seg.cli.model.live.ANSWER_S', 0.3)
    for command in (('activate', 'floor@2'), ('rollback',)):
        node.hangs.clear()
        result = run('model', *command, '--wait', '20', '--timeout', '0.3')
        node.hangs.set()
        assert result.code == 5
        assert 'no answer' in result.err


def test_a_load_that_does_not_end_is_given_up(run: Run, node: FakeSegmentation) -> None:
    node.stages = ['verify', 'load']
    result = run('model', 'activate', 'floor@2', '--wait', '20', '--timeout', '0.3')
    assert result.code == 5
    assert 'neither serves nor is refused after 0.3 s' in result.err


def test_without_waiting_the_request_is_enough(run: Run, node: FakeSegmentation) -> None:
    node.stages = ['load']
    result = run('model', 'activate', 'floor@2', '--no-wait', *WAIT)
    assert result.code == 0
    assert 'is loading floor@2' in result.out


def test_a_node_that_is_not_configured_takes_the_model_later(
    run: Run, unconfigured_node: FakeSegmentation
) -> None:
    result = run('model', 'activate', 'floor@2', *WAIT)
    assert result.code == 0
    assert 'is unconfigured: it loads floor@2 when it is configured' in result.out


def test_a_path_is_sent_whole(
    run: Run, node: FakeSegmentation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run('model', 'activate', './mine', '--json', *WAIT)
    assert json.loads(result.out)['parameter'] == str(tmp_path / 'mine')


def test_rollback_gives_the_answer_of_the_node(run: Run, node: FakeSegmentation) -> None:
    result = run('model', 'rollback', '--json', *WAIT)
    assert result.code == 0
    document = json.loads(result.out)
    assert (document['success'], document['serves']) == (True, 'floor@0')
    node.previous = ''
    result = run('model', 'rollback', *WAIT)
    assert result.code == 1
    assert 'there is no previous model' in result.err


def test_a_node_that_is_not_there_is_said(run: Run, ros_domain_id: int) -> None:
    for command in (('activate', 'floor'), ('rollback',)):
        result = run('model', *command, '--node', 'nobody', '--wait', '0.2')
        assert result.code == 5
        assert len(result.err.splitlines()) == 1
        assert '/nobody is absent: no answer within 0.2 s' in result.err


def test_a_malformed_name_is_refused_before_ros_is_touched(run: Run) -> None:
    result = run('model', 'activate', 'a b')
    assert result.code == 3
    assert 'names no model' in result.err
