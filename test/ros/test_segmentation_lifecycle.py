"""The running node in every state: what fails says why and leaves it usable, and it ends well."""

from collections.abc import Iterator
import fcntl
from pathlib import Path
import signal
from typing import Any

from camera_frames import pixels_of, rgb8, scene
from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.models.layered import LayeredStore, open_stores
from edge_seg.models.store import ModelStore
from edge_seg.ros import model_flow
from edge_seg.ros.segmentation_node import SegmentationNode
import numpy as np
from operator_node import LATCHED, Operator
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from segmentation_nodes import segmentation_nodes, Start
from segmentation_process import SegmentationProcess

VIEW = scene()
Running = tuple[SegmentationProcess, Operator]


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> Iterator[Running]:
    """One node for most tests of this file."""
    folder = tmp_path_factory.mktemp('lifecycle')
    no_tensorrt = folder / 'python' / 'tensorrt'
    no_tensorrt.mkdir(parents=True)
    (no_tensorrt / '__init__.py').write_text("raise ImportError('no TensorRT for this test')\n")
    environment = {'PYTHONPATH': str(no_tensorrt.parent)}
    with segmentation_nodes(folder, store) as start:
        yield start(environment=environment)


@pytest.fixture
def operator(shared: Running) -> Iterator[Operator]:
    """Give the unconfigured node to one test."""
    _, operator = shared
    yield operator
    operator.forget()
    if operator.state == 'active':
        assert operator.change('deactivate')
    if operator.state == 'inactive':
        assert operator.change('cleanup')
    operator.change_settings(model='colours@1', backend='openvino', device='auto')


def assert_segments(operator: Operator) -> None:
    """See that an active node answers a camera."""
    camera, masks = operator.camera(), operator.listen('mask')
    np.testing.assert_array_equal(pixels_of(camera.ask(rgb8(VIEW), masks)), VIEW.labels)
    camera.close()
    masks.close()


def assert_configure_fails(operator: Operator, *words: str) -> None:
    """See that configure is refused for a reason that the diagnostics give."""
    before = operator.reports_so_far
    assert not operator.change('configure')
    assert operator.state == 'unconfigured'
    report = operator.report_saying('not configured', *words, since=before)
    assert report.level == 2
    assert report.values['why_no_mask'] == report.message
    operator.until(lambda: all(w in operator.log for w in ('on_configure refused', *words)), 'log')


def test_a_new_node_waits_and_is_well(operator: Operator) -> None:
    assert operator.state == 'unconfigured'
    report = operator.next_report()
    assert report.level == 0
    assert 'configured and activated' in report.values['why_no_mask']


def test_an_inactive_node_is_well(operator: Operator) -> None:
    assert operator.change('configure')
    report = operator.report(lambda report: report.values['state'] == 'inactive', 'inactive')
    assert report.level == 0
    assert 'activate it' in report.values['why_no_mask']
    assert report.values['model'] == 'colours@1'


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ({'model': 'nowhere'}, ('resolve', 'nowhere')),
        ({'model': 'colours@99'}, ('resolve', 'colours', '99')),
        ({'model': '/no/such/folder'}, ('resolve', '/no/such/folder')),
        ({'model': 'what a name!'}, ('resolve', 'what a name!', 'name@version')),
        ({'backend': 'tensorrt'}, ("'tensorrt' cannot be used", 'pip install')),
        ({'device': 'GPU.7'}, ('GPU.7', 'CPU')),
        ({'device': 'toaster'}, ('TOASTER', 'CPU')),
    ],
)
def test_a_refused_configure_says_why_and_can_be_repeated(
    operator: Operator, wrong: dict[str, Any], words: tuple[str, ...]
) -> None:
    right = {name: operator.get(name) for name in wrong}
    operator.change_settings(**wrong)
    assert_configure_fails(operator, *words)
    operator.change_settings(**right)
    operator.start()
    assert_segments(operator)


def test_opencv_takes_over_where_nothing_else_is(operator: Operator) -> None:
    operator.change_settings(backend='opencv')
    operator.start()
    assert_segments(operator)
    assert operator.next_report().values['backend'] == 'opencv'


def test_auto_says_what_it_took(operator: Operator) -> None:
    operator.change_settings(backend='auto')
    operator.start()
    assert_segments(operator)
    assert operator.next_report().values['backend'] == 'openvino'


def test_wrong_values_are_refused_when_they_are_set(operator: Operator) -> None:
    for values, words in (
        ({'max_rate_hz': -1.0}, ('max_rate_hz', '-1')),
        ({'max_rate_hz': 'fast'}, ('max_rate_hz', 'fast', 'number')),
        ({'lazy': 'yes'}, ('lazy', 'yes', 'true or false')),
        ({'jpeg_quality': 500}, ('jpeg_quality', '500', '100')),
        ({'backend': 'onnx'}, ('backend', 'tensorrt, openvino, opencv')),
    ):
        result = operator.set(**values)
        assert not result.successful
        assert [word for word in words if word not in result.reason] == []
        name = next(iter(values))
        assert operator.get(name) != values[name]


def test_wrong_values_of_a_parameter_file_are_refused_one_by_one(start_node: Start) -> None:
    _, operator = start_node(max_rate_hz='fast', threads=-1, lazy='yes', image_qos='best')
    for name, right in (
        ('threads', 0),
        ('image_qos', 'auto'),
        ('max_rate_hz', 10),  # a whole number serves for a number
        ('lazy', True),
    ):
        assert_configure_fails(operator, f'parameter {name}')
        operator.change_settings(**{name: right})
    operator.start()
    assert_segments(operator)


