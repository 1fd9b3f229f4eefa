"""What a launch file finds in a parameter file: what the node would."""

from pathlib import Path

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.parameters.parameter_file import value_in_file
import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / 'params.yaml'


@pytest.mark.parametrize(
    ('heading', 'node', 'applies'),
    [
        ('segmentation', '/segmentation', True),
        ('segmentation', '/front/segmentation', False),
        ('/front/segmentation', '/front/segmentation', True),
        ('/**', '/front/segmentation', True),
        ('/**', '/segmentation', True),
        ('/**/segmentation', '/segmentation', True),
        ('/**/segmentation', '/robot/front/segmentation', True),
        ('/**/segmentation', '/camera', False),
        ('/*/segmentation', '/front/segmentation', True),
        ('/*/segmentation', '/segmentation', False),
    ],
)
def test_a_value_counts_for_the_nodes_that_the_heading_names(
    file: Path, heading: str, node: str, applies: bool
) -> None:
    file.write_text(f'{heading}:\n  ros__parameters:\n    cameras: [front, left]\n')

    value = value_in_file(file, node=node, name='cameras')

    assert value == (['front', 'left'] if applies else None)


def test_namespaces_may_be_nested(file: Path) -> None:
    file.write_text(
        'front:\n  segmentation:\n    ros__parameters: {image_transport: compressed}\n'
    )

    assert value_in_file(file, node='/front/segmentation', name='image_transport') == 'compressed'


def test_the_last_value_counts(file: Path) -> None:
    file.write_text(
        '/**:\n  ros__parameters: {cameras: [front]}\n'
        '/**/segmentation:\n  ros__parameters: {cameras: []}\n'
    )

    assert value_in_file(file, node='/segmentation', name='cameras') == []


@pytest.mark.parametrize('text', ['', 'no parameters', '/**:\n  ros__parameters:\n', '- 1\n'])
def test_a_file_without_the_parameter_gives_none(file: Path, text: str) -> None:
    file.write_text(text)

    assert value_in_file(file, node='/segmentation', name='cameras') is None


@pytest.mark.parametrize('text', ['a: [', '\t\n', '\0'])
def test_a_file_that_is_no_yaml_is_named(file: Path, text: str) -> None:
    file.write_text(text)

    with pytest.raises(SettingsInvalid, match='params.yaml cannot be read'):
        value_in_file(file, node='/segmentation', name='cameras')
