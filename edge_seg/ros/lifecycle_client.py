"""A managed lifecycle node seen over DDS: states, transitions, models; in any language."""

from collections.abc import Callable
import math
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.ros.qos import LATCHED
from edge_seg.ros.service_calls import Call, Question
from edge_seg.runtime.managing.managed_node import NodeState, Transition, TransitionReply
from edge_seg.runtime.managing.model_node import Reply, ServedModel
from lifecycle_msgs.msg import State, TransitionEvent
from lifecycle_msgs.msg import Transition as TransitionId
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger

_STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: NodeState.UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE: NodeState.INACTIVE,
    State.PRIMARY_STATE_ACTIVE: NodeState.ACTIVE,
    State.PRIMARY_STATE_FINALIZED: NodeState.FINALIZED,
}

_TRANSITION_IDS = {
    Transition.CONFIGURE: TransitionId.TRANSITION_CONFIGURE,
    Transition.ACTIVATE: TransitionId.TRANSITION_ACTIVATE,
    Transition.DEACTIVATE: TransitionId.TRANSITION_DEACTIVATE,
    Transition.CLEANUP: TransitionId.TRANSITION_CLEANUP,
    Transition.FINALIZE: TransitionId.TRANSITION_UNCONFIGURED_SHUTDOWN,
}

# Events come in bursts when a node is shut down from active.
_EVENT_DEPTH = 10

# A node that has not found this client yet receives its question and cannot answer it: Fast DDS
# gives the reply up after 0.1 s. Questions that change nothing are asked again.
ASK_AGAIN_S = 0.5


class _StateQuestion:
    """Implements StateAnswer."""

    def __init__(self, question: Question, *, listed: Callable[[], bool]) -> None:
        self._question = question
        self._listed = listed

    def wait(self, timeout_s: float) -> NodeState:
        response = self._question.wait(timeout_s)
        if response is not None:
            return _STATES.get(response.current_state.id, NodeState.BUSY)
        return NodeState.SILENT if self._listed() else NodeState.ABSENT


class _TransitionRequest:
    """Implements TransitionAnswer."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def wait(self, timeout_s: float) -> TransitionReply:
        response = self._call.wait(timeout_s)
        if response is None:
            return TransitionReply.NO_REPLY
        return TransitionReply.DONE if response.success else TransitionReply.REFUSED

    def abandon(self) -> None:
        self._call.abandon()


class LifecycleClient:
    """Implements ManagedNode and ModelNode.

    Any thread may call it except one that the executor needs to deliver the answers.

    Args:
        owner: the node that the clients belong to.
        name: full name of the managed node.
        callback_group: for clients and subscriptions; a reentrant one.
        on_event: called when the node reports a transition, in an executor thread.
    """

    def __init__(
        self,
        owner: Node,
        name: str,
        *,
        callback_group: CallbackGroup,
        on_event: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._name = name
        self._event_topic = f'{name}/transition_event'
        self._status_topic = f'{name}/model_status'
        self._lock = threading.Lock()  # around sending
        self._transition: _TransitionRequest | None = None  # the last one; manager's thread
        # With the processes that were there when it came; replaced whole in an executor thread.
        self._status: tuple[ServedModel | None, frozenset[str]] = (None, frozenset())
        self._words = ''  # since the last transition was asked for

        def client(service_type: Any, service: str) -> 'Client[Any, Any]':
            return owner.create_client(
                service_type, f'{name}/{service}', callback_group=callback_group
            )

        self._get_state = client(GetState, 'get_state')
        self._change_state = client(ChangeState, 'change_state')
        self._get_parameters = client(GetParameters, 'get_parameters')
        self._set_parameters = client(SetParameters, 'set_parameters')
        self._rollback = client(Trigger, 'rollback')

        def listen(kind: Any, topic: str, callback: Callable[[Any], None], qos: Any) -> None:
            owner.create_subscription(kind, topic, callback, qos, callback_group=callback_group)

        listen(TransitionEvent, self._event_topic, lambda _event: on_event(), _EVENT_DEPTH)
        listen(DiagnosticStatus, self._status_topic, self._on_status, LATCHED)

    @property
    def name(self) -> str:
        """Full name of the managed node."""
        return self._name

    def ask_state(self) -> _StateQuestion:
        """See ManagedNode."""
        question = self._question(self._get_state, GetState.Request(), again_s=ASK_AGAIN_S)
        return _StateQuestion(question, listed=self._is_listed)

    def incarnation(self) -> frozenset[str]:
        """See ManagedNode; the identities are those of the publishers of transition_event.

        Every lifecycle node has that publisher, and the middleware gives each new one an
        identity that never comes again.
        """
        endpoints = self._owner.get_publishers_info_by_topic(self._event_topic)
        return frozenset(bytes(endpoint.endpoint_gid).hex() for endpoint in endpoints)

    def ask_transition(self, transition: Transition) -> _TransitionRequest:
        """See ManagedNode."""
        if self._transition is not None:
            self._transition.abandon()
        self._words = ''
        request = ChangeState.Request()
        request.transition.id = _TRANSITION_IDS[transition]
        self._transition = _TransitionRequest(Call(self._change_state, self._lock, request))
        return self._transition

    def last_words(self) -> str:
        """See ManagedNode; taken from ~/model_status."""
        return self._words

    def serves_models(self) -> bool:
        """See ModelNode."""
        return self._owner.count_publishers(self._status_topic) > 0

    def served_model(self) -> ServedModel | None:
        """See ModelNode."""
        status, processes = self._status
        # A killed process stays listed for a while, and its last words would stand for ever.
        restarted = processes and self.incarnation() - processes
        return None if restarted else status

    def last_status(self) -> ServedModel | None:
        """See ModelNode."""
        return self._status[0]

    def get_model(self, timeout_s: float) -> str | None:
        """See ModelNode."""
        request = GetParameters.Request(names=['model'])
        question = self._question(self._get_parameters, request, again_s=ASK_AGAIN_S)
        response = question.wait(timeout_s)
        if response is None or not response.values:
            return None
        value = response.values[0]
        return value.string_value if value.type == ParameterType.PARAMETER_STRING else None

    def set_model(self, model: str, timeout_s: float) -> Reply:
        """See ModelNode."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=model)
        request = SetParameters.Request(parameters=[Parameter(name='model', value=value)])
        response = self._question(self._set_parameters, request).wait(timeout_s)
        if response is None or not response.results:
            return Reply(False, f'no answer within {timeout_s:.1f} s', answered=False)
        result = response.results[0]
        return Reply(result.successful, result.reason)

    def roll_back(self, timeout_s: float) -> Reply:
        """See ModelNode."""
        response = self._question(self._rollback, Trigger.Request()).wait(timeout_s)
        if response is None:
            reason = f'no answer to ~/rollback within {timeout_s:.1f} s'
            return Reply(False, reason, answered=False)
        return Reply(response.success, response.message)

    def _is_listed(self) -> bool:
        return bool(self.incarnation())

    def _question(self, client: Any, request: Any, *, again_s: float = math.inf) -> Question:
        return Question(client, self._lock, request, again_s=again_s, listed=self._is_listed)

    def _on_status(self, message: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in message.values}
        request_id = values.get('request_id', '')
        status = ServedModel(
            model=values.get('model', ''),
            stage=values.get('stage', ''),
            requested=values.get('requested', ''),
            request_id=int(request_id) if request_id.isdecimal() else 0,
            last_error=values.get('last_error', ''),
        )
        self._words = status.last_error
        self._status = status, self.incarnation()