def test_activation_can_be_repeated(operator: Operator, shared: Running) -> None:
    process, _ = shared
    assert operator.change('configure', 'activate', 'deactivate')
    threads = process.threads
    for _ in range(5):
        assert operator.change('activate')
        assert_segments(operator)
        assert operator.change('deactivate')
    operator.until(lambda: process.threads <= threads, 'threads to end')


def test_configuration_can_be_repeated(operator: Operator, shared: Running) -> None:
    process, _ = shared
    for _ in range(3):
        operator.start()
        assert_segments(operator)
        assert operator.change('deactivate', 'cleanup')
        report = operator.report(
            lambda report: report.values['state'] == 'unconfigured', 'unconfigured'
        )
        assert report.values['model'] == ''
        assert operator.node.count_publishers(operator.full_name('segmentation/mask')) == 0
    assert 'Traceback' not in process.log


def test_frames_of_an_inactive_node_are_not_answered_later(operator: Operator) -> None:
    operator.start()
    camera, masks = operator.camera(), operator.listen('mask')
    camera.ask(rgb8(VIEW), masks)
    assert operator.change('deactivate')
    missed = camera.publish(rgb8(VIEW))
    assert operator.change('activate')
    camera.ask(rgb8(VIEW), masks)
    assert not masks.of({missed})


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_shutdown_works_from_every_state(start_node: Start, state: str) -> None:
    process, operator = start_node(backend='opencv')
    steps = {'unconfigured': (), 'inactive': ('configure',), 'active': ('configure', 'activate')}
    assert operator.change(*steps[state])
    assert operator.change('shutdown')
    assert operator.state == 'finalized'
    report = operator.report_saying('shut down')
    assert report.level == 3
    assert process.signal(signal.SIGINT) == 0
    assert 'Traceback' not in process.log


def test_two_nodes_work_side_by_side(start_node: Start) -> None:
    _, left = start_node(below='/left')
    _, right = start_node(below='/robot/right', device='toaster')
    assert left.change('configure')
    assert not right.change('configure')
    right.change_settings(device='CPU')
    assert left.change('activate')
    right.start()

    cameras = [left.camera(), right.camera()]
    listeners = [left.listen('mask'), right.listen('mask')]
    mirrored = scene(640, 480)
    for camera, masks, view in zip(cameras, listeners, (VIEW, mirrored), strict=True):
        np.testing.assert_array_equal(pixels_of(camera.ask(rgb8(view), masks)), view.labels)
    assert left.next_report().values['topic'].endswith('/left/image')
    assert right.next_report().values['topic'].endswith('/robot/right/image')
    assert {m.width for m in listeners[0].messages} == {320}
    assert {m.width for m in listeners[1].messages} == {640}


def is_error(line: str) -> bool:
    """Tell errors from what Fast DDS says of ports that other processes have lost."""
    said = any(word in line for word in ('Traceback', 'Error', 'ERROR'))
    return said and 'Failed init_port' not in line


def test_a_signal_ends_a_streaming_node_at_once(start_node: Start) -> None:
    started = {number: start_node() for number in (signal.SIGINT, signal.SIGTERM)}
    for number, (process, operator) in started.items():
        operator.start()
        camera = operator.camera()
        listeners = [operator.listen(topic) for topic in ('mask', 'overlay')]
        camera.ask(rgb8(VIEW), *listeners)
        with camera.streaming(rgb8(VIEW), 100.0):
            listeners[0].next('a mask of the stream')
            assert process.signal(number) == 0, process.log
        assert process.ended_within_s < 3.0
        assert [line for line in process.log.splitlines() if is_error(line)] == []


def test_a_signal_ends_a_node_that_is_loading_its_first_model(
    start_node: Start, tmp_path: Path
) -> None:
    cache = tmp_path / 'cache'
    process, operator = start_node(cache_dir=str(cache))
    assert operator.change('configure', 'cleanup')
    statuses = operator.listen('model_status', DiagnosticStatus, LATCHED)
    statuses.first(lambda status: fields(status)['stage'] == 'none', 'the end of the clean-up')
    next(cache.glob('*.ovbuilt')).unlink()
    with next(cache.glob('*.lock')).open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another node does that builds the same for minutes
        operator.change_later('configure')
        statuses.first(lambda status: fields(status)['stage'] == 'build', 'the build')
        assert process.signal(signal.SIGINT) == 0, process.log
    assert process.ended_within_s < 3.0


def test_a_node_that_is_told_to_end_before_its_load_begins_loads_nothing(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclpy.init(args=['--ros-args', '-p', 'model:=colours@1', '-p', f'model_store:={store.root}'])
    node = SegmentationNode()

    def open_and_be_told(*where: Any, **others: Any) -> LayeredStore:
        node.give_up()
        return open_stores(*where, **others)

    asked_for: list[str] = []
    monkeypatch.setattr(model_flow, 'open_stores', open_and_be_told)
    monkeypatch.setattr(LayeredStore, 'resolve', lambda _, request: asked_for.append(request))
    try:
        assert node.trigger_configure() is TransitionCallbackReturn.FAILURE
    finally:
        node.destroy_node()
        rclpy.shutdown()
    assert asked_for == []


def fields(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def test_a_store_that_is_not_there_is_named(start_node: Start, tmp_path: Path) -> None:
    nowhere = tmp_path / 'nowhere'
    _, operator = start_node(model_store=str(nowhere))
    assert_configure_fails(operator, 'colours', str(nowhere))
