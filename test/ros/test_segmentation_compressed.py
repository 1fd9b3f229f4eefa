"""Compressed frames through the running node."""

from array import array
from collections.abc import Iterator
from pathlib import Path

from camera_frames import compressed, near_edges, pixels_of, rgb8, scene
import cv2
from edge_seg.models.store import ModelStore
import numpy as np
from operator_node import Camera, Listener, Operator
import pytest
from segmentation_nodes import segmentation_nodes
from segmentation_process import dds_environment, SegmentationProcess
from sensor_msgs.msg import CompressedImage

VIEW = scene()
GOOD_JPEG = compressed(VIEW, 'jpg', 'jpeg')
GOOD_PNG = compressed(VIEW, 'png', 'png')


@pytest.fixture(scope='module')
def running(
    tmp_path_factory: pytest.TempPathFactory, store: ModelStore
) -> Iterator[tuple[SegmentationProcess, Operator]]:
    """One active node for all tests of this file."""
    with segmentation_nodes(tmp_path_factory.mktemp('compressed'), store) as start:
        process, operator = start(image_transport='compressed')
        operator.start()
        yield process, operator


@pytest.fixture(scope='module')
def operator(running: tuple[SegmentationProcess, Operator]) -> Operator:
    return running[1]


@pytest.fixture(scope='module')
def camera(operator: Operator) -> Camera:
    return operator.settled_camera(CompressedImage)


@pytest.fixture(scope='module')
def masks(operator: Operator) -> Listener:
    return operator.listen('mask')


@pytest.mark.parametrize(
    ('extension', 'declared'),
    [
        ('jpg', 'jpeg'),
        ('jpg', 'bgr8; jpeg compressed bgr8'),
        ('png', 'png'),
        ('png', 'rgb8; png compressed rgb8'),
        ('png', 'jpeg'),  # the bytes tell, whatever the message says
    ],
)
def test_a_compressed_image_gets_the_mask_of_its_colours(
    camera: Camera, masks: Listener, extension: str, declared: str
) -> None:
    frame = compressed(VIEW, extension, declared)
    mask = camera.ask(frame, masks)
    blur = 9 if extension == 'jpg' else 0
    labels = np.where(near_edges(VIEW.labels, blur), VIEW.labels, pixels_of(mask))
    np.testing.assert_array_equal(labels, VIEW.labels)
    assert mask.header == frame.header


def test_masks_follow_a_change_of_resolution_and_format(camera: Camera, masks: Listener) -> None:
    for width, height in ((640, 480), (320, 240)):
        view = scene(width, height)
        mask = camera.ask(compressed(view, 'png', 'png'), masks)
        np.testing.assert_array_equal(pixels_of(mask), view.labels)
        mask = camera.ask(compressed(view, 'jpg', 'jpeg'), masks)
        assert (mask.width, mask.height) == (width, height)


def message(declared: str, data: bytes) -> CompressedImage:
    return CompressedImage(format=declared, data=array('B', data))


def _png_that_says(width: int, height: int) -> bytes:
    content = bytearray(GOOD_PNG.data.tobytes())
    content[16:24] = width.to_bytes(4, 'big') + height.to_bytes(4, 'big')
    return bytes(content)


def _damaged_jpeg() -> bytes:
    """Give a JPEG whose tables are gone."""
    content = bytearray(GOOD_JPEG.data.tobytes())
    start = content.index(b'\xff\xc4')
    del content[start : start + 2 + int.from_bytes(content[start + 2 : start + 4], 'big')]
    content[3:6] = b'\xdb\x00\x03'
    return bytes(content)


JPEG_BYTES = GOOD_JPEG.data.tobytes()
PNG_BYTES = GOOD_PNG.data.tobytes()
BAD_FRAMES = {
    'noise': (message('jpeg', b'no picture at all'), 'unsupported_encoding'),
    'nothing': (message('jpeg', b''), 'truncated_data'),
    'half a jpeg': (message('jpeg', JPEG_BYTES[: len(JPEG_BYTES) // 2]), 'truncated_data'),
    'half a png': (message('png', PNG_BYTES[: len(PNG_BYTES) // 2]), 'truncated_data'),
    'a damaged jpeg': (message('jpeg', _damaged_jpeg()), 'undecodable'),
    'a png of no size': (message('png', _png_that_says(0, 10)), 'zero_size'),
    'a png that would fill the memory': (
        message('png', _png_that_says(60_000, 60_000)),
        'absurd_size',
    ),
    'a depth image': (message('16UC1; compressedDepth png', PNG_BYTES), 'unsupported_encoding'),
}


@pytest.mark.parametrize('case', BAD_FRAMES)
def test_a_bad_frame_is_counted_by_its_reason_and_the_next_one_answered(
    running: tuple[SegmentationProcess, Operator], camera: Camera, masks: Listener, case: str
) -> None:
    process, operator = running
    bad, reason = BAD_FRAMES[case]
    camera.ask(GOOD_PNG, masks)  # subscriber and camera have found the node
    before = operator.last_report().count(f'drops.{reason}')

    camera.publish(bad)
    report = operator.report(
        lambda report: report.count(f'drops.{reason}') > before, f'a drop for {reason}'
    )
    mask = camera.ask(GOOD_PNG, masks)

    assert report.level == 1, report
    assert reason in report.message
    np.testing.assert_array_equal(pixels_of(mask), VIEW.labels)
    assert 'Traceback' not in process.log


def test_a_gray_jpeg_is_read_as_gray(camera: Camera, masks: Listener) -> None:
    done, data = cv2.imencode('.jpg', np.full((240, 320), 235, np.uint8))
    assert done
    mask = camera.ask(message('mono8; jpeg compressed', data.tobytes()), masks)
    assert set(np.unique(pixels_of(mask))) == {4}


def test_the_transport_is_changed_by_configuring_anew(
    running: tuple[SegmentationProcess, Operator], masks: Listener
) -> None:
    _, operator = running
    refused = operator.set(image_transport='raw')
    assert not refused.successful
    assert 'image_transport' in refused.reason
    assert 'clean up' in refused.reason

    assert operator.change('deactivate', 'cleanup')
    operator.change_settings(image_transport='raw')
    operator.start()
    mask = operator.camera().ask(rgb8(VIEW), masks)
    np.testing.assert_array_equal(pixels_of(mask), VIEW.labels)


def test_outputs_that_do_not_fit_into_shared_memory_are_told(
    tmp_path: Path, store: ModelStore
) -> None:
    no_profile = dict.fromkeys(dds_environment(), '')
    with segmentation_nodes(tmp_path, store) as start:
        _, operator = start(image_transport='compressed', environment=no_profile)
        operator.start()
        camera = operator.settled_camera(CompressedImage)
        camera.ask(compressed(scene(640, 480), 'jpg', 'jpeg'), operator.listen('overlay'))
        report = operator.report_saying('go out in fragments')

    assert report.level == 1
    assert 'masks or pictures of 900 KiB' in report.message
    assert 'fastdds_camera.xml' in report.message
