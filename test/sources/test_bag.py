"""The bag source with real bags, written by rosbags in both storage formats."""

import sys

import cv2
from edge_seg.core.decode import decode
from edge_seg.core.values import CompressedImage, RawImage
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.bag import BagSource
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')

STORE = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
RAW = 'sensor_msgs/msg/Image'
JPEG = 'sensor_msgs/msg/CompressedImage'
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000


def header(stamp_ns):
    stamp = STORE.types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
    )
    return STORE.types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')


def raw_message(value, stamp_ns):
    """Return a 4x3 rgb8 image with two bytes of padding in each row."""
    return STORE.types[RAW](
        header=header(stamp_ns),
        height=3,
        width=4,
        encoding='rgb8',
        is_bigendian=0,
        step=14,
        data=np.full(42, value, np.uint8),
    )


def jpeg_message(value, stamp_ns):
    _, data = cv2.imencode('.jpg', np.full((3, 4, 3), value, np.uint8))
    return STORE.types[JPEG](header=header(stamp_ns), format='jpeg', data=data.reshape(-1))


def text_message(value, stamp_ns):
    return STORE.types['std_msgs/msg/String'](data=f'{value} at {stamp_ns}')


MAKERS = {RAW: raw_message, JPEG: jpeg_message, 'std_msgs/msg/String': text_message}


def write_bag(path, topics, *, storage='sqlite3', count=3, stamped=True):
    plugin = {
        'sqlite3': rosbag2.StoragePlugin.SQLITE3,
        'mcap': rosbag2.StoragePlugin.MCAP,
    }[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=STORE)
            for topic, kind in topics.items()
        }
        for number in range(count):
            time_ns = START_NS + number * PERIOD_NS
            for topic, kind in topics.items():
                message = MAKERS[kind](10 * (number % 25 + 1), time_ns if stamped else 0)
                data = STORE.serialize_cdr(message, kind)
                writer.write(connections[topic], time_ns + 5, data)
    return path


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_raw_images_come_through_as_recorded(tmp_path, storage):
    topics = {'/camera/image': RAW, '/chatter': 'std_msgs/msg/String'}
    bag = write_bag(tmp_path / 'bag', topics, storage=storage)
    with BagSource(bag, topic='', loop=False) as source:
        frames = list(source)
    assert len(frames) == 3
    image = frames[1].image
    assert isinstance(image, RawImage)
    assert (image.width, image.height, image.encoding, image.step) == (4, 3, 'rgb8', 14)
    assert not image.is_bigendian
    assert (decode(image).pixels == 20).all()
    assert [frame.stamp_ns for frame in frames] == [START_NS + n * PERIOD_NS for n in range(3)]


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_compressed_images_come_through_as_recorded(tmp_path, storage):
    bag = write_bag(tmp_path / 'bag', {'/camera/image/compressed': JPEG}, storage=storage)
    with BagSource(bag, topic='', loop=False) as source:
        image = source.read().image
    assert isinstance(image, CompressedImage)
    assert image.format == 'jpeg'
    pixels = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (3, 4, 3)


@pytest.mark.parametrize(('storage', 'suffix'), [('sqlite3', '.db3'), ('mcap', '.mcap')])
def test_a_single_file_of_a_bag_is_enough(tmp_path, storage, suffix):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW}, storage=storage)
    (file,) = bag.glob(f'*{suffix}')
    with BagSource(file, topic='', loop=False) as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_a_bag_knows_how_many_images_a_topic_has(tmp_path, storage):
    bag = write_bag(tmp_path / 'bag', {'/a': RAW, '/b': JPEG}, storage=storage, count=5)
    for path in (bag, *bag.glob('*.mcap'), *bag.glob('*.db3')):
        with BagSource(path, topic='/a', loop=False) as source:
            assert source.frame_count() == 5
            assert len(list(source)) == 5


def test_the_topic_is_chosen_among_several(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/left': RAW, '/right': JPEG})
    with BagSource(bag, topic='/right', loop=False) as source:
        assert isinstance(source.read().image, CompressedImage)
    with pytest.raises(SourceUnavailable, match='2 image topics.*: /left, /right'):
        BagSource(bag, topic='', loop=False)
    with pytest.raises(SourceUnavailable, match='no image topic /rear.*: /left, /right'):
        BagSource(bag, topic='/rear', loop=False)


def test_a_loop_reads_the_bag_again_and_time_goes_on(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW})
    with BagSource(bag, topic='', loop=True) as source:
        frames = [source.read() for _ in range(8)]
    values = [int(decode(frame.image).pixels[0, 0, 0]) for frame in frames]
    assert values == [10, 20, 30, 10, 20, 30, 10, 20]
    assert np.diff([frame.stamp_ns for frame in frames]).tolist() == [PERIOD_NS] * 7


def test_images_without_a_stamp_take_the_time_of_recording(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW}, stamped=False)
    with BagSource(bag, topic='', loop=False) as source:
        assert source.read().stamp_ns == START_NS + 5


def test_a_bag_without_images_says_so(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/chatter': 'std_msgs/msg/String'})
    with pytest.raises(SourceUnavailable, match='0 image topics.*: none'):
        BagSource(bag, topic='', loop=False)


@pytest.mark.parametrize('loop', [False, True])
def test_an_image_topic_without_messages_ends_or_says_so(tmp_path, loop):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW}, count=0)
    source = BagSource(bag, topic='', loop=loop)
    if not loop:
        assert source.read() is None
        return
    with pytest.raises(SourceUnavailable, match='no message on /camera/image'):
        source.read()


@pytest.mark.parametrize('name', ['bag.mcap', 'bag.db3'])
@pytest.mark.parametrize('content', [b'', b'no bag at all' * 50])
def test_a_file_that_is_no_bag_is_refused(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(SourceUnavailable, match='cannot be read as a bag'):
        BagSource(file, topic='', loop=False)


def test_a_bag_cut_off_in_the_middle_is_reported_not_crashed(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW}, storage='mcap', count=50)
    (file,) = bag.glob('*.mcap')
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceUnavailable, match='cannot be read as a bag'):
        list(BagSource(file, topic='', loop=False))


def test_a_bag_that_lost_a_file_is_refused(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW})
    (file,) = bag.glob('*.db3')
    file.unlink()
    with pytest.raises(SourceUnavailable, match='missing'):
        BagSource(bag, topic='', loop=False)


def test_without_the_library_the_error_says_what_to_install(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / 'bag', {'/camera/image': RAW})
    monkeypatch.setitem(sys.modules, 'rosbags.typesys', None)
    with pytest.raises(SourceUnavailable, match='pip install rosbags'):
        BagSource(bag, topic='', loop=False)


def test_closing_ends_a_loop_and_twice_is_fine(tmp_path):
    source = BagSource(write_bag(tmp_path / 'bag', {'/a': RAW}), topic='', loop=True)
    source.read()
    source.close()
    source.close()
    assert source.read() is None
