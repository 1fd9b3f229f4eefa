"""Starts segmentation and what brings it up; for a first try also a camera and rviz.

`ros2 launch edge_seg segment.launch.py -s` lists the arguments, docs/launch.md explains them.
"""

from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from ament_index_python import packages
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

PACKAGE = 'edge_seg'
# Where mask consumers look. ~/model_status, ~/reload and ~/rollback stay with the node: the
# lifecycle manager finds them there.
OUTPUTS = (
    'mask',
    'mask/compressed',
    'confidence',
    'color_mask',
    'color_mask/compressed',
    'overlay',
    'overlay/compressed',
    'labels',
    'label_info',
)
# Parameters of the segmentation node that are arguments too.
PASSED_ON = ('model', 'model_store', 'backend', 'device', 'image_transport')
PROFILE, OLD_PROFILE = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
# The last one chooses transports without a file.
TRANSPORT_VARIABLES = (PROFILE, OLD_PROFILE, 'FASTDDS_BUILTIN_TRANSPORTS')
# They know only the old name; the others warn of it.
DISTROS_WITH_OLD_PROFILE = ('humble', 'iron', 'jazzy')
SWITCH = ('true', 'false')
OPTIONAL_SWITCH = ('', *SWITCH)
LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
RESPAWN_DELAY_S = 1.0
RVIZ_TOPICS = ('overlay', 'color_mask')
NOT_GIVEN = 'Not given: as in params_file'


class LaunchArgumentInvalid(ValueError):
    """An argument of this launch file cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Arguments:
    """What was given to this launch file, checked, in the form that the nodes take."""

    values: dict[str, str]
    namespace: str
    environment: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def on(self, name: str) -> bool:
        """Say whether a switch is on."""
        return self.values[name] == 'true'

    def overrides(self, *texts: str, switches: tuple[str, ...] = ()) -> dict[str, Any]:
        """Give those parameters that were given as arguments; use_sim_time is for every node."""
        given: dict[str, Any] = {name: self.values[name] for name in texts if self.values[name]}
        for name in (*switches, 'use_sim_time'):
            if self.values[name]:
                given[name] = self.on(name)
        return given

    def images(self) -> list[tuple[str, str]]:
        """Lead the image and its compressed twin to the topic asked for."""
        return [('image', self['image']), ('image/compressed', f'{self["image"]}/compressed')]

    def beside_image(self, name: str) -> str:
        """Give a topic next to the image topic, such as camera_info."""
        return f'{self["image"].rpartition("/")[0]}/{name}' if '/' in self['image'] else name


def declared() -> list[DeclareLaunchArgument]:
    """List the arguments."""
    return [
        _argument('image', 'camera/image_raw', 'Camera topic; its compressed twin follows'),
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
            'none',
            'A camera to try with: none, synthetic, or a video, image folder, /dev/video0, bag',
        ),
        _argument('rviz', 'false', 'Show camera, overlay and colours', SWITCH),
        _argument(
            'dds_profile',
            'true',
            'Let the nodes use config/fastdds_camera.xml, without which large frames get lost; '
            f'never where one of {", ".join(TRANSPORT_VARIABLES)} is set',
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
    if arguments['camera'] != 'none':
        wanted.append(camera(arguments))
    wanted.append(segmentation(arguments))
    if arguments.on('manager'):
        wanted.append(manager(arguments))
    if arguments.on('rviz'):
        wanted.append(rviz(arguments))
    return wanted


def segmentation(arguments: Arguments) -> Node:
    """Give the segmentation node."""
    return _node(
        arguments,
        'segmentation',
        arguments.overrides(*PASSED_ON),
        [
            *arguments.images(),
            *((f'~/{name}', f'{arguments["outputs"]}/{name}') for name in OUTPUTS),
        ],
    )


def camera(arguments: Arguments) -> Node:
    """Give the camera to try with; it publishes what segmentation subscribes to."""
    parameters = {**arguments.overrides(), 'source': arguments['camera']}
    if arguments['image_transport'] == 'compressed':
        parameters['compressed'] = 'jpeg'
    return _node(
        arguments,
        'camera',
        parameters,
        [
            *arguments.images(),
            *((name, arguments.beside_image(name)) for name in ('camera_info', 'labels')),
        ],
    )


def manager(arguments: Arguments) -> Node:
    """Give the lifecycle manager, which also looks after the camera to try with."""
    parameters = arguments.overrides(switches=('autostart',))
    if arguments['camera'] != 'none':
        parameters['node_names'] = ['camera', 'segmentation']
    return _node(arguments, 'lifecycle_manager', parameters, [])


def rviz(arguments: Arguments) -> Node:
    """Give rviz2 with the topics of config/segment.rviz led to ours."""
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=arguments.namespace,
        arguments=['-d', str(share() / 'config' / 'segment.rviz')],
        parameters=[arguments.overrides()],
        remappings=[
            ('/camera/image_raw', arguments['image']),
            *((f'/segmentation/{name}', f'{arguments["outputs"]}/{name}') for name in RVIZ_TOPICS),
        ],
        additional_env=arguments.environment,
    )


def checked(context: LaunchContext) -> Arguments:
    """Check the arguments.

    Raises:
        LaunchArgumentInvalid: saying what to give instead.
    """
    values = {
        argument.name: context.launch_configurations[argument.name] for argument in declared()
    }
    values['image'] = values['image'].rstrip('/')
    if not values['image'] or values['image'].endswith('/compressed'):
        raise LaunchArgumentInvalid(
            f'image:={values["image"]} is not the raw camera topic: give image:=/camera/image_raw '
            'or the like, and image_transport:=compressed for its compressed twin'
        )
    if values['autostart'] == 'true' and values['manager'] == 'false':
        raise LaunchArgumentInvalid(
            'autostart:=true needs the manager, which manager:=false leaves out: drop one of them'
        )
    for name in ('params_file', 'model_store'):
        values[name] = _path(name, values[name])
    if values['rviz'] == 'true':
        _require_rviz()
    return Arguments(values, _namespace(context, values['namespace']), _environment(values))


def share() -> Path:
    """Give the installed share/ folder of the package."""
    return Path(packages.get_package_share_directory(PACKAGE))


def _node(
    arguments: Arguments,
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
        additional_env=arguments.environment,
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


def _environment(values: dict[str, str]) -> dict[str, str]:
    chosen = any(os.environ.get(variable) for variable in TRANSPORT_VARIABLES)
    if chosen or values['dds_profile'] == 'false':
        return {}
    old = os.environ.get('ROS_DISTRO') in DISTROS_WITH_OLD_PROFILE
    names = (PROFILE, OLD_PROFILE) if old else (PROFILE,)
    return dict.fromkeys(names, str(share() / 'config' / 'fastdds_camera.xml'))


def _require_rviz() -> None:
    try:
        packages.get_package_prefix('rviz2')
    except packages.PackageNotFoundError as missing:
        distro = os.environ.get('ROS_DISTRO', '<distro>')
        raise LaunchArgumentInvalid(
            f'rviz:=true needs rviz2: sudo apt install ros-{distro}-rviz2'
        ) from missing
