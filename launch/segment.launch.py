"""Starts segmentation and what brings it up; for a first try also a camera and rviz.

`ros2 launch edge_seg segment.launch.py -s` lists the arguments, docs/launch.md explains them.
"""

import os
from pathlib import Path
from typing import Any

from ament_index_python import packages
from edge_seg.cli.launch_arguments import (
    ANY_CAMERA,
    IMAGE,
    LaunchArgumentInvalid,
    LaunchArguments,
    NO_CAMERA,
)
from edge_seg.ros.compat import dds_environment, DDS_TRANSPORT_VARIABLES
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

PACKAGE = 'edge_seg'
# Parameters of the segmentation node that are arguments too.
PASSED_ON = ('model', 'model_store', 'backend', 'device', 'image_transport')
SWITCH = ('true', 'false')
OPTIONAL_SWITCH = ('', *SWITCH)
LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
RESPAWN_DELAY_S = 1.0
IMAGE_USE = (
    'Camera topic; its compressed twin follows. Where params_file has cameras give '
    f'/{ANY_CAMERA}/image_raw or the like; not given: <name>/image'
)
NOT_GIVEN = 'Not given: as in params_file'


def declared() -> list[DeclareLaunchArgument]:
    """List the arguments."""
    return [
        _argument('image', IMAGE, IMAGE_USE),
        *(_parameter_argument(name) for name in PASSED_ON),
        _argument('namespace', '', 'Namespace of all nodes and of the topics without leading /'),
        _argument(
            'outputs',
            'segmentation',
            'What the output topics begin with: <outputs>/mask, ...; /segmentation keeps them '
            'out of the namespace',
        ),
        _argument('params_file', '', 'YAML file like config/segment.yaml; arguments override it'),
        _argument('log_level', 'info', 'Of the nodes', LEVELS),
        _argument('manager', 'true', "false leaves the nodes to nav2's manager, say", SWITCH),
        _argument(
            'autostart',
            '',
            f'Bring the nodes up at once; false waits for ~/startup of the manager. {NOT_GIVEN}',
            OPTIONAL_SWITCH,
        ),
        _argument(
            'camera',
            NO_CAMERA,
            'A camera to try with: none, synthetic, or a video, image folder, /dev/video0, bag',
        ),
        _argument('rviz', 'false', 'Show camera, overlay and colours', SWITCH),
        _argument(
            'dds_profile',
            'true',
            'Let the nodes use config/fastdds_camera.xml, without which large frames get lost; '
            f'never where one of {", ".join(DDS_TRANSPORT_VARIABLES)} is set',
            SWITCH,
        ),
        _argument('use_sim_time', '', f'Follow /clock. {NOT_GIVEN}', OPTIONAL_SWITCH),
        _argument('respawn', 'false', 'Start a node again when its process ends', SWITCH),
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return LaunchDescription([*declared(), OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    """Give the nodes that the arguments ask for."""
    arguments = checked(context)
    wanted = []
    if arguments['camera'] != NO_CAMERA:
        wanted.append(camera(arguments))
    wanted.append(segmentation(arguments))
    if arguments.on('manager'):
        wanted.append(manager(arguments))
    if arguments.on('rviz'):
        wanted.append(rviz(arguments))
    return wanted


def segmentation(arguments: LaunchArguments) -> Node:
    """Give the segmentation node."""
    parameters = arguments.overrides(*PASSED_ON)
    if arguments.transport:
        parameters['image_transport'] = arguments.transport
    topics = [*arguments.images(), *arguments.outputs()]
    return _node(arguments, 'segmentation', parameters, topics)


def camera(arguments: LaunchArguments) -> Node:
    """Give the camera to try with; it publishes what segmentation subscribes to."""
    parameters = {**arguments.overrides(), 'source': arguments['camera']}
    if arguments.transport == 'compressed':
        parameters['compressed'] = arguments.in_file('camera', 'compressed') or 'jpeg'
    return _node(
        arguments,
        'camera',
        parameters,
        [
            *arguments.images(),
            *((name, arguments.beside_image(name)) for name in ('camera_info', 'labels')),
        ],
    )


def manager(arguments: LaunchArguments) -> Node:
    """Give the lifecycle manager, which also looks after the camera to try with."""
    parameters = arguments.overrides(switches=('autostart',))
    if arguments['camera'] != NO_CAMERA:
        parameters['node_names'] = ['camera', 'segmentation']
    return _node(arguments, 'lifecycle_manager', parameters, [])


def rviz(arguments: LaunchArguments) -> Node:
    """Give rviz2 with the configuration of the package."""
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=arguments.namespace,
        arguments=['-d', str(share() / 'config' / 'segment.rviz')],
        parameters=[arguments.overrides()],
        remappings=arguments.shown(),
        additional_env=_environment(arguments),
    )


def checked(context: LaunchContext) -> LaunchArguments:
    """Check the arguments.

    Raises:
        LaunchArgumentInvalid: saying what to give instead.
        SettingsInvalid: params_file cannot be read.
    """
    values = {
        argument.name: context.launch_configurations[argument.name] for argument in declared()
    }
    values['image'] = values['image'].rstrip('/')
    for name in ('params_file', 'model_store'):
        values[name] = _path(name, values[name])
    if values['rviz'] == 'true':
        _require_rviz()
    arguments = LaunchArguments(values, _namespace(context, values['namespace']))
    arguments.check()
    return arguments


def share() -> Path:
    """Give the installed share/ folder of the package."""
    return Path(packages.get_package_share_directory(PACKAGE))


def _node(
    arguments: LaunchArguments,
    name: str,
    parameters: dict[str, Any],
    remappings: list[tuple[str, str]],
) -> Node:
    logger = '.'.join([*arguments.namespace.strip('/').split('/'), name]).lstrip('.')
    file = [arguments['params_file']] if arguments['params_file'] else []
    return Node(
        package=PACKAGE,
        executable=f'{name}_node',
        name=name,
        namespace=arguments.namespace,
        output='screen',
        # The last one wins.
        parameters=[*file, parameters] if parameters else file,
        remappings=remappings,
        ros_arguments=['--log-level', f'{logger}:={arguments["log_level"]}'],
        additional_env=_environment(arguments),
        respawn=arguments.on('respawn'),
        respawn_delay=RESPAWN_DELAY_S,
    )


def _argument(
    name: str, default: str, description: str, choices: tuple[str, ...] = ()
) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name,
        default_value=default,
        description=f'{description}.',
        choices=list(choices) or None,
    )


def _parameter_argument(name: str) -> DeclareLaunchArgument:
    spec = next(spec for spec in SEGMENTATION_PARAMETERS if spec.name == name)
    choices = ('', *spec.choices) if spec.choices else ()
    return _argument(name, '', f'{spec.description}. {NOT_GIVEN}', choices)


def _namespace(context: LaunchContext, given: str) -> str:
    """Put the namespace below that of an including launch file (PushRosNamespace)."""
    if given.startswith('/'):
        return given
    outer = context.launch_configurations.get('ros_namespace', '')
    return '/' + '/'.join(part for part in (outer.strip('/'), given.strip('/')) if part)


def _path(name: str, given: str) -> str:
    """Make a path absolute; the shell leaves the ~ of name:=~/folder alone."""
    if not given:
        return ''
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise LaunchArgumentInvalid(f'{name}:={given}: there is no {path}')
    return str(path)


def _environment(arguments: LaunchArguments) -> dict[str, str]:
    chosen = any(os.environ.get(variable) for variable in DDS_TRANSPORT_VARIABLES)
    if chosen or not arguments.on('dds_profile'):
        return {}
    return dds_environment(share() / 'config' / 'fastdds_camera.xml')


def _require_rviz() -> None:
    try:
        packages.get_package_prefix('rviz2')
    except packages.PackageNotFoundError as missing:
        distro = os.environ.get('ROS_DISTRO', '<distro>')
        raise LaunchArgumentInvalid(
            f'rviz:=true needs rviz2: sudo apt install ros-{distro}-rviz2'
        ) from missing
