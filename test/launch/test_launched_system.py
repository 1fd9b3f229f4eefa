"""`ros2 launch edge_seg segment.launch.py`: what it starts, how it ends, what it refuses."""

from collections.abc import Callable
import importlib.util
import json
import os
from pathlib import Path

from launched_system import LaunchProcess, Watcher
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
import yaml

Start = Callable[..., tuple[LaunchProcess, Watcher]]

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


def parameters(watcher: Watcher, node: str, *names: str) -> list[object]:
    request = GetParameters.Request(names=list(names))
    response = watcher.call(GetParameters, f'{node}/get_parameters', request)
    return [parameter_value_to_python(value) for value in response.values]


def state(watcher: Watcher, node: str) -> str:
    response = watcher.call(GetState, f'{node}/get_state', GetState.Request())
    return str(response.current_state.label)


def test_masks_come_and_ctrl_c_ends_everything_cleanly(start: Start) -> None:
    launched, watcher = start('camera:=synthetic')

    mask = watcher.message(Image, '/segmentation/mask')
    labels = json.loads(watcher.message(String, '/segmentation/labels', LATCHED).data)

    assert (mask.width, mask.height, mask.encoding) == (640, 480, 'mono8')
    assert mask.header.frame_id == 'camera_optical_frame'
    assert set(mask.data) <= {item['id'] for item in labels['classes']}
    assert launched.interrupt() == 0
    assert 'Traceback' not in launched.output
    assert 'process has died' not in launched.output
    assert launched.left_behind() == []


def test_nodes_get_the_dds_profile_of_the_package(start: Start) -> None:
    launched, watcher = start('camera:=synthetic', 'manager:=false')

    for executable in ('camera_node', 'segmentation_node'):
        node = watcher.until(lambda name=executable: launched.node(name), f'{executable} to start')
        profiles = {node.environ().get(name) for name in PROFILES} - {None}
        assert [Path(profile).name for profile in profiles] == ['fastdds_camera.xml']
        assert Path(profiles.pop()).is_file()


@pytest.mark.parametrize(
    ('argument', 'environment'),
    [
        ('dds_profile:=false', {}),
        ('dds_profile:=true', {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}),
    ],
)
def test_the_dds_profile_is_left_out_on_request_and_for_another(
    start: Start, argument: str, environment: dict[str, str]
) -> None:
    launched, watcher = start('manager:=false', argument, environment=environment)

    node = watcher.until(lambda: launched.node('segmentation_node'), 'the node to start')

    assert [name for name in PROFILES if name in node.environ()] == []


