"""The settings of the camera node: all its parameters, checked, and what follows of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, Literal

from edge_seg.core.encode import layout
from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from edge_seg.runtime.parameters.parameter_spec import validated_values


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """One field for each entry of CAMERA_PARAMETERS, which says what it means."""

    source: str
    rate_hz: float
    width: int
    height: int
    encoding: str
    compressed: Literal['', 'jpeg', 'png']
    jpeg_quality: int
    loop: bool
    stamps: Literal['now', 'source']
    frame_id: str
    seed: int
    publish_labels: bool
    topic: str
    qos: Literal['reliable', 'best_effort']
    horizontal_fov_deg: float

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> 'CameraSettings':
        """Check parameter values one by one and together; what is missing has its default.

        Raises:
            SettingsInvalid: an unknown name, an invalid value, a size that the encoding cannot
                have.
        """
        checked = cast('Mapping[str, object]', validated_values(CAMERA_PARAMETERS, values))
        settings = cls(**checked)  # type: ignore[arg-type]  # types were checked by the table
        try:
            layout(settings.encoding, settings.width, settings.height)
        except ValueError as error:
            raise SettingsInvalid(
                str(error), remedy='change width, height or encoding of the camera'
            ) from error
        return settings
