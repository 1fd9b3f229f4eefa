"""Quality of service: what the nodes offer and request, and why a publisher cannot be heard."""

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Late joiners receive the last message: labels, label_info, model_status."""


def image_qos(reliability: ReliabilityPolicy) -> QoSProfile:
    """Profile of an image topic.

    Depth 1: a queue only makes masks old, the newest frame is the one that counts.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=reliability,
        durability=DurabilityPolicy.VOLATILE,
    )


def reliability_named(name: str) -> ReliabilityPolicy:
    """Translate the parameter values 'reliable' and 'best_effort'."""
    return {
        'reliable': ReliabilityPolicy.RELIABLE,
        'best_effort': ReliabilityPolicy.BEST_EFFORT,
    }[name]


def reliability_to_request(
    requested: str, publishers: Sequence[TopicEndpointInfo]
) -> ReliabilityPolicy:
    """Choose the reliability of an image subscription.

    Args:
        requested: the parameter ``image_qos``: 'auto', 'reliable' or 'best_effort'.
        publishers: endpoints that publish on the topic now.

    Returns:
        For 'auto': reliable when there are publishers and all offer it, else best effort, which
        every publisher can serve. Reliable matters: with default Fast DDS settings, best-effort
        frames above 512 KiB are nearly all lost between processes.
    """
    if requested != 'auto':
        return reliability_named(requested)
    offers = [info.qos_profile.reliability for info in publishers]
    if offers and all(offer == ReliabilityPolicy.RELIABLE for offer in offers):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


def incompatible_publishers(
    reliability: ReliabilityPolicy, publishers: Sequence[TopicEndpointInfo]
) -> list[str]:
    """Name the nodes whose publisher cannot be matched at this reliability."""
    if reliability != ReliabilityPolicy.RELIABLE:
        return []
    return [
        f'{info.node_namespace.rstrip("/")}/{info.node_name}'
        for info in publishers
        if info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    ]
