"""The settings of the segmentation node, and the parameter file that lists them."""

from dataclasses import fields
from pathlib import Path

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.parameters.parameter_table import SEGMENTATION_PARAMETERS
from edge_seg.runtime.parameters.settings import SegmentationSettings
import pytest


def test_the_settings_have_exactly_the_parameters_of_the_table() -> None:
    assert [f.name for f in fields(SegmentationSettings)] == [
        spec.name for spec in SEGMENTATION_PARAMETERS
    ]


def test_without_values_everything_has_its_default() -> None:
    settings = SegmentationSettings.from_values({})

    assert {f.name: getattr(settings, f.name) for f in fields(settings)} == {
        spec.name: spec.default for spec in SEGMENTATION_PARAMETERS
    }


def test_given_values_are_taken_and_typed() -> None:
    settings = SegmentationSettings.from_values({'max_rate_hz': 10, 'backend': 'openvino'})

    assert settings.max_rate_hz == 10.0
    assert isinstance(settings.max_rate_hz, float)
    assert settings.backend == 'openvino'


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'backend': 'onnx'}, 'backend is .onnx.'),
        ({'max_age_s': -1.0}, 'max_age_s is -1'),
        ({'jpeg_quality': 101}, 'jpeg_quality is 101'),
        ({'modle': 'floor'}, 'did you mean model'),
        ({'model': ' '}, 'model is empty'),
        ({'device': ''}, 'device is empty'),
        ({'backend': 'opencv', 'argmax_in_graph': True}, 'argmax_in_graph is true with backend'),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    values: dict[str, object], reason: str
) -> None:
    with pytest.raises(SettingsInvalid, match=reason):
        SegmentationSettings.from_values(values)


def test_cameras_have_a_priority_and_a_rate_of_their_own() -> None:
    settings = SegmentationSettings.from_values(
        {
            'cameras': ['front', 'rear'],
            'max_rate_hz': 30,
            'camera_priorities': ['front=2.5'],
            'camera_rates_hz': ['rear = 5'],
        }
    )
    assert [settings.camera_priority(name) for name in settings.cameras] == [2.5, 1.0]
    assert [settings.camera_rate_hz(name) for name in settings.cameras] == [30.0, 5.0]
    assert settings.changed({'camera_rates_hz': []}).camera_rate_hz('rear') == 30.0


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'camera_priorities': ['front']}, "has the entry 'front'"),
        ({'camera_priorities': ['front=-1']}, "has the entry 'front=-1'"),
        ({'camera_priorities': ['front=nan']}, "has the entry 'front=nan'"),
        ({'camera_priorities': ['front=1', 'front=2']}, "has the entry 'front=2'"),
        ({'camera_priorities': ['front=0']}, 'a priority of 0'),
        ({'camera_rates_hz': ['left=5']}, "camera_rates_hz names 'left'"),
    ],
)
def test_what_is_said_of_single_cameras_must_make_sense(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        SegmentationSettings.from_values({'cameras': ['front'], **values})


def test_a_change_keeps_the_other_values() -> None:
    before = SegmentationSettings.from_values({'threads': 2})

    after = before.changed({'max_age_s': 0.2})

    assert (after.threads, after.max_age_s) == (2, 0.2)
    assert before.max_age_s == 1.0


def test_a_change_that_contradicts_another_value_is_refused() -> None:
    settings = SegmentationSettings.from_values({'argmax_in_graph': True})

    with pytest.raises(SettingsInvalid, match='argmax_in_graph'):
        settings.changed({'backend': 'opencv'})


@pytest.mark.parametrize(
    ('cache_dir', 'environment', 'expected'),
    [
        ('none', {'XDG_CACHE_HOME': '/var/cache'}, None),
        ('', {'XDG_CACHE_HOME': '/var/cache'}, Path('/var/cache/edge_seg')),
        ('', {}, Path.home() / '.cache' / 'edge_seg'),
        ('', {'XDG_CACHE_HOME': 'relative'}, Path.home() / '.cache' / 'edge_seg'),
        ('/data/blobs', {'XDG_CACHE_HOME': '/var/cache'}, Path('/data/blobs')),
        ('~/blobs', {}, Path.home() / 'blobs'),
    ],
)
def test_the_cache_is_where_the_parameter_and_the_environment_say(
    cache_dir: str, environment: dict[str, str], expected: Path | None
) -> None:
    settings = SegmentationSettings.from_values({'cache_dir': cache_dir})

    assert settings.cache_directory(environment) == expected


def test_compile_options_carry_what_was_set() -> None:
    settings = SegmentationSettings.from_values(
        {
            'device': 'GPU.0',
            'threads': 4,
            'pin_threads': True,
            'precision': 'fp16',
            'cache_dir': 'none',
            'argmax_in_graph': True,
        }
    )

    options = settings.compile_options()

    assert (options.device, options.threads, options.pin_threads) == ('GPU.0', 4, True)
    assert (options.precision, options.cache_dir) == ('fp16', None)
    assert options.argmax_in_graph


def test_what_is_set_for_tensorrt_reaches_tensorrt_alone() -> None:
    settings = SegmentationSettings.from_values(
        {
            'tensorrt_cuda': 'cuda-bindings',
            'tensorrt_memory': 'auto',
            'tensorrt_cuda_graph': True,
            'tensorrt_dla_core': 1,
            'tensorrt_unrecorded': True,
            'tensorrt_workspace_mib': 512,
            'tensorrt_optimisation_level': 5,
        }
    )

    options = settings.compile_options()

    assert options.for_backend('openvino').extra == ()
    assert dict(options.for_backend('tensorrt').extra) == {
        'cuda': 'cuda-bindings',
        'memory': 'auto',
        'cuda_graph': 'true',
        'dla_core': '1',
        'unrecorded': 'true',
        'workspace_mib': '512',
        'optimisation_level': '5',
    }


def test_defaults_of_tensorrt_are_left_to_it() -> None:
    assert SegmentationSettings.from_values({}).compile_options().extra == ()


@pytest.mark.parametrize('device', ['auto', 'AUTO', 'Auto'])
def test_the_device_auto_leaves_the_choice_to_the_backend(device: str) -> None:
    settings = SegmentationSettings.from_values({'device': device})

    assert settings.compile_options().device == 'AUTO'
