"""Publishes what the middleware may refuse: one message lost is no reason to end a node."""

from __future__ import annotations

from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher

MiddlewareRefused: Any = rclpy_implementation.RCLError
"""Raised by ``Publisher.publish``: Fast DDS gives a message up after 100 ms in which its writer is
busy, for example with a subscription that comes or goes while the machine is short of time."""
LOG_PERIOD_S = 5.0


def publish_or_warn(
    node: Node, publisher: Publisher[Any], message: Any, *, attempts: int = 1
) -> bool:
    """Publish; say in the log when the middleware refuses the message.

    Args:
        node: owner, for its log.
        publisher: of the topic.
        message: of its type.
        attempts: how often to try; more than once for what is not said again.

    Returns:
        Whether it was published.
    """
    for _ in range(attempts):
        try:
            publisher.publish(message)
        except MiddlewareRefused as error:
            text = f'{publisher.topic_name}: a message was not published: {error}'
            node.get_logger().warning(text, throttle_duration_sec=LOG_PERIOD_S)
        else:
            return True
    return False
