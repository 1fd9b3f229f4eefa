"""The operator of a benchmark: a plain rclpy node that asks for transitions and models."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import dropwhile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edge_seg.cli.bench.result import MeasurementFailed
from edge_seg.ros.shared_memory import clear_of_the_dead
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

STATUS_QOS = QoSProfile(
    depth=50,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
POLL_S = 0.02
SERVICE_LIMIT_S = 30.0
CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
AT_REST = ('serving', 'rejected', 'none')
BUSY = 'is being loaded'
BUSY_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class ModelNote:
    """What the node said on ~/model_status, and when (system clock, ns).

    ``since_ns`` is the stamp of the first frame that the model answered, 0 before it did;
    ``precision`` is that of its computation.
    """

    time_ns: int
    stage: str
    model: str
    request_id: int
    last_error: str
    since_ns: int = 0
    precision: str = ''


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service or the parameter said."""

    success: bool
    message: str


class BenchClient:
    """Asks and listens, in the caller's thread; a context manager.

    Args:
        node: name of the segmentation node.
        check: called while waiting; raises when waiting is in vain.
    """

    def __init__(
        self, node: str = 'segmentation', *, check: Callable[[], None] = lambda: None
    ) -> None:
        self._name = node
        self._check = check
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        with clear_of_the_dead():
            self._node = rclpy.create_node(
                'bench_client', context=self._context, enable_rosout=False
            )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}
        self.busy_at_rest = 0
        """How often a request was refused as one too many, while the last one was over."""
        self.notes: list[ModelNote] = []
        """Everything heard on ~/model_status, oldest first."""
        self.diagnostics: dict[str, str] = {}
        """Newest values of the node on /diagnostics."""
        subscribe = self._node.create_subscription
        subscribe(DiagnosticStatus, f'{node}/model_status', self._on_status, STATUS_QOS)
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def __enter__(self) -> 'BenchClient':
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    @property
    def newest(self) -> ModelNote | None:
        """The last word of ~/model_status."""
        return self.notes[-1] if self.notes else None

    @property
    def precision(self) -> str:
        """In which the model computes; '' before the node said so."""
        return self.notes[-1].precision if self.notes else ''

    def rest(self, seconds: float) -> None:
        """Let time pass, and go on listening."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.1))

    def await_that(self, condition: Callable[[], bool], what: str, *, limit_s: float) -> float:
        """Listen until a condition holds.

        Returns:
            Seconds waited.

        Raises:
            MeasurementFailed: it does not come to hold in time.
        """
        begin_s = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - begin_s
            if waited_s > limit_s:
                last = self.newest
                raise MeasurementFailed(
                    f'{what}: not within {limit_s:g} s'
                    + (f'; the model: {last.stage} {last.model} {last.last_error}' if last else '')
                )
            self._check()
            self._executor.spin_once(timeout_sec=POLL_S)
        return time.monotonic() - begin_s

    def transition(self, number: int) -> bool:
        """Ask for a lifecycle transition and wait for its end."""
        request = ChangeState.Request()
        request.transition.id = number
        response = self._call(ChangeState, f'{self._name}/change_state', request)
        return bool(response.success)

    def bring_up(self) -> None:
        """Configure and activate.

        Raises:
            MeasurementFailed: the node refuses.
        """
        for number in (CONFIGURE, ACTIVATE):
            if not self.transition(number):
                raise MeasurementFailed(
                    'the segmentation node refused to come up', remedy='its log says why'
                )

    def trigger(self, service: str) -> Answer:
        """Call a Trigger service, '<node>/<service>'."""
        response = self._call(Trigger, service, Trigger.Request())
        return Answer(bool(response.success), str(response.message))

    def set_model(self, request: str) -> Answer:
        """Set the parameter ``model``; a success means that loading begins."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=request)
        message = SetParameters.Request(parameters=[Parameter(name='model', value=value)])
        response = self._call(SetParameters, f'{self._name}/set_parameters', message)
        result = response.results[0]
        return Answer(bool(result.successful), str(result.reason))

    def load(self, request: str, *, limit_s: float = 60.0) -> ModelNote:
        """Ask for a model, and wait until it serves for good, or is refused.

        A refusal without a load (at resolve) gives a note that no status message stands for.
        """
        before = self.request_id
        answer = self.ask_for(request)
        if not answer.success:
            serving = self.newest.model if self.newest else ''
            return ModelNote(time.time_ns(), 'rejected', serving, before, answer.message)
        self.await_that(
            lambda: self._end_of_load(before) is not None,
            f'the end of loading {request}',
            limit_s=limit_s,
        )
        return self._end_of_load(before) or self.notes[-1]

    def ask_for(self, request: str) -> Answer:
        """Set the parameter ``model``, again while the node says that another load is going on."""
        deadline_s = time.monotonic() + BUSY_LIMIT_S
        while True:
            answer = self.set_model(request)
            if answer.success or BUSY not in answer.message or time.monotonic() > deadline_s:
                return answer
            self.busy_at_rest += 1
            self.rest(POLL_S)

    def await_stage(self, stages: tuple[str, ...], *, after: int, limit_s: float) -> None:
        """Wait until a request later than number ``after`` has reached one of these stages."""
        self.await_that(
            lambda: any(note.stage in stages for note in self._since(after)),
            f'stage {" or ".join(stages)}',
            limit_s=limit_s,
        )

    @property
    def request_id(self) -> int:
        """Number of the last request that the node told of; 0 before the first."""
        return self.newest.request_id if self.newest else 0

    def forget(self) -> None:
        """Forget what a node said that is gone: the next one counts its requests anew."""
        self.notes.clear()

    def _since(self, request_id: int) -> list[ModelNote]:
        """Give what was said of later requests, from their first stage on."""
        notes = (note for note in self.notes if note.request_id > request_id)
        return list(dropwhile(lambda note: note.stage in AT_REST, notes))

    def _end_of_load(self, request_id: int) -> ModelNote | None:
        return next((n for n in self._since(request_id) if n.stage in AT_REST), None)

    def await_trigger(self, service: str) -> None:
        """Find a Trigger service, so that the next call of it measures nothing else."""
        self._client(Trigger, service)

    def _client(self, kind: Any, name: str) -> Any:
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(kind, name)
        # Not wait_for_service: it polls four times a second.
        self.await_that(client.service_is_ready, f'service {name}', limit_s=SERVICE_LIMIT_S)
        return client

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        future = self._client(kind, name).call_async(request)
        self.await_that(future.done, f'the answer of {name}', limit_s=SERVICE_LIMIT_S)
        return future.result()

    def _on_status(self, message: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in message.values}
        self.notes.append(
            ModelNote(
                time.time_ns(),
                values['stage'],
                values['model'],
                int(values['request_id']),
                values['last_error'],
                _nanoseconds(values['since']),
                values['precision'],
            )
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._name:
                self.diagnostics = {pair.key: pair.value for pair in status.values}


def _nanoseconds(stamp: str) -> int:
    seconds, _, fraction = stamp.partition('.')
    return int(seconds) * 1_000_000_000 + int(fraction) if stamp else 0
