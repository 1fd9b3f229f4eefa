"""What the manager's client does when the middleware drops requests and replies."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from edge_seg.ros.lifecycle_client import LifecycleClient
from edge_seg.runtime.managing.managed_node import NodeState
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import pytest
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

PATIENCE_S = 30.0
ACTIVE = GetState.Response(current_state=State(id=State.PRIMARY_STATE_ACTIVE))
FLOOR = GetParameters.Response(
    values=[ParameterValue(type=ParameterType.PARAMETER_STRING, string_value='floor@2')]
)


class Wire:
    """Implements what a LifecycleClient uses of its node: services that lose their first replies.

    Attributes:
        lost: how many requests of each service are not answered.
        ready_after: how often each service is looked for before it is there.
        asked: services that were asked, in order.
        forgotten: requests that were given up or answered.
        processes: identities that the middleware lists.
        listeners: callbacks of the subscriptions by topic.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.ready_after = 0
        self.listed = True
        self.asked: list[str] = []
        self.forgotten = 0
        self.processes = [bytes(16)]
        self.listeners: dict[str, Callable[[Any], None]] = {}

    def create_client(self, _kind: Any, name: str, **_group: Any) -> Any:
        service = name.rpartition('/')[2]
        answers = {'get_state': ACTIVE, 'get_parameters': FLOOR}

        def call(_request: Any) -> Future[Any]:
            self.asked.append(service)
            future: Future[Any] = Future()
            if len(self.asked) > self.lost and service in answers:
                future.set_result(answers[service])
            return future

        return SimpleNamespace(
            service_is_ready=self._is_ready, call_async=call, remove_pending_request=self._forget
        )

    def create_subscription(
        self, _kind: Any, topic: str, callback: Callable[[Any], None], *_qos: Any, **_group: Any
    ) -> None:
        self.listeners[topic] = callback

    def get_publishers_info_by_topic(self, _topic: str) -> list[Any]:
        return [SimpleNamespace(endpoint_gid=gid) for gid in self.processes if self.listed]

    def _is_ready(self) -> bool:
        self.ready_after -= 1
        return self.ready_after < 0

    def _forget(self, _future: Any) -> None:
        self.forgotten += 1


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(wire: Wire) -> LifecycleClient:
    owner: Any = wire
    group = ReentrantCallbackGroup()
    return LifecycleClient(owner, '/a', callback_group=group, on_event=lambda: None)


def test_the_question_for_the_state_is_asked_again_when_the_reply_was_lost(
    wire: Wire, client: LifecycleClient
) -> None:
    wire.lost = 1

    assert client.ask_state().wait(PATIENCE_S) is NodeState.ACTIVE
    assert wire.asked == ['get_state'] * 2
    assert wire.forgotten == 2  # none is kept for ever


def test_a_parameter_is_read_again_when_the_reply_was_lost(
    wire: Wire, client: LifecycleClient
) -> None:
    wire.lost = 2

    assert client.get_model(PATIENCE_S) == 'floor@2'
    assert wire.asked == ['get_parameters'] * 3


def test_a_service_that_is_not_found_yet_is_waited_for(
    wire: Wire, client: LifecycleClient
) -> None:
    wire.ready_after = 3

    assert client.get_model(PATIENCE_S) == 'floor@2'


def test_what_changes_something_is_sent_once(wire: Wire, client: LifecycleClient) -> None:
    reply = client.set_model('floor@2', 1.2)

    assert not reply.accepted
    assert wire.asked == ['set_parameters']


def test_a_node_that_is_gone_is_not_asked_again(wire: Wire, client: LifecycleClient) -> None:
    wire.lost = 1000
    wire.listed = False

    assert client.ask_state().wait(PATIENCE_S) is NodeState.ABSENT
    assert wire.asked == ['get_state']


def test_what_a_process_said_is_not_the_word_of_its_successor(
    wire: Wire, client: LifecycleClient
) -> None:
    def say(stage: str) -> None:
        values = [KeyValue(key='stage', value=stage), KeyValue(key='request_id', value='1')]
        wire.listeners['/a/model_status'](DiagnosticStatus(values=values))

    def stage() -> str:
        status = client.served_model()
        return status.stage if status is not None else 'nothing'

    say('build')
    assert stage() == 'build'

    wire.processes.append(bytes(15) + b'1')  # the killed one is still listed
    assert stage() == 'nothing'

    say('serving')
    assert stage() == 'serving'
    del wire.processes[0]
    assert stage() == 'serving'
