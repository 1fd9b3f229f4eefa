"""A message that the middleware refuses costs this message, not the node, nor the stream."""

from collections.abc import Callable, Iterator
from typing import Any

from edge_seg.core.palette import Palette
from edge_seg.core.values import ClassInfo, DecodedImage, Size
from edge_seg.errors import DropReason, FrameRejected
from edge_seg.ros.announcements import Announcements
from edge_seg.ros.camera_topics import CameraTopics
from edge_seg.ros.diagnostics import Diagnostics
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.ros.publishing import MiddlewareRefused
from edge_seg.runtime.frames.serving import Segmentation
from edge_seg.runtime.frames.worker import Wanted
from edge_seg.runtime.health.judgement import Health, Level
from edge_seg.runtime.loading.model_status import ModelStatus
from edge_seg.runtime.parameters.camera_settings import CameraSettings
from edge_seg.runtime.parameters.settings import SegmentationSettings
from edge_seg.sources.base import SourceFrame
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node('busy', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Any]]:
    """Give a function that has the next messages refused; what is published comes into a list."""

    def begin(count: int) -> list[Any]:
        left, sent = [count], []

        def publish(_: object, message: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise MiddlewareRefused('Failed to publish: cannot publish data')
            sent.append(message)

        monkeypatch.setattr(Publisher, 'publish', publish)
        return sent

    return begin


def test_diagnostics_go_on(node: Node, refuse: Callable[[int], list[Any]]) -> None:
    diagnostics = Diagnostics(node, lambda: [('', Health(Level.OK, 'well', ()))])
    sent = refuse(1)

    diagnostics.publish()
    diagnostics.publish()

    assert [each.status[0].message for each in sent] == ['well']


def test_what_is_announced_once_is_tried_again(
    node: Node, refuse: Callable[[int], list[Any]]
) -> None:
    announcements = Announcements(node)
    sent = refuse(2)

    announcements.status(ModelStatus())

    assert len(sent) == 1


def test_a_camera_frame_that_is_refused_is_told_and_the_next_one_sent(
    node: Node, refuse: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = SourceFrame(np.zeros((48, 64, 3), np.uint8))
    settings = CameraSettings.from_values({'width': 64, 'height': 48})
    topics = CameraTopics(node, settings, frame)
    monkeypatch.setattr(Publisher, 'get_subscription_count', lambda _: 1)
    sent = refuse(1)

    topics.prepare(frame)
    assert not topics.publish()
    sent.clear()
    topics.prepare(frame)
    assert topics.publish()

    assert any(isinstance(message, Image) for message in sent)


def test_a_mask_that_is_refused_counts_with_its_reason(
    node: Node, refuse: Callable[[int], list[Any]]
) -> None:
    outputs = MaskOutputs(node, '', SegmentationSettings.from_values({'lazy': False}))
    labels = outputs.labels(Size(8, 6), np.uint8)
    result = Segmentation(labels, None, Palette((ClassInfo('floor', (1, 2, 3)),)))
    image = DecodedImage(np.zeros((6, 8, 3), np.uint8), 'rgb')
    sent = refuse(1)

    with pytest.raises(FrameRejected, match=r'mask was not published.*cannot publish') as refused:
        outputs.publish(Header(), image, result, Wanted(mask=True))
    outputs.publish(Header(), image, result, Wanted(mask=True))

    assert refused.value.reason is DropReason.INTERNAL_ERROR
    assert any(isinstance(message, Image) for message in sent)
