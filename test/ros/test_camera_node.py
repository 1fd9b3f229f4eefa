"""The camera node as a process of its own, over real DDS."""

from collections.abc import Iterator
import itertools
import math
from pathlib import Path
from typing import Any

from camera_rig import CameraRig
import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.overlay import rgb_pixels
from edge_seg.ros.conversions import compressed_image, raw_image
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000
SMALL = {'width': 160, 'height': 120, 'source': 'synthetic', 'encoding': 'rgb8', 'compressed': ''}


@pytest.fixture(scope='module')
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraRig]:
    """Give one node for all tests: each configures it anew."""
    rig = CameraRig(tmp_path_factory.mktemp('camera'))
    yield rig
    rig.close()


@pytest.fixture
def camera(process: CameraRig) -> Iterator[CameraRig]:
    """Give the node, unconfigured before and after."""
    process.set(**SMALL, rate_hz=30.0, loop=True, stamps='now', frame_id='eye', seed=3)
    yield process
    process.stop()


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def write_pictures(folder: Path, count: int) -> list[np.ndarray]:
    """Write pictures of one colour each, with label maps."""
    (folder / 'labels').mkdir(parents=True)
    pictures = []
    for number in range(count):
        picture = np.full((60, 80, 3), (40 * number, 100, 200 - 40 * number), np.uint8)
        pictures.append(picture)
        cv2.imwrite(str(folder / f'{number}.png'), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / 'labels' / f'{number}.png'), np.full((60, 80), number, np.uint8))
    return pictures


def test_image_labels_and_camera_info_belong_together(camera: CameraRig) -> None:
    with (
        camera.listen(Image, 'image') as images,
        camera.listen(Image, 'labels') as labels,
        camera.listen(CameraInfo, 'camera_info') as infos,
    ):
        camera.play(encoding='bgr8', horizontal_fov_deg=90.0)
        for ear in (images, labels, infos):
            ear.wait_for(5)
        by_stamp = [
            {stamp_ns(message): message for message in ear.messages}
            for ear in (images, labels, infos)
        ]
        shared = sorted(set.intersection(*(set(messages) for messages in by_stamp)))
        image, label, info = (messages[shared[0]] for messages in by_stamp)
    assert len(shared) >= 3
    assert {image.header.frame_id, label.header.frame_id, info.header.frame_id} == {'eye'}
    assert (image.encoding, image.step, label.encoding) == ('bgr8', 480, 'mono8')
    assert (info.width, info.height, info.distortion_model) == (160, 120, 'plumb_bob')
    focal = 80 / math.tan(math.radians(45))
    assert info.k.tolist() == pytest.approx([focal, 0, 80, 0, focal, 60, 0, 0, 1])
    assert info.p.tolist() == pytest.approx([focal, 0, 80, 0, 0, focal, 60, 0, 0, 0, 1, 0])
    sequence = SceneSequence(3, width=160, height=120)
    rendered = [sequence.render(number / 30.0) for number in range(200)]
    seen = rgb_pixels(decode(raw_image(image)))
    match = [n for n, frame in enumerate(rendered) if np.array_equal(frame.image, seen)]
    assert len(match) == 1
    truth = np.frombuffer(label.data, np.uint8).reshape(120, 160)
    np.testing.assert_array_equal(truth, rendered[match[0]].labels)


def test_the_rate_is_kept_and_frames_keep_to_their_grid(camera: CameraRig) -> None:
    with camera.listen(Image, 'image') as images:
        camera.play(rate_hz=50.0)
        images.wait_for(60)
        status = camera.status(lambda one: 'publishing at' in one.message, 'a rate')
        messages = list(images.messages)
    stamps_s = [stamp_ns(message) * 1e-9 for message in messages]
    gaps = [after - before for before, after in itertools.pairwise(stamps_s)]
    assert float(np.median(gaps)) == pytest.approx(0.02, abs=0.002)
    # Never bunched; a busy machine may stop the node between looking at the clock and stamping.
    assert sum(gap < 0.008 for gap in gaps) <= 1
    late = int(values(status)['late_frames'])
    # Slots that were missed are missed for good: time goes on as if they had been used.
    slots = (stamps_s[-1] - stamps_s[0]) / 0.02
    assert len(messages) - 1 <= slots + 0.5
    assert slots <= len(messages) - 1 + late + 0.5


@pytest.mark.parametrize('encoding', ['mono16', 'nv12', 'yuv422_yuy2', 'bayer_grbg8'])
def test_other_encodings_show_the_same_scene(camera: CameraRig, encoding: str) -> None:
    with camera.listen(Image, 'image') as images:
        camera.play(encoding=encoding)
        message = images.wait_for(1)[0]
    picture = rgb_pixels(decode(raw_image(message))).astype(float)
    frames = SceneSequence(3, width=160, height=120)
    differences = [
        np.abs(frames.render(number / 30.0).image.mean(axis=2) - picture.mean(axis=2)).mean()
        for number in range(10)
    ]
    assert min(differences) < 12


