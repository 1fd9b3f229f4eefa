"""What a user types is recognised by what lies there."""

import shutil

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.bag import BagSource
from edge_seg.sources.image_folder import ImageFolderSource
from edge_seg.sources.opening import open_source
from edge_seg.sources.synthetic import SyntheticSource
from edge_seg.sources.video import VideoSource
import numpy as np
import pytest


def write_bag(path):
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        writer.add_connection('/image', 'sensor_msgs/msg/Image', typestore=store)
    return path


def test_synthetic_is_rendered_with_the_size_asked_for():
    with open_source('synthetic', width=96, height=64, rate_hz=15.0, seed=2) as source:
        assert isinstance(source, SyntheticSource)
        assert source.read().image.shape == (64, 96, 3)


def test_folders_and_single_pictures_open_as_pictures(tmp_path):
    file = tmp_path / 'one.JPG'
    cv2.imwrite(str(tmp_path / 'one.jpg'), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / 'one.jpg').rename(file)
    for uri in (tmp_path, file):
        with open_source(str(uri), loop=False) as source:
            assert isinstance(source, ImageFolderSource)
            assert len(list(source)) == 1


def test_a_video_opens_as_a_video(tmp_path):
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (32, 32))
    writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    with open_source(str(path)) as source:
        assert isinstance(source, VideoSource)


def test_bags_open_by_folder_file_metadata_and_bare_folder(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    (file,) = bag.glob('*.mcap')
    bare = tmp_path / 'bare'
    bare.mkdir()
    shutil.copy(file, bare)
    for uri in (bag, file, bag / 'metadata.yaml', bare):
        with open_source(str(uri)) as source:
            assert isinstance(source, BagSource)


def test_a_folder_of_several_bag_files_without_metadata_is_explained(tmp_path):
    (tmp_path / 'a.mcap').touch()
    (tmp_path / 'b.mcap').touch()
    with pytest.raises(SourceUnavailable, match='ros2 bag reindex'):
        open_source(str(tmp_path))


def test_a_ros_1_bag_is_refused_with_the_way_to_convert_it(tmp_path):
    (tmp_path / 'old.bag').touch()
    with pytest.raises(SourceUnavailable, match='rosbags-convert'):
        open_source(str(tmp_path / 'old.bag'))


@pytest.mark.parametrize('uri', ['', '/nowhere/clip.avi', 'rtsp://camera/stream'])
def test_what_is_not_there_is_refused_with_the_list_of_kinds(uri):
    with pytest.raises(SourceUnavailable, match='does not exist; expected .*ROS 2 bag'):
        open_source(uri)


def test_a_device_name_without_a_device_speaks_of_cameras():
    with pytest.raises(SourceUnavailable, match='/dev/video987 does not exist.*plug the camera'):
        open_source('/dev/video987')


def test_the_users_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    with open_source('~/a.png') as source:
        assert isinstance(source, ImageFolderSource)
