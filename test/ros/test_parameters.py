"""Parameter files as ROS 2 itself reads them, which is not always as YAML has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from camera_frames import pixels_of, rgb8, scene
from edge_seg.errors import SettingsInvalid
from edge_seg.ros.parameters import NodeParameters
from edge_seg.runtime.managing.manager_parameters import MANAGER_PARAMETERS
from edge_seg.runtime.parameters.parameter_spec import ParameterSpec, validated_values
from edge_seg.runtime.parameters.parameter_table import CAMERA_PARAMETERS, SEGMENTATION_PARAMETERS
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from segmentation_nodes import Start

FILE = Path(__file__).resolve().parents[2] / 'config' / 'segment.yaml'
VIEW = scene()
Table = tuple[ParameterSpec, ...]


@contextmanager
def node_with(file: Path, name: str) -> Iterator[Node]:
    """Make a node that was given a parameter file on its command line."""
    context = Context()
    rclpy.init(args=['--ros-args', '--params-file', str(file)], context=context)
    node = rclpy.create_node(name, context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def declared(node: Node, table: Table) -> NodeParameters:
    """Declare a table as the nodes do."""
    return NodeParameters(
        node, table, configured=lambda: False, review=lambda _: None, apply=lambda _: None
    )


@pytest.mark.parametrize(
    ('name', 'table'),
    [
        ('segmentation', SEGMENTATION_PARAMETERS),
        ('camera', CAMERA_PARAMETERS),
        ('lifecycle_manager', MANAGER_PARAMETERS),
    ],
)
def test_the_packaged_file_gives_a_node_its_defaults(name: str, table: Table) -> None:
    with node_with(FILE, name) as node:
        values = validated_values(table, declared(node, table).values())

    assert values == {spec.name: spec.default for spec in table}


def test_an_empty_list_is_an_empty_list_of_texts(tmp_path: Path) -> None:
    file = tmp_path / 'params.yaml'
    file.write_text('/**:\n  ros__parameters:\n    cameras: []\n    rollout_nodes: []\n')

    with node_with(file, 'any') as node:
        parameters = declared(node, (*SEGMENTATION_PARAMETERS, *MANAGER_PARAMETERS))
        # The default of the second is not empty, the file's value is what counts.
        assert parameters.values()['cameras'] == parameters.values()['rollout_nodes'] == []
        for each in ('cameras', 'rollout_nodes', 'trusted_keys'):
            assert node.get_parameter(each).type_ == Parameter.Type.STRING_ARRAY


@pytest.mark.parametrize('text', ["''", '0', 'false', '[1]', 'front'])
def test_what_is_no_list_of_texts_is_not_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'params.yaml'
    file.write_text(f'/**:\n  ros__parameters:\n    cameras: {text}\n')

    with node_with(file, 'any') as node:
        values = declared(node, SEGMENTATION_PARAMETERS).values()

    with pytest.raises(SettingsInvalid, match='parameter cameras is '):
        validated_values(SEGMENTATION_PARAMETERS, values)


def test_a_node_starts_with_the_packaged_file_as_it_stands(
    start_node: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('EDGE_SEG_STORE', str(tmp_path / 'no store'))
    names = ('model', 'model_store', 'backend', 'cache_dir', 'precision', 'threads')
    others = ('warmup_runs', 'max_age_s', 'diagnostics_period_s')
    _, operator = start_node(file=FILE, **dict.fromkeys((*names, *others)))

    operator.start()

    assert operator.get('model').startswith('floor@')
    assert operator.get('cameras') == []
    masks = operator.listen('mask')
    assert pixels_of(operator.camera().ask(rgb8(VIEW), masks)).shape == VIEW.labels.shape


def test_one_empty_list_is_enough_for_one_camera(start_node: Start) -> None:
    _, operator = start_node(cameras=[])

    operator.start()

    masks = operator.listen('mask')
    mask = pixels_of(operator.camera().ask(rgb8(VIEW), masks))
    np.testing.assert_array_equal(mask, VIEW.labels)