def test_arguments_override_the_params_file_and_all_else_in_it_stands(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / 'mine.yaml'
    values = {'backend': 'opencv', 'overlay_alpha': 0.9}
    file.write_text(yaml.safe_dump({'/**/segmentation': {'ros__parameters': values}}))
    _, watcher = start('manager:=false', f'params_file:={file}', 'backend:=openvino')

    names = ('backend', 'overlay_alpha', 'image_transport', 'use_sim_time')
    values_now = parameters(watcher, '/segmentation', *names)

    assert values_now == ['openvino', 0.9, 'raw', False]


def test_a_namespace_holds_nodes_and_topics(start: Start) -> None:
    _, watcher = start('namespace:=front', 'camera:=synthetic', 'image_transport:=compressed')

    image = watcher.message(CompressedImage, '/front/camera/image_raw/compressed')
    mask = watcher.message(Image, '/front/segmentation/mask')

    assert image.format.startswith('rgb8; jpeg')
    assert (mask.width, mask.height) == (640, 480)
    watcher.until(lambda: watcher.node.count_publishers('/front/camera/camera_info'), 'its topic')


def test_outputs_can_stay_out_of_the_namespace(start: Start) -> None:
    _, watcher = start('namespace:=front', 'outputs:=/segmentation', 'camera:=synthetic')

    mask = watcher.message(Image, '/segmentation/mask')

    assert (mask.width, mask.height) == (640, 480)
    status = '/front/segmentation/model_status'
    watcher.until(lambda: watcher.node.count_publishers(status), status)


def test_several_cameras_follow_image_and_outputs(start: Start, tmp_path: Path) -> None:
    file = tmp_path / 'cameras.yaml'
    cameras = ['front', 'left']
    values = {'cameras': cameras, 'max_age_s': 0.0}
    file.write_text(yaml.safe_dump({'/**/segmentation': {'ros__parameters': values}}))
    _, watcher = start(
        'namespace:=robot', 'outputs:=/seg', 'image:=/{camera}/image_raw', f'params_file:={file}'
    )
    images = [watcher.node.create_publisher(Image, f'/{it}/image_raw', 1) for it in cameras]
    frame = Image(width=64, height=48, encoding='mono8', step=64, data=bytes(64 * 48))
    watcher.node.create_timer(0.1, lambda: [image.publish(frame) for image in images])

    for camera in cameras:
        mask = watcher.message(Image, f'/seg/{camera}/mask')
        assert (mask.width, mask.height) == (64, 48)
    assert watcher.message(String, '/seg/labels', LATCHED)


def test_the_packaged_params_file_works_as_it_stands(start: Start) -> None:
    file = Path(__file__).resolve().parents[2] / 'config' / 'segment.yaml'
    _, watcher = start('camera:=synthetic', f'params_file:={file}')

    assert watcher.message(Image, '/segmentation/mask').width == 640


def test_the_camera_follows_the_transport_of_the_params_file(start: Start, tmp_path: Path) -> None:
    file = tmp_path / 'compressed.yaml'
    values = {'image_transport': 'compressed'}
    file.write_text(yaml.safe_dump({'/**/segmentation': {'ros__parameters': values}}))
    _, watcher = start('camera:=synthetic', f'params_file:={file}')

    assert watcher.message(Image, '/segmentation/mask').width == 640
    watcher.until(
        lambda: watcher.node.count_publishers('/camera/image_raw/compressed') == 1,
        'the compressed images',
    )


def test_without_a_manager_the_node_waits_for_whoever_brings_it_up(start: Start) -> None:
    launched, watcher = start('manager:=false')

    assert state(watcher, '/segmentation') == 'unconfigured'
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE
    response = watcher.call(ChangeState, '/segmentation/change_state', request)

    assert response.success, launched.output
    assert state(watcher, '/segmentation') == 'inactive'
    assert launched.node('lifecycle_manager_node') is None


def test_a_killed_node_is_started_and_brought_up_again(start: Start) -> None:
    launched, watcher = start('camera:=synthetic', 'respawn:=true')
    watcher.message(Image, '/segmentation/mask')
    killed = launched.node('segmentation_node')
    assert killed is not None

    killed.kill()
    watcher.until(
        lambda: launched.node('segmentation_node') not in (None, killed), 'another process'
    )

    assert watcher.message(Image, '/segmentation/mask').width == 640


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['backend:=tensorflow'], 'Argument "backend" provided value "tensorflow" is not valid'),
        (['params_file:=nowhere.yaml'], 'params_file:=nowhere.yaml: there is no /'),
        (['model_store:=~/no such store'], 'model_store:=~/no such store: there is no /'),
        (['image:=/eye/image/compressed'], 'image_transport:=compressed for its compressed twin'),
        (['autostart:=true', 'manager:=false'], 'drop one of them'),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(
    start: Start, arguments: list[str], words: str
) -> None:
    launched, _ = start(*arguments)

    assert launched.wait() == 1
    assert words in launched.output
    assert 'process started' not in launched.output


def test_rviz_that_is_not_installed_is_named_with_its_package(start: Start) -> None:
    from ament_index_python.packages import get_packages_with_prefixes

    if 'rviz2' in get_packages_with_prefixes():
        pytest.skip('rviz2 is installed')

    launched, _ = start('rviz:=true')

    assert launched.wait() == 1
    assert f'sudo apt install ros-{os.environ["ROS_DISTRO"]}-rviz2' in launched.output


def test_every_argument_is_documented_and_names_its_choices(needs_launch: None) -> None:
    file = Path(__file__).resolve().parents[2] / 'launch' / 'segment.launch.py'
    spec = importlib.util.spec_from_file_location('segment_launch', file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    arguments = module.generate_launch_description().get_launch_arguments()

    assert all(len(argument.description) > 10 for argument in arguments)
    switches = {a.name for a in arguments if a.choices and 'true' in a.choices}
    assert switches == {'manager', 'autostart', 'rviz', 'dds_profile', 'use_sim_time', 'respawn'}
