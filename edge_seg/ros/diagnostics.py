"""Publishes /diagnostics once a period (REP 107), stamped with the node's clock."""

from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from edge_seg.ros.publishing import publish_or_warn
from edge_seg.runtime.health.judgement import Health
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

# DiagnosticStatus.level is a byte in Python.
LEVELS = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
PERIOD_S = 1.0
NamedHealth = tuple[str, Health]


class Diagnostics:
    """A timer that asks for the health and publishes it.

    diagnostic_updater is not used: its timer follows sim time, so that a paused simulation
    silences it, and an exception in one of its tasks escapes.

    Args:
        node: owner.
        assess: gives the health of each part of the node, '' for the node itself; called in the
            executor's thread.
        model: gives the state of the model, published beside the health; None for nodes without.
    """

    def __init__(
        self,
        node: Node,
        assess: Callable[[], Sequence[NamedHealth]],
        model: Callable[[], DiagnosticStatus] | None = None,
    ) -> None:
        self._node = node
        self._assess = assess
        self._model = model
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD_S, self.publish, clock=self._clock)

    def set_period(self, period_s: float) -> None:
        """Change the time from one message to the next, in real time; at first it is 1 s."""
        self._timer.timer_period_ns = int(period_s * 1e9)

    def publish(self) -> None:
        """Publish now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._status(name, health) for name, health in self._assess()]
        if self._model is not None:
            message.status.append(self._model())
        publish_or_warn(self._node, self._publisher, message)

    def _status(self, part: str, health: Health) -> DiagnosticStatus:
        node = self._node.get_fully_qualified_name().lstrip('/')
        return DiagnosticStatus(
            level=LEVELS[health.level],
            name=f'{node}: {part}' if part else node,
            message=health.message,
            hardware_id='',
            values=[KeyValue(key=key, value=value) for key, value in health.values],
        )
