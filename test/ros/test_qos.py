"""Which quality of service is asked for, and who cannot be heard."""

from dataclasses import dataclass, field

from edge_seg.ros.qos import image_qos, incompatible_publishers, reliability_to_request
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


@dataclass
class Endpoint:
    """What rclpy tells of a publisher."""

    node_name: str
    reliability: ReliabilityPolicy
    node_namespace: str = '/'
    qos_profile: QoSProfile = field(init=False)

    def __post_init__(self) -> None:
        self.qos_profile = QoSProfile(depth=1, reliability=self.reliability)


@pytest.mark.parametrize(
    ('offers', 'asked'),
    [
        ([], BEST_EFFORT),  # serves whoever comes
        ([RELIABLE], RELIABLE),
        ([RELIABLE, RELIABLE], RELIABLE),
        ([RELIABLE, BEST_EFFORT], BEST_EFFORT),
        ([BEST_EFFORT], BEST_EFFORT),
    ],
)
def test_auto_asks_for_what_every_publisher_offers(
    offers: list[ReliabilityPolicy], asked: ReliabilityPolicy
) -> None:
    publishers = [Endpoint(f'camera{index}', offer) for index, offer in enumerate(offers)]
    assert reliability_to_request('auto', publishers) == asked


@pytest.mark.parametrize(
    ('requested', 'asked'), [('reliable', RELIABLE), ('best_effort', BEST_EFFORT)]
)
def test_a_named_reliability_is_asked_for(requested: str, asked: ReliabilityPolicy) -> None:
    publishers = [Endpoint('a', RELIABLE), Endpoint('b', BEST_EFFORT)]
    assert reliability_to_request(requested, publishers) == asked


def test_publishers_that_cannot_be_heard_are_named_in_full() -> None:
    publishers = [
        Endpoint('front', BEST_EFFORT),
        Endpoint('rear', RELIABLE),
        Endpoint('left', BEST_EFFORT, '/robot'),
    ]
    assert incompatible_publishers(RELIABLE, publishers) == ['/front', '/robot/left']
    assert incompatible_publishers(BEST_EFFORT, publishers) == []


def test_images_are_not_queued() -> None:
    profile = image_qos(RELIABLE)
    assert profile.depth == 1
    assert profile.durability == DurabilityPolicy.VOLATILE