def test_compressed_images_come_in_place_of_raw_ones(camera: CameraRig) -> None:
    with camera.listen(CompressedImage, 'image/compressed') as files:
        camera.play(compressed='jpeg', jpeg_quality=90)
        message = files.wait_for(1)[0]
    assert message.format == 'rgb8; jpeg compressed bgr8'
    assert decode_compressed(compressed_image(message)).size == (160, 120)


def test_a_folder_is_scaled_ends_and_can_be_played_again(
    camera: CameraRig, tmp_path: Path
) -> None:
    pictures = write_pictures(tmp_path / 'my pictures', 4)
    source = str(tmp_path / 'my pictures')
    for _ in range(2):
        with (
            camera.listen(Image, 'image') as images,
            camera.listen(Image, 'labels') as labels,
        ):
            camera.play(source=source, loop=False)
            ended = camera.status(lambda one: 'has ended after 4 frames' in one.message, 'an end')
            found = images.wait_for(4)
            truths = labels.wait_for(4)
        assert ended.level == DiagnosticStatus.OK
        colours = [decode(raw_image(message)).pixels[0, 0].tolist() for message in found]
        assert colours == [picture[0, 0].tolist() for picture in pictures]
        assert [(m.width, m.data[0], m.data[-1]) for m in truths] == [
            (160, number, number) for number in range(4)
        ]
        assert camera.state == 'active'
        camera.stop()


def test_nothing_goes_out_while_inactive_and_nothing_is_lost_by_it(
    camera: CameraRig, tmp_path: Path
) -> None:
    write_pictures(tmp_path / 'pictures', 5)
    with camera.listen(Image, 'labels') as labels:
        camera.play(source=str(tmp_path / 'pictures'), loop=False, rate_hz=4.0)
        labels.wait_for(2)
        assert camera.change('deactivate')
        before = len(labels.messages)
        camera.status(lambda one: one.message == 'inactive', 'diagnostics')
        camera.status(lambda one: one.message == 'inactive', 'diagnostics a second later')
        assert len(labels.messages) == before
        assert camera.change('activate')
        numbers = [message.data[0] for message in labels.wait_for(5)]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_bag_is_republished_as_recorded(camera: CameraRig, tmp_path: Path) -> None:
    recorded = write_bag(tmp_path / 'bag', count=3)
    with camera.listen(Image, 'image') as images:
        camera.play(source=str(tmp_path / 'bag'), stamps='source', encoding='mono8')
        found = images.wait_for(4)
    assert [stamp_ns(message) - START_NS for message in found[:4]] == [
        0, PERIOD_NS, 2 * PERIOD_NS, 3 * PERIOD_NS
    ]  # fmt: skip
    for message, data in zip(found[:3], recorded, strict=True):
        assert (message.encoding, message.step, message.width) == ('bgr8', 14, 4)
        assert bytes(message.data) == data


def test_what_cannot_be_opened_is_refused_with_the_reason(camera: CameraRig) -> None:
    assert camera.set(source='/no/such/video.mp4') == ''
    assert not camera.change('configure')
    assert camera.state == 'unconfigured'
    status = camera.latest_status()
    assert status.level == DiagnosticStatus.ERROR
    assert "source '/no/such/video.mp4' does not exist" in status.message
    assert 'correct the path' in values(status)['last_error']

    assert camera.set(source='synthetic', width=161, encoding='nv12') == ''
    assert not camera.change('configure')
    assert 'a 161x120 nv12 image' in camera.latest_status().message

    camera.play(width=160, encoding='rgb8')  # and it is none the worse for it
    assert 'cannot change while the node is configured' in camera.set(rate_hz=5.0)


def test_nobody_listening_is_said(camera: CameraRig) -> None:
    camera.play()
    status = camera.status(lambda one: 'nobody subscribes' in one.message, 'idleness')
    assert status.level == DiagnosticStatus.OK
    assert values(status)['published'] == '0'


def test_an_interrupt_ends_an_active_node(tmp_path: Path, ros_domain_id: int) -> None:
    rig = CameraRig(tmp_path)
    with rig.listen(Image, 'image') as images:
        rig.play(**SMALL)
        images.wait_for(1)
    assert rig.interrupt() == 0
    rig.close()


def write_bag(path: Path, *, count: int) -> list[bytes]:
    """Write 4x3 bgr8 images with two bytes of padding in each row; give their data."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    kind = 'sensor_msgs/msg/Image'
    written = []
    with rosbag2.Writer(path, version=9) as writer:
        connection = writer.add_connection('/eye/image', kind, typestore=store)
        for number in range(count):
            time_ns = START_NS + number * PERIOD_NS
            data = np.arange(number, number + 42, dtype=np.uint8)
            stamp = store.types['builtin_interfaces/msg/Time'](
                sec=time_ns // 10**9, nanosec=time_ns % 10**9
            )
            message = store.types[kind](
                header=store.types['std_msgs/msg/Header'](stamp=stamp, frame_id='recorded'),
                height=3,
                width=4,
                encoding='bgr8',
                is_bigendian=0,
                step=14,
                data=data,
            )
            writer.write(connection, time_ns, store.serialize_cdr(message, kind))
            written.append(data.tobytes())
    return written
