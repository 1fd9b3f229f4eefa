"""What an operator and a robot do with a segmentation node: one rclpy node and its thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
import itertools
import threading
import time
from typing import Any, TypeVar

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
import rclpy
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.timer import Timer
from segmentation_process import SegmentationProcess
from sensor_msgs.msg import CompressedImage, Image
from spinning_node import SpinningNode
from std_srvs.srv import Trigger

PATIENCE_S = 20.0
RESEND_S = 1.0
LOOK_AGAIN_S = 0.05
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
SHUTDOWNS = {
    'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}
LAST_SERVICE = 'get_state'
SERVICES = {
    'change_state': ChangeState,
    'set_parameters': SetParameters,
    'get_parameters': GetParameters,
    'reload': Trigger,
    'rollback': Trigger,
    LAST_SERVICE: GetState,
}

Value = TypeVar('Value')


@dataclass(frozen=True)
class Report:
    """One diagnostic status."""

    level: int
    message: str
    values: dict[str, str]

    def count(self, key: str) -> int:
        """Give a counter; a drop reason that never occurred is not listed."""
        return int(self.values.get(key, '0'))


def report_of(status: DiagnosticStatus) -> Report:
    """Read a status."""
    level = status.level[0] if isinstance(status.level, bytes) else status.level
    return Report(level, status.message, {pair.key: pair.value for pair in status.values})


class Operator:
    """Talks to one segmentation node. Every wait has a deadline and says what it waited for."""

    def __init__(self, process: SegmentationProcess) -> None:
        self._process = process
        self._name = self.full_name('segmentation')
        self._frame_ids = (f'camera_{number}' for number in itertools.count(1))
        self._changed = threading.Condition()  # notified when anything arrives
        self.spinning = SpinningNode('operator', enable_rosout=False)
        self.node = self.spinning.node
        self._clients = {
            service: self.node.create_client(service_type, f'{self._name}/{service}')
            for service, service_type in SERVICES.items()
        }
        self._connected = False
        self._opened = ExitStack()  # listeners and cameras
        self._reports: list[Report] = []
        self.diagnostics_stamp = Time()
        """Stamp of the newest diagnostics."""
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.spinning.start()

    def close(self) -> None:
        """Leave."""
        self.forget()
        self.spinning.close()

    @property
    def namespace(self) -> str:
        """Namespace of the node."""
        return self._process.namespace

    def full_name(self, name: str) -> str:
        """Complete a name in the node's namespace."""
        return f'{self.namespace}/{name}'

    # Waiting

    def until(self, probe: Callable[[], Value | None], what: str) -> Value:
        """Wait until ``probe`` gives something true, and give it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            value = probe()
            if value:
                return value
            if not self._process.running or time.monotonic() > deadline_s:
                raise AssertionError(f'in vain: {what}\n{self.situation()}')
            with self._changed:
                self._changed.wait(LOOK_AGAIN_S)

    def situation(self) -> str:
        """Say all that is known, for a failure."""
        last = self._reports[-1] if self._reports else 'no diagnostics came'
        return f'{last}\n--- log of {self._name}\n{self._process.log}'

    @property
    def log(self) -> str:
        """What the node's process printed so far."""
        return self._process.log

    # Lifecycle

    @property
    def state(self) -> str:
        """Label of the node's state."""
        return str(self._call('get_state', GetState.Request()).current_state.label)

    def change(self, *transitions: str) -> bool:
        """Make transitions, one after the other; False when the last one did not succeed."""
        done = True  # nothing asked, nothing failed
        for transition in transitions:
            assert done, f'{transition} was not reached\n{self.situation()}'
            done = self.change_later(transition)()
        return done

    def change_later(self, transition: str) -> Callable[[], bool]:
        """Ask for a transition and return at once; the result waits for the response."""
        request = ChangeState.Request()
        shutdown = transition == 'shutdown'
        request.transition.id = SHUTDOWNS[self.state] if shutdown else TRANSITIONS[transition]
        response = self._send('change_state', request)
        return lambda: bool(response().success)

    def start(self) -> None:
        """Configure and activate."""
        assert self.change('configure', 'activate'), self.situation()

    # Parameters and services

    def set(self, **values: Any) -> SetParametersResult:
        """Set parameters one by one; gives the first refusal, or the last result."""
        request = SetParameters.Request()
        for name, value in values.items():
            request.parameters.append(Parameter(name, value=value).to_parameter_msg())
        results = self._call('set_parameters', request).results
        return next((result for result in results if not result.successful), results[-1])

    def change_settings(self, **values: Any) -> None:
        """Set parameters that must be accepted."""
        result = self.set(**values)
        assert result.successful, result.reason

    def get(self, name: str) -> Any:
        """Read a parameter."""
        request = GetParameters.Request(names=[name])
        response = self._call('get_parameters', request)
        return parameter_value_to_python(response.values[0])

    def trigger(self, service: str) -> Trigger.Response:
        """Call ~/reload or ~/rollback."""
        return self.trigger_later(service)()

    def trigger_later(self, service: str) -> Callable[[], Trigger.Response]:
        """Call ~/reload or ~/rollback and return at once; the result waits for the response."""
        return self._send(service, Trigger.Request())

    # Topics

    def listen(
        self, topic: str, message_type: Any = Image, qos: QoSProfile = RELIABLE
    ) -> 'Listener':
        """Subscribe to a topic of the node, or to any by its full name."""
        name = topic if topic.startswith('/') else f'{self._name}/{topic}'
        listener = Listener(self, name, message_type, qos)
        self._opened.callback(listener.close)
        return listener

    def camera(
        self,
        message_type: Any = Image,
        qos: QoSProfile = RELIABLE,
        *,
        name: str = '',
        topic: str = '',
    ) -> 'Camera':
        """Publish on the node's image topic, or on another one of its namespace.

        With a ``name`` the publisher gets a node of its own, in that namespace.
        """
        if not topic:
            topic = 'image/compressed' if message_type is CompressedImage else 'image'
        camera = Camera(self, self.full_name(topic), message_type, qos, name)
        self._opened.callback(camera.close)
        return camera

    def settled_camera(self, message_type: Any = Image) -> 'Camera':
        """Publish on the node's image topic, and wait until it has subscribed accordingly.

        A single frame would get lost while the node subscribes anew.
        """
        camera = self.camera(message_type)
        self.report(lambda each: each.values['reliability'] == 'reliable', 'reliable subscription')
        return camera

    def end_timer(self, timer: Timer) -> None:
        """End a timer of the node."""
        self.spinning.change(lambda: self.node.destroy_timer(timer))

    def forget(self) -> None:
        """End all listeners and cameras."""
        self._opened.close()

    def next_frame_id(self) -> str:
        """Give a frame_id that no frame had before."""
        return next(self._frame_ids)

    def notify(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()

    # Diagnostics

    @property
    def reports_so_far(self) -> int:
        """How many reports came, for ``since``."""
        return len(self._reports)

    def report(
        self, accept: Callable[[Report], object], what: str, *, since: int | None = None
    ) -> Report:
        """Wait for a report from now on, or ``since`` a count, that is as wanted."""
        seen = len(self._reports) if since is None else since
        return self.until(
            lambda: next((each for each in self._reports[seen:] if accept(each)), None), what
        )

    def last_report(self) -> Report:
        """Give the newest report; wait for the first."""
        return self.until(lambda: self._reports[-1] if self._reports else None, 'diagnostics')

    def next_report(self) -> Report:
        """Wait for the report after the next: the next may have been on its way already."""
        enough = len(self._reports) + 2
        self.until(lambda: len(self._reports) >= enough, 'two more diagnostics')
        return self._reports[-1]

    def report_saying(self, *words: str, since: int | None = None) -> Report:
        """Wait for a report whose message has all these words."""
        return self.report(
            lambda report: all(word in report.message for word in words),
            f'a report with {words}',
            since=since,
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._name.lstrip('/'):
                self._reports.append(report_of(status))
                self.diagnostics_stamp = message.header.stamp
        self.notify()

    # Services

    def _call(self, service: str, request: Any) -> Any:
        return self._send(service, request)()

    def _send(self, service: str, request: Any) -> Callable[[], Any]:
        self._connect()
        future = self._clients[service].call_async(request)
        future.add_done_callback(lambda _: self.notify())
        return lambda: self.until(
            lambda: future.result() if future.done() else None, f'answer of {service}'
        )

    def _connect(self) -> None:
        """Wait until the node can answer, not only be asked.

        A service that does not know its client yet loses the response. Endpoints are announced in
        order, so that one answer to the client made last says that all others are known too.
        """
        if self._connected:
            return
        client = self._clients[LAST_SERVICE]
        self.until(client.service_is_ready, f'service {LAST_SERVICE}')
        futures: list[Any] = []
        next_s = 0.0

        def answered() -> bool:
            nonlocal next_s
            if time.monotonic() > next_s:
                futures.append(client.call_async(GetState.Request()))
                futures[-1].add_done_callback(lambda _: self.notify())
                next_s = time.monotonic() + RESEND_S
            return any(future.done() for future in futures)

        self.until(answered, f'answer of {LAST_SERVICE}')
        self._connected = True


class Listener:
    """A subscription and what it received."""

    def __init__(self, operator: Operator, topic: str, message_type: Any, qos: QoSProfile) -> None:
        self._operator = operator
        self.messages: list[Any] = []
        self._subscription: Any = operator.node.create_subscription(
            message_type, topic, self._on_message, qos
        )

    def next(self, what: str = 'a message') -> Any:
        """Wait for one more message than there are."""
        have = len(self.messages)
        self._operator.until(lambda: len(self.messages) > have, what)
        return self.messages[-1]

    def first(self, accept: Callable[[Any], object], what: str) -> Any:
        """Wait for a message that is as wanted, among all that came."""
        return self._operator.until(
            lambda: next((each for each in self.messages if accept(each)), None), what
        )

    def of(self, frame_ids: set[str]) -> Any:
        """Give a message that answers one of these frames, None when there is none yet."""
        return next((m for m in reversed(self.messages) if m.header.frame_id in frame_ids), None)

    def close(self) -> None:
        """Unsubscribe. Twice is fine."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            operator = self._operator
            operator.spinning.change(lambda: operator.node.destroy_subscription(subscription))

    def _on_message(self, message: Any) -> None:
        self.messages.append(message)
        self._operator.notify()


class Camera:
    """A publisher of frames."""

    def __init__(
        self, operator: Operator, topic: str, message_type: Any, qos: QoSProfile, name: str
    ) -> None:
        self._operator = operator
        self._node = operator.node
        if name:
            self._node = rclpy.create_node(
                name, namespace=operator.namespace, context=operator.node.context
            )
        self._own = bool(name)
        self._publisher: Any = self._node.create_publisher(message_type, topic, qos)

    @property
    def subscribers(self) -> int:
        """Count who listens."""
        return int(self._publisher.get_subscription_count())

    def publish(self, frame: Any, *, stamp: Time | None = None) -> str:
        """Stamp a frame, by default with now, send it, and give the frame_id that it got."""
        frame.header.stamp = stamp or self._node.get_clock().now().to_msg()
        frame.header.frame_id = self._operator.next_frame_id()
        self._publisher.publish(frame)
        return str(frame.header.frame_id)

    @contextmanager
    def streaming(self, frame: Any, rate_hz: float) -> Iterator[None]:
        """Send a frame again and again; from another thread."""
        timer = self._operator.node.create_timer(1 / rate_hz, lambda: self.publish(frame))
        try:
            yield
        finally:
            self._operator.end_timer(timer)

    def ask(self, frame: Any, *listeners: Listener, stamp: Time | None = None) -> Any:
        """Send a frame until every listener has an answer; give the answer, or all of them.

        It is sent anew now and then: before node and operator have found each other, and with
        best effort, frames get lost.
        """
        sent: set[str] = set()
        next_s = 0.0

        def answers() -> list[Any] | None:
            nonlocal next_s
            if time.monotonic() > next_s:
                sent.add(self.publish(frame, stamp=stamp))
                next_s = time.monotonic() + RESEND_S
            found = [listener.of(sent) for listener in listeners]
            return found if all(message is not None for message in found) else None

        answered = self._operator.until(answers, f'answers to {sent}')
        return answered[0] if len(listeners) == 1 else answered

    def close(self) -> None:
        """Stop publishing. Twice is fine."""
        if self._publisher is None:
            return
        publisher, self._publisher = self._publisher, None
        self._operator.spinning.change(lambda: self._node.destroy_publisher(publisher))
        if self._own:
            self._node.destroy_node()
