"""The camera's parameters together."""

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from edge_seg.runtime.parameters.camera_settings import CameraSettings
import pytest


def test_defaults_are_those_of_the_table():
    settings = CameraSettings.from_values({})
    assert {spec.name: getattr(settings, spec.name) for spec in CAMERA_PARAMETERS} == {
        spec.name: spec.default for spec in CAMERA_PARAMETERS
    }


def test_a_size_that_the_encoding_cannot_have_is_refused():
    with pytest.raises(SettingsInvalid, match=r'641x480 nv12.*multiple of 2.*change width'):
        CameraSettings.from_values({'encoding': 'nv12', 'width': 641})
