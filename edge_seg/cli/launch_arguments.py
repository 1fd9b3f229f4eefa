"""What was given to segment.launch.py, in the form that its nodes take; without any of launch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_seg.cli.demo.source import look_at
from edge_seg.errors import EdgeSegError
from edge_seg.runtime.parameters.parameter_file import value_in_file
from edge_seg.runtime.parameters.settings import CAMERA_NAME

# Where mask consumers look. ~/model_status, ~/reload and ~/rollback stay with the node: the
# lifecycle manager finds them there.
OUTPUTS = ('labels', 'label_info')
CAMERA_OUTPUTS = (
    'mask',
    'mask/compressed',
    'confidence',
    'color_mask',
    'color_mask/compressed',
    'overlay',
    'overlay/compressed',
)
RVIZ_TOPICS = ('overlay', 'color_mask')
IMAGE = 'camera/image_raw'
ANY_CAMERA = '{camera}'
"""Stands in ``image`` for the name of each of several cameras."""
NO_CAMERA, SYNTHETIC_CAMERA = 'none', 'synthetic'


class LaunchArgumentInvalid(ValueError):
    """An argument of the launch file cannot be used; the message says what to do."""


@dataclass(frozen=True)
class LaunchArguments:
    """The arguments, and the topics that follow from them and from params_file.

    Attributes:
        values: each argument as text; paths absolute, '' where it was not given.
        namespace: of all nodes, from the root: '/' or '/front'.
    """

    values: dict[str, str]
    namespace: str

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

    def in_file(self, node: str, name: str) -> Any:
        """Give what params_file sets for a node; None for nothing.

        Raises:
            SettingsInvalid: the file cannot be read.
        """
        if not self['params_file']:
            return None
        node = f'{self.namespace.rstrip("/")}/{node}'
        return value_in_file(Path(self['params_file']), node=node, name=name)

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """Names of several cameras; ('',) for one. What is no name the node refuses."""
        names = self.in_file('segmentation', 'cameras')
        if not isinstance(names, list):
            return ('',)
        return tuple(name for name in names if CAMERA_NAME.fullmatch(str(name))) or ('',)

    @cached_property
    def transport(self) -> str:
        """image_transport as given, as the bag to try with needs it, or as in params_file."""
        if self['image_transport']:
            return self['image_transport']
        if self._plays_compressed():
            return 'compressed'
        return str(self.in_file('segmentation', 'image_transport') or '')

    def image(self, camera: str) -> str:
        """Give the image topic of a camera."""
        if camera and self['image'] == IMAGE:  # not given
            return f'{camera}/image'
        return self['image'].replace(ANY_CAMERA, camera)

    def images(self) -> list[tuple[str, str]]:
        """Lead each image and its compressed twin to the topic asked for."""
        pairs = [(_below(camera, 'image'), self.image(camera)) for camera in self.cameras]
        return [*pairs, *((f'{a}/compressed', f'{b}/compressed') for a, b in pairs)]

    def outputs(self) -> list[tuple[str, str]]:
        """Lead the outputs of the node and of its cameras to the chosen prefix."""
        pictures = [_below(camera, name) for camera in self.cameras for name in CAMERA_OUTPUTS]
        return [(f'~/{name}', f'{self["outputs"]}/{name}') for name in (*OUTPUTS, *pictures)]

    def shown(self) -> list[tuple[str, str]]:
        """Lead the topics of config/segment.rviz to those of the first camera."""
        first = self.cameras[0]
        pairs = [(name, f'{self["outputs"]}/{_below(first, name)}') for name in RVIZ_TOPICS]
        return [
            ('/camera/image_raw', self.image(first)),
            *((f'/segmentation/{name}', topic) for name, topic in pairs),
        ]

    def beside_image(self, name: str) -> str:
        """Give a topic next to the image topic, such as camera_info."""
        return f'{self["image"].rpartition("/")[0]}/{name}' if '/' in self['image'] else name

    def check(self) -> None:
        """See whether the arguments go together.

        Raises:
            LaunchArgumentInvalid: saying what to give instead.
            SettingsInvalid: params_file cannot be read.
        """
        image, listed = self['image'], ', '.join(self.cameras)
        if not image or image.endswith('/compressed'):
            raise LaunchArgumentInvalid(
                f'image:={image} is not the raw camera topic: give image:=/camera/image_raw '
                'or the like, and image_transport:=compressed for its compressed twin'
            )
        if self['autostart'] == 'true' and not self.on('manager'):
            raise LaunchArgumentInvalid(
                'autostart:=true needs the manager, which manager:=false leaves out: drop one of '
                'them'
            )
        if not listed:
            if ANY_CAMERA in image:
                raise LaunchArgumentInvalid(
                    f'image:={image} asks for the names of cameras: set cameras: [front, left] '
                    'in params_file, or name one topic'
                )
        elif image != IMAGE and ANY_CAMERA not in image:
            raise LaunchArgumentInvalid(
                f'image:={image} is one topic, and params_file has the cameras {listed}: give '
                f'image:=/{ANY_CAMERA}/image_raw or the like'
            )
        elif self['camera'] != NO_CAMERA:
            raise LaunchArgumentInvalid(
                f'camera:={self["camera"]} is one camera, and params_file has {listed}: leave '
                'one of them out'
            )

    def _plays_compressed(self) -> bool:
        """Tell whether the camera to try with is a bag of compressed images."""
        if self['camera'] in (NO_CAMERA, SYNTHETIC_CAMERA):
            return False
        topic = str(self.in_file('camera', 'topic') or '')
        try:
            return look_at(self['camera'], topic=topic).transport == 'compressed'
        except EdgeSegError:
            return False  # the camera node says why


def _below(camera: str, name: str) -> str:
    return f'{camera}/{name}' if camera else name
