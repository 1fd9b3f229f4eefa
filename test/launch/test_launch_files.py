"""What can be said of the launch file and what it starts without the launch packages."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edge_seg.cli.launch_arguments import LaunchArguments, RVIZ_TOPICS
from edge_seg.ros.announcements import Announcements
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
from edge_seg.runtime.parameters.settings import SegmentationSettings
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / 'launch' / 'segment.launch.py'
IMAGE = 'sensor_msgs/msg/Image'
DDS = '{http://www.eprosima.com}'
FRAME_4K_BYTES = 3840 * 2160 * 3


@pytest.fixture(scope='module')
def launch_file() -> ast.Module:
    return ast.parse(LAUNCH_FILE.read_text('utf-8'))


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node('segmentation', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture(scope='module')
def displays() -> dict[str, Any]:
    """Give the displays of the rviz configuration by name."""
    document = yaml.safe_load((ROOT / 'config' / 'segment.rviz').read_text('utf-8'))
    return {display['Name']: display for display in document['Visualization Manager']['Displays']}


def literal(module: ast.Module, name: str) -> Any:
    """Give the value of a constant of the launch file."""
    for statement in module.body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], 'id', '') == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f'{LAUNCH_FILE.name} has no {name}')


def published(node: Node, cameras: tuple[str, ...] = ('',)) -> dict[str, str]:
    """Give the topics below the node's name, with their types, as the node offers them."""
    settings = SegmentationSettings.from_values({})
    outputs = [MaskOutputs(node, camera, settings) for camera in cameras]
    Announcements(node)
    own = node.get_publisher_names_and_types_by_node(node.get_name(), node.get_namespace())
    for each in outputs:
        each.destroy()
    prefix = f'{node.get_fully_qualified_name()}/'
    return {name.removeprefix(prefix): types[0] for name, types in own if prefix in name}


@pytest.mark.parametrize('cameras', [[], ['front', 'left']])
def test_every_output_but_the_model_status_is_led_to_the_chosen_prefix(
    node: Node, tmp_path: Path, cameras: list[str]
) -> None:
    file = tmp_path / 'params.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'cameras': cameras}}}))
    arguments = LaunchArguments({'params_file': str(file), 'outputs': '/seg'}, '/')
    outputs = set(published(node, tuple(cameras) or ('',))) - {'model_status'}

    # vision_msgs is optional.
    assert dict(arguments.outputs()) == {
        f'~/{name}': f'/seg/{name}' for name in outputs | {'label_info'}
    }


def test_arguments_that_are_parameters_exist(launch_file: ast.Module) -> None:
    names = {spec.name for spec in SEGMENTATION_PARAMETERS}

    assert set(literal(launch_file, 'PASSED_ON')) <= names


def test_files_that_the_launch_file_names_are_there(launch_file: ast.Module) -> None:
    named = {
        node.value
        for node in ast.walk(launch_file)
        if isinstance(node, ast.Constant)
        and str(node.value).endswith(('.xml', '.rviz', '.yaml'))
        and ' ' not in str(node.value)
    }

    assert named >= {'fastdds_camera.xml', 'segment.rviz'}
    assert [name for name in named if not (ROOT / 'config' / name).is_file()] == []


def test_rviz_shows_images_that_the_nodes_publish(displays: dict[str, Any], node: Node) -> None:
    own = published(node)
    shown = {display['Topic']['Value'] for display in displays.values()}

    assert {display['Class'] for display in displays.values()} == {'rviz_default_plugins/Image'}
    assert shown == {
        '/camera/image_raw',
        *(f'/segmentation/{name}' for name in RVIZ_TOPICS),
    }
    assert {own[name] for name in RVIZ_TOPICS} == {IMAGE}
    assert '/segmentation/mask' not in shown, 'class ids are near black'


def test_rviz_asks_for_no_more_than_is_offered(displays: dict[str, Any]) -> None:
    reliability = {name: item['Topic']['Reliability Policy'] for name, item in displays.items()}
    offered = SegmentationSettings.from_values({}).mask_qos

    assert reliability == {
        'Camera': 'Best Effort',  # what any camera can serve
        'Overlay': offered.replace('_', ' ').title(),
        'Colours': offered.replace('_', ' ').title(),
    }
    assert {item['Topic']['Durability Policy'] for item in displays.values()} == {'Volatile'}


def test_rviz_knows_a_frame_and_a_place_for_each_display(displays: dict[str, Any]) -> None:
    document = yaml.safe_load((ROOT / 'config' / 'segment.rviz').read_text('utf-8'))

    assert set(document) == {'Panels', 'Visualization Manager', 'Window Geometry'}
    assert document['Visualization Manager']['Global Options']['Fixed Frame']
    assert set(displays) <= set(document['Window Geometry'])


def test_the_dds_profile_holds_large_frames_and_reaches_other_machines() -> None:
    profile = ElementTree.parse(ROOT / 'config' / 'fastdds_camera.xml').getroot()
    transports = {
        transport.findtext(f'{DDS}type'): transport
        for transport in profile.iter(f'{DDS}transport_descriptor')
    }
    used = {item.text for item in profile.iter(f'{DDS}transport_id')}
    participant = next(profile.iter(f'{DDS}participant'))

    assert set(transports) == {'SHM', 'UDPv4'}
    assert used == {item.findtext(f'{DDS}transport_id') for item in transports.values()}
    segment = int(transports['SHM'].findtext(f'{DDS}segment_size', '0'))
    message = int(transports['SHM'].findtext(f'{DDS}maxMessageSize', '0'))
    assert FRAME_4K_BYTES < message <= segment
    assert participant.get('is_default_profile') == 'true'
    assert participant.findtext(f'{DDS}rtps/{DDS}useBuiltinTransports') == 'false'
