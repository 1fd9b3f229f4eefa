"""Arguments of the launch file: the topics that follow from them and from the params file."""

from pathlib import Path
from typing import Any

import cv2
from edge_seg.cli.launch_arguments import LaunchArgumentInvalid, LaunchArguments
import numpy as np
import pytest
import yaml

GIVEN_NOTHING = {
    'image': 'camera/image_raw',
    'image_transport': '',
    'outputs': 'segmentation',
    'params_file': '',
    'manager': 'true',
    'autostart': '',
    'camera': 'none',
}


def given(
    tmp_path: Path, parameters: dict[str, Any] | None = None, **values: str
) -> LaunchArguments:
    """Give arguments; `parameters` stand in a params file."""
    if parameters is not None:
        file = tmp_path / 'params.yaml'
        file.write_text(yaml.safe_dump({'/**/segmentation': {'ros__parameters': parameters}}))
        values['params_file'] = str(file)
    return LaunchArguments({**GIVEN_NOTHING, **values}, '/robot')


def test_one_camera_and_its_compressed_twin_are_led_to_the_topic_asked_for(
    tmp_path: Path,
) -> None:
    arguments = given(tmp_path, image='/eye/image')

    arguments.check()
    assert arguments.images() == [
        ('image', '/eye/image'),
        ('image/compressed', '/eye/image/compressed'),
    ]


def test_several_cameras_are_led_to_topics_with_their_names(tmp_path: Path) -> None:
    parameters = {'cameras': ['front', 'left']}
    arguments = given(tmp_path, parameters, image='/{camera}/image_raw', outputs='/seg')

    arguments.check()
    assert dict(arguments.images()) == {
        'front/image': '/front/image_raw',
        'left/image': '/left/image_raw',
        'front/image/compressed': '/front/image_raw/compressed',
        'left/image/compressed': '/left/image_raw/compressed',
    }
    assert ('~/left/mask', '/seg/left/mask') in arguments.outputs()
    assert ('~/labels', '/seg/labels') in arguments.outputs()
    assert ('/camera/image_raw', '/front/image_raw') in arguments.shown()
    assert ('/segmentation/overlay', '/seg/front/overlay') in arguments.shown()


def test_without_an_image_several_cameras_keep_their_own_topics(tmp_path: Path) -> None:
    arguments = given(tmp_path, {'cameras': ['front']})

    arguments.check()
    assert ('front/image', 'front/image') in arguments.images()


@pytest.mark.parametrize(
    ('cameras', 'values', 'words'),
    [
        (['front', 'left'], {'image': '/eye/image'}, 'give image:=/{camera}/image_raw'),
        (['front', 'left'], {'camera': 'synthetic'}, 'is one camera, and params_file has front, '),
        ([], {'image': '/{camera}/image'}, 'set cameras: [front, left] in params_file'),
    ],
)
def test_arguments_that_do_not_fit_the_cameras_are_refused(
    tmp_path: Path, cameras: list[str], values: dict[str, str], words: str
) -> None:
    with pytest.raises(LaunchArgumentInvalid) as refused:
        given(tmp_path, {'cameras': cameras}, **values).check()

    assert words in str(refused.value)


@pytest.mark.parametrize('cameras', [[], 'front', ['front door'], [1], None])
def test_what_is_no_list_of_names_is_left_to_the_node(tmp_path: Path, cameras: object) -> None:
    arguments = given(tmp_path, {'cameras': cameras})

    arguments.check()
    assert arguments.cameras == ('',)


def test_the_camera_to_try_with_follows_the_transport_of_the_params_file(tmp_path: Path) -> None:
    compressed = {'image_transport': 'compressed'}

    assert given(tmp_path, compressed, camera='synthetic').transport == 'compressed'
    assert given(tmp_path, compressed, image_transport='raw').transport == 'raw'
    assert given(tmp_path).transport == ''


def jpeg_bag(path: Path) -> Path:
    """Record a compressed image."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    kind = 'sensor_msgs/msg/CompressedImage'
    stamp = store.types['builtin_interfaces/msg/Time'](sec=1, nanosec=0)
    header = store.types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
    data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].reshape(-1)
    message = store.types[kind](header=header, format='jpeg', data=data)
    with rosbag2.Writer(path, version=9) as writer:
        connection = writer.add_connection('/eye/image/compressed', kind, typestore=store)
        writer.write(connection, 1, store.serialize_cdr(message, kind))
    return path


def test_a_bag_of_compressed_images_is_subscribed_compressed(tmp_path: Path) -> None:
    bag = str(jpeg_bag(tmp_path / 'bag'))

    # As in a copy of config/segment.yaml, where it is just the default.
    assert given(tmp_path, {'image_transport': 'raw'}, camera=bag).transport == 'compressed'
    assert given(tmp_path, camera=bag, image_transport='raw').transport == 'raw'


def test_a_camera_that_cannot_be_read_is_left_to_the_camera_node(tmp_path: Path) -> None:
    assert given(tmp_path, camera=str(tmp_path / 'nothing.mp4')).transport == ''
