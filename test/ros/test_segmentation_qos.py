"""The running node hears every camera, whatever quality of service it offers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import os
import subprocess
import sys

from camera_frames import pixels_of, rgb8, scene
from edge_seg.models.store import ModelStore
from edge_seg.ros.compat import DDS_PROFILE_VARIABLE, OLD_DDS_PROFILE_VARIABLE
from edge_seg.ros.transport import TRANSPORTS_VARIABLE
import numpy as np
from operator_node import BEST_EFFORT, Camera, Listener, Operator, RELIABLE
import pytest
from rclpy.qos import ReliabilityPolicy
from segmentation_nodes import segmentation_nodes

VIEW = scene()
TRANSPORT_VARIABLES = (DDS_PROFILE_VARIABLE, OLD_DDS_PROFILE_VARIABLE, TRANSPORTS_VARIABLE)
STOP_TIMEOUT_S = 20.0


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> Iterator[Operator]:
    """One node for all tests of this file."""
    with segmentation_nodes(tmp_path_factory.mktemp('qos'), store) as start:
        _, operator = start()
        yield operator


@pytest.fixture
def operator(shared: Operator) -> Iterator[Operator]:
    """Give the unconfigured node to one test."""
    yield shared
    shared.forget()
    assert shared.change('deactivate', 'cleanup')
    shared.change_settings(image_qos='auto', mask_qos='reliable')


def assert_answers(camera: Camera, masks: Listener) -> None:
    np.testing.assert_array_equal(pixels_of(camera.ask(rgb8(VIEW), masks)), VIEW.labels)


def until_subscribed(operator: Operator, reliability: str) -> None:
    operator.report(
        lambda report: report.values['reliability'] == reliability, f'{reliability} subscription'
    )


def test_auto_follows_the_publishers(operator: Operator) -> None:
    operator.start()
    masks = operator.listen('mask')
    reliable = operator.camera(qos=RELIABLE, name='reliable_camera')
    until_subscribed(operator, 'reliable')
    assert_answers(reliable, masks)

    best_effort = operator.camera(qos=BEST_EFFORT, name='best_effort_camera')
    until_subscribed(operator, 'best_effort')
    assert_answers(best_effort, masks)
    assert_answers(reliable, masks)

    reliable.close()
    operator.report(lambda report: report.values['publishers'] == '1', 'one camera only')
    assert_answers(best_effort, masks)

    best_effort.close()
    again = operator.camera(qos=RELIABLE, name='another_camera')
    until_subscribed(operator, 'reliable')
    assert_answers(again, masks)


@pytest.mark.parametrize(
    ('qos', 'reliability'), [(RELIABLE, 'reliable'), (BEST_EFFORT, 'best_effort')]
)
def test_auto_fits_a_camera_that_is_there_already(
    operator: Operator, qos: object, reliability: str
) -> None:
    camera = operator.camera(qos=qos)
    assert operator.change('configure')
    operator.until(
        lambda: operator.node.count_publishers(operator.full_name('image')) == 1, 'the camera'
    )
    assert operator.change('activate')
    until_subscribed(operator, reliability)
    assert_answers(camera, operator.listen('mask'))


def test_an_incompatible_camera_is_named_with_the_remedy(operator: Operator) -> None:
    operator.change_settings(image_qos='reliable')
    operator.start()
    masks = operator.listen('mask')
    deaf = operator.camera(qos=BEST_EFFORT, name='front_camera')
    report = operator.report_saying('/front_camera', 'best_effort', 'image_qos')
    assert report.level == 2
    assert report.values['why_no_mask'] == report.message
    assert not masks.messages

    heard = operator.camera(qos=RELIABLE, name='rear_camera')
    assert_answers(heard, masks)
    with heard.streaming(rgb8(VIEW), 20.0):
        report = operator.report(
            lambda report: report.level == 1, 'a warning in place of an error'
        )
        assert '/front_camera' in report.message
        assert '/rear_camera' not in report.message

        deaf.close()
        operator.report_saying('segmenting')


CAMERA = """
import sys
from array import array
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node('camera')
qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[sys.argv[2]])
publisher = node.create_publisher(Image, sys.argv[1], qos)
frame = Image(width=1280, height=720, encoding='rgb8', step=3840)
frame.data = array('B', bytes(3840 * 720))
node.create_timer(0.1, lambda: publisher.publish(frame))
try:
    rclpy.spin(node)
except ExternalShutdownException:
    node.destroy_node()
"""


@contextmanager
def large_frames(
    operator: Operator, reliability: str, environment: Mapping[str, str]
) -> Iterator[None]:
    """Let a driver run, in a process of its own: only a first node reads the DDS profile."""
    topic = operator.full_name('image')
    words = [sys.executable, '-c', CAMERA, topic, reliability]
    with subprocess.Popen(words, env=dict(environment)) as camera:
        try:
            yield
        finally:
            camera.terminate()  # says goodbye; of one that was killed others know for a while
            try:
                camera.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                camera.kill()
                raise


def test_large_frames_pass_with_best_effort(operator: Operator) -> None:
    """Without the DDS profile nearly all that are larger than 512 KiB get lost."""
    operator.start()
    operator.listen('mask')
    with large_frames(operator, 'BEST_EFFORT', os.environ):
        report = operator.report(lambda report: report.count('masks_out') >= 10, 'ten masks')
    assert report.count('lost_in_transport') <= 1


def test_a_driver_without_the_dds_profile_is_told_by_how_long_its_frames_take(
    operator: Operator,
) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in TRANSPORT_VARIABLES}
    operator.start()
    operator.listen('mask')
    with large_frames(operator, 'RELIABLE', bare):
        report = operator.report_saying(
            'frames of 2700 KiB', 'in fragments', 'start the camera, too'
        )
    assert report.level == 1
    assert report.values['why_no_mask'] == ''


def test_a_node_that_nobody_listens_to_says_what_it_would_request(operator: Operator) -> None:
    operator.start()
    for offered, asked in ((RELIABLE, 'reliable'), (BEST_EFFORT, 'best_effort')):
        operator.camera(qos=offered)
        operator.report(lambda report, asked=asked: report.values['reliability'] == asked, asked)


def test_best_effort_on_request_stays_best_effort(operator: Operator) -> None:
    operator.change_settings(image_qos='best_effort')
    operator.start()
    camera = operator.camera(qos=RELIABLE)
    assert_answers(camera, operator.listen('mask'))
    assert operator.next_report().values['reliability'] == 'best_effort'


@pytest.mark.parametrize(
    ('asked', 'offered'),
    [('reliable', ReliabilityPolicy.RELIABLE), ('best_effort', ReliabilityPolicy.BEST_EFFORT)],
)
def test_masks_are_offered_as_asked(
    operator: Operator, asked: str, offered: ReliabilityPolicy
) -> None:
    operator.change_settings(mask_qos=asked)
    operator.start()
    masks = operator.listen('mask', qos=BEST_EFFORT)
    assert_answers(operator.camera(), masks)
    found = operator.node.get_publishers_info_by_topic(operator.full_name('segmentation/mask'))
    assert [info.qos_profile.reliability for info in found] == [offered]
