"""Which frames the running node answers: only those somebody wants, fresh, at the rate asked."""

from collections.abc import Iterator
from pathlib import Path

from camera_frames import pixels_of, rgb8, scene
from edge_seg.models.store import ModelStore
import numpy as np
from operator_node import Camera, Listener, Operator
import pytest
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from segmentation_nodes import segmentation_nodes, Start

VIEW = scene()
FRAME_HZ = 50.0


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> Iterator[Operator]:
    """One node for most tests of this file."""
    with segmentation_nodes(tmp_path_factory.mktemp('flow'), store) as start:
        _, operator = start(frame_timeout_s=0.3)
        assert operator.change('configure')
        yield operator


@pytest.fixture
def operator(shared: Operator) -> Iterator[Operator]:
    """Activate the node for one test, as if it were new."""
    assert shared.change('activate')
    yield shared
    shared.forget()
    shared.change_settings(lazy=True, max_rate_hz=0.0, max_age_s=60.0, use_sim_time=False)
    assert shared.change('deactivate')


def assert_answers(camera: Camera, masks: Listener) -> None:
    np.testing.assert_array_equal(pixels_of(camera.ask(rgb8(VIEW), masks)), VIEW.labels)


def test_no_frame_is_received_while_nobody_listens(operator: Operator) -> None:
    camera = operator.camera()
    with camera.streaming(rgb8(VIEW), FRAME_HZ):
        idle = operator.report(lambda report: report.values['publishers'] == '1', 'the camera')
        assert idle.message == 'idle: nobody subscribes'
        assert idle.count('frames_in') == idle.count('masks_out') == 0
        assert camera.subscribers == 0
        assert idle.level == 0
        assert idle.values['why_no_mask'] == idle.message

        masks = operator.listen('mask')
        masks.next('a mask for the first subscriber')
        operator.report_saying('segmenting')
        masks.close()

        operator.until(lambda: camera.subscribers == 0, 'the end of the subscription')
        before, after = operator.next_report(), operator.next_report()
        assert before.message == 'idle: nobody subscribes'
        assert after.count('frames_in') == before.count('frames_in') > 0


def test_a_node_that_is_not_lazy_works_for_nobody(operator: Operator) -> None:
    operator.change_settings(lazy=False)
    with operator.camera().streaming(rgb8(VIEW), FRAME_HZ):
        report = operator.report(lambda report: report.count('masks_out') > 3, 'masks')
        assert report.values['subscribers'] == '0'
        operator.change_settings(lazy=True)
        operator.report_saying('idle')


def test_the_rate_is_limited_while_the_node_runs(operator: Operator) -> None:
    camera, masks = operator.camera(), operator.listen('mask')
    operator.change_settings(max_rate_hz=5)
    with camera.streaming(rgb8(VIEW), FRAME_HZ):
        slow = operator.report(
            lambda report: report.count('drops.over_rate') >= 50, 'frames over the rate'
        )
        assert slow.level == 0
        assert 1 <= slow.count('masks_out') <= 0.3 * slow.count('frames_in')
        operator.change_settings(max_rate_hz=0.0)
        limited = operator.next_report()
        fast = operator.report(
            lambda report: report.count('masks_out') > limited.count('masks_out') + 20,
            'masks without a limit',
        )
        assert fast.count('drops.over_rate') == limited.count('drops.over_rate')
    assert masks.messages


def test_the_way_of_frames_is_measured_anew_for_another_camera(operator: Operator) -> None:
    """Or what was said of the old one would stand for hundreds of frames of the new one."""
    camera, masks = operator.camera(), operator.listen('mask')
    with camera.streaming(rgb8(VIEW), FRAME_HZ):
        operator.report(lambda report: 'transport_ms.p50' in report.values, 'the way of frames')
        masks.next('a mask')
    camera.close()
    left = operator.report(lambda report: 'transport_ms.p50' not in report.values, 'no way')
    assert left.count('masks_out') > 0, 'all else is kept'

    with operator.camera().streaming(rgb8(VIEW), FRAME_HZ):
        operator.report(lambda report: 'transport_ms.p50' in report.values, 'the way of others')


def test_heat_lowers_the_rate(tmp_path: Path, store: ModelStore) -> None:
    zone = tmp_path / 'thermal' / 'thermal_zone0'
    zone.mkdir(parents=True)
    for name, text in {
        'type': 'cpu',
        'trip_point_0_type': 'passive',
        'trip_point_0_temp': '95000',
        'temp': '97000',
    }.items():
        (zone / name).write_text(text)
    with segmentation_nodes(tmp_path, store) as start:
        _, operator = start(thermal_rate_hz=2.0, thermal_dir=str(zone.parent))
        assert operator.change('configure')
        assert operator.change('activate')
        operator.listen('mask')
        with operator.camera().streaming(rgb8(VIEW), FRAME_HZ):
            hot = operator.report_saying('rate lowered', 'cpu has 97 °C')
            assert hot.level == 1
            operator.report(lambda report: report.count('drops.over_rate') > 20, 'a low rate')
            (zone / 'temp').write_text('60000')
            operator.report_saying('segmenting')


def test_a_machine_that_cannot_tell_its_heat_is_named(tmp_path: Path, store: ModelStore) -> None:
    with segmentation_nodes(tmp_path, store) as start:
        process, operator = start(thermal_rate_hz=2.0, thermal_dir=str(tmp_path))
        assert operator.change('configure')
        assert operator.change('activate')
        operator.until(lambda: 'thermal_rate_hz has no effect' in process.log, 'a warning')


def test_old_frames_are_stale(operator: Operator) -> None:
    camera, masks = operator.settled_camera(), operator.listen('mask')
    frame = rgb8(VIEW)
    old = Time(nanoseconds=operator.node.get_clock().now().nanoseconds - 10_000_000_000).to_msg()
    mask = camera.ask(frame, masks, stamp=old)
    assert mask.header.stamp == old

    operator.change_settings(max_age_s=5)
    before = operator.next_report().count('drops.stale')
    late = camera.publish(frame, stamp=old)
    report = operator.report(lambda report: report.count('drops.stale') > before, 'a stale frame')
    assert report.count('drops.stale') == before + 1
    assert_answers(camera, masks)
    assert not masks.of({late})


def test_a_camera_with_another_clock_is_explained(operator: Operator) -> None:
    operator.listen('mask')
    camera = operator.camera()
    operator.change_settings(max_age_s=1.0)
    frame = rgb8(VIEW)
    timer = operator.node.create_timer(0.05, lambda: camera.publish(frame, stamp=long_ago()))
    report = operator.report_saying('every frame is stale', 'synchronise')
    operator.end_timer(timer)
    assert report.level == 1
    assert report.values['why_no_mask'] == report.message


def long_ago() -> object:
    return Time(seconds=1_000_000).to_msg()


def test_an_unstamped_frame_is_not_stale(operator: Operator) -> None:
    camera, masks = operator.camera(), operator.listen('mask')
    operator.change_settings(max_age_s=5.0)
    mask = camera.ask(rgb8(VIEW), masks, stamp=Time().to_msg())
    assert mask.header.stamp == Time().to_msg()


def test_what_the_frames_are_waiting_for_is_said(operator: Operator) -> None:
    masks = operator.listen('mask')
    topic = operator.full_name('image')
    # Not the end of the 'idle, and nothing publishes' of just before.
    report = operator.report_saying(f'nothing publishes on {topic}; start the camera')
    assert report.level == 1
    assert report.values['why_no_mask'] == report.message

    camera = operator.camera()
    report = operator.report_saying(f'no frame on {topic} for')
    assert report.level == 1
    assert_answers(camera, masks)


def test_names_are_remapped(start_node: Start) -> None:
    _, operator = start_node(remappings={'image': 'front/image_raw', '~/mask': 'front/mask'})
    operator.start()
    camera = operator.camera(topic='front/image_raw')
    masks = operator.listen(operator.full_name('front/mask'))
    assert_answers(camera, masks)
    assert operator.next_report().values['topic'] == operator.full_name('front/image_raw')


class SimulatedClock:
    """Publishes /clock when told to."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._publisher = operator.node.create_publisher(Clock, '/clock', 10)

    def show(self, seconds: int) -> Time:
        """Let it be this time; waits until the node's diagnostics are stamped with it."""
        time = Time(seconds=seconds)

        def shown() -> bool:
            self._publisher.publish(Clock(clock=time.to_msg()))
            return self._operator.diagnostics_stamp == time.to_msg()

        self._operator.until(shown, f'diagnostics stamped {seconds}')
        return time


def test_masks_and_diagnostics_come_whatever_simulated_time_does(operator: Operator) -> None:
    operator.change_settings(use_sim_time=True, max_age_s=1.0)
    camera, masks = operator.settled_camera(), operator.listen('mask')
    assert_answers(camera, masks)  # it has not begun

    clock = SimulatedClock(operator)
    now = clock.show(100)
    stamps = []
    for _ in range(3):
        operator.next_report()
        stamps.append(operator.diagnostics_stamp)
    assert stamps == [now.to_msg()] * 3  # it stands still
    mask = camera.ask(rgb8(VIEW), masks, stamp=now.to_msg())
    assert mask.header.stamp == now.to_msg()

    clock.show(200)
    before = operator.next_report().count('drops.stale')
    camera.publish(rgb8(VIEW), stamp=now.to_msg())
    operator.report(lambda report: report.count('drops.stale') > before, 'a stale frame')

    clock.show(50)  # a bag that plays in a loop
    camera.ask(rgb8(VIEW), masks, stamp=now.to_msg())
