"""Models changed while the node runs: masks keep flowing, and what was refused says why."""

from collections.abc import Callable, Iterator
import json
from pathlib import Path
from typing import Any

from camera_frames import pixels_of, rgb8, scene
import colour_models
from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.models.store import ModelStore
import numpy as np
from operator_node import LATCHED, Operator, Report, report_of
import pytest
from segmentation_nodes import segmentation_nodes
from sensor_msgs.msg import Image
from std_msgs.msg import String

VIEW = scene()
CLASSES = len(colour_models.NAMES)


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """Give a store of good and bad models."""
    folder = tmp_path_factory.mktemp('models')
    made, sources = ModelStore(folder / 'store'), folder / 'sources'
    colour_models.publish_colours(made, sources, 1)
    colour_models.publish_colours(made, sources, 2, shift=1)
    colour_models.publish_misleading(made, sources)
    colour_models.publish_many_classes(made, sources)
    colour_models.publish_not_a_number(made, sources)
    colour_models.publish_slow(made, sources)
    colour_models.publish_damaged(made, sources)
    return made


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory, models: ModelStore) -> Iterator[Operator]:
    """One node for all tests of this file; forty warm-up runs make slow@1 slow to load."""
    with segmentation_nodes(tmp_path_factory.mktemp('swaps'), models) as start:
        _, operator = start(warmup_runs=40, probation_frames=0)
        yield operator


@pytest.fixture
def inactive(shared: Operator) -> Iterator[Operator]:
    """Give the unconfigured node to one test; colours@1 is what it will load."""
    shared.change_settings(model='colours@1')
    yield shared
    shared.forget()
    if shared.state == 'active':
        assert shared.change('deactivate')
    if shared.state == 'inactive':
        assert shared.change('cleanup')


class Station:
    """An active node with a camera, and listeners to its masks and its model."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.camera = operator.camera()
        self.masks = operator.listen('mask')
        self._statuses = operator.listen('model_status', DiagnosticStatus, LATCHED)
        self.answer()

    def answer(self) -> Any:
        """Give the labels that the node finds now."""
        return pixels_of(self.camera.ask(rgb8(VIEW), self.masks))

    def assert_serves(self, version: int) -> None:
        """See that masks are those of colours@version."""
        np.testing.assert_array_equal(self.answer(), expected(version))
        assert self.operator.get('model') == f'colours@{version}'

    def status(self, accept: Callable[[Report], object], what: str) -> Report:
        """Wait until the newest model status is as wanted."""
        return self.operator.until(
            lambda: next(
                (r for r in map(report_of, self._statuses.messages[-1:]) if accept(r)), None
            ),
            what,
        )

    def stage(self, stage: str, *, requested: str) -> Report:
        """Wait until a request is at a stage."""
        return self.status(
            lambda status: (
                status.values['stage'] == stage and status.values['requested'] == requested
            ),
            f'{requested} at {stage}',
        )


@pytest.fixture
def station(inactive: Operator) -> Station:
    inactive.start()
    return Station(inactive)


def expected(version: int) -> Any:
    """Give the labels that colours@version finds in VIEW."""
    return (VIEW.labels + version - 1) % CLASSES


def version_of(mask: Image) -> int:
    """Tell which version made a mask; fails when it is a mixture."""
    return next(v for v in (1, 2) if np.array_equal(pixels_of(mask), expected(v)))


def test_a_model_is_changed_between_two_frames(station: Station) -> None:
    with station.camera.streaming(rgb8(VIEW), 50.0):
        station.operator.change_settings(model='colours@2')
        status = station.stage('serving', requested='colours@2')
        station.operator.until(
            lambda: version_of(station.masks.messages[-1]) == 2, 'a mask of colours@2'
        )
    versions = [version_of(mask) for mask in station.masks.messages]
    assert versions == sorted(versions)
    assert status.values['model'] == 'colours@2'
    station.assert_serves(2)


def test_the_status_says_since_which_frame_a_model_serves(station: Station) -> None:
    station.operator.change_settings(model='colours@2')
    status = station.stage('serving', requested='colours@2')
    assert status.values['since'] == ''
    stamp = station.camera.ask(rgb8(VIEW), station.masks).header.stamp
    status = station.status(lambda status: status.values['since'], 'its first frame')
    assert status.values['since'] == f'{stamp.sec}.{stamp.nanosec:09d}'


def test_the_labels_are_announced_anew(station: Station) -> None:
    labels = station.operator.listen('labels', String, LATCHED)
    station.operator.change_settings(model='colours@2')
    message = labels.first(
        lambda message: json.loads(message.data)['model'] == 'colours@2', 'labels of colours@2'
    )
    names = [each['name'] for each in json.loads(message.data)['classes']]
    assert names == ['bright', 'dark', 'red', 'green', 'blue']


@pytest.mark.parametrize('request_text', ['colours', 'colours@latest', 'colours@2'])
def test_the_parameter_always_names_what_serves(station: Station, request_text: str) -> None:
    station.operator.change_settings(model=request_text)
    station.status(lambda status: status.values['model'] == 'colours@2', 'colours@2')
    station.operator.until(
        lambda: station.operator.get('model') == 'colours@2', 'the parameter to say so'
    )
    station.assert_serves(2)


def test_a_model_may_be_a_folder(station: Station, models: ModelStore) -> None:
    manifest = models.resolve('colours@2').path
    station.operator.change_settings(model=str(manifest))
    station.status(lambda status: status.values['model'] == 'colours@2', 'colours@2')
    np.testing.assert_array_equal(station.answer(), expected(2))


def test_more_than_255_classes_make_16_bit_masks(station: Station) -> None:
    station.operator.change_settings(model='many@1')
    station.stage('serving', requested='many@1')
    mask = station.camera.ask(rgb8(VIEW), station.masks)
    assert (mask.encoding, mask.step, mask.is_bigendian) == ('mono16', 640, 0)
    np.testing.assert_array_equal(pixels_of(mask), VIEW.labels + np.uint16(295))
    message = station.operator.listen('labels', String, LATCHED).next()
    assert json.loads(message.data)['unlabelled'] == 65535


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ('nowhere', ('resolve', 'nowhere', 'colours')),
        ('colours@7', ('resolve', 'no version 7')),
        ('colours@stable-ish!', ('resolve', 'name@version')),
    ],
)
def test_a_name_without_a_model_is_refused_at_once(
    station: Station, wrong: str, words: tuple[str, ...]
) -> None:
    result = station.operator.set(model=wrong)
    assert not result.successful
    assert [word for word in words if word not in result.reason] == []
    status = station.stage('rejected', requested=wrong)
    assert status.values['last_error'] == result.reason
    station.assert_serves(1)


def test_an_empty_name_is_refused_as_a_value(station: Station) -> None:
    result = station.operator.set(model='')
    assert not result.successful
    assert 'empty' in result.reason
    station.assert_serves(1)
    station.stage('serving', requested='colours@1')


def test_a_half_copied_model_is_refused_at_once(
    station: Station, models: ModelStore, tmp_path: Path
) -> None:
    folder = colour_models.copy_half(models, tmp_path / 'half')
    result = station.operator.set(model=str(folder))
    assert not result.successful
    assert 'network.onnx has 100 bytes' in result.reason
    station.assert_serves(1)


@pytest.mark.parametrize(
    ('wrong', 'stage', 'words'),
    [
        ('damaged@1', 'verify', ('network.onnx has sha256', 'publish the model again')),
        ('nan@1', 'warm', ('NaN', 'precision')),
    ],
)
def test_a_bad_model_is_refused_and_the_old_one_serves_on(
    station: Station, wrong: str, stage: str, words: tuple[str, ...]
) -> None:
    with station.camera.streaming(rgb8(VIEW), 50.0):
        station.operator.change_settings(model=wrong)
        status = station.stage('rejected', requested=wrong)
    assert status.level == 1
    assert status.values['model'] == 'colours@1'
    assert status.values['last_error'].startswith(f'{stage}: ')
    assert [word for word in words if word not in status.values['last_error']] == []
    station.operator.until(
        lambda: station.operator.get('model') == 'colours@1', 'the parameter to be set back'
    )
    report = station.operator.report_saying('colours@1 serves on', stage)
    assert report.level == 1
    station.assert_serves(1)
    assert {version_of(mask) for mask in station.masks.messages} == {1}

    station.operator.change_settings(model='colours@2')
    status = station.stage('serving', requested='colours@2')
    assert status.values['last_error'] == ''
    station.assert_serves(2)


def test_reload_brings_the_newest_version(
    inactive: Operator, models: ModelStore, tmp_path: Path
) -> None:
    colour_models.publish_colours(models, tmp_path, 1, name='growing')
    inactive.change_settings(model='growing')
    inactive.start()
    station = Station(inactive)
    assert inactive.get('model') == 'growing@1'

    colour_models.publish_colours(models, tmp_path, 2, name='growing', shift=1)
    response = inactive.trigger('reload')
    assert (response.success, response.message) == (True, 'serving growing@2')
    assert inactive.get('model') == 'growing@2'
    np.testing.assert_array_equal(station.answer(), expected(2))


def test_reload_of_the_same_model_keeps_masks_coming(station: Station) -> None:
    with station.camera.streaming(rgb8(VIEW), 50.0):
        response = station.operator.trigger('reload')
    assert (response.success, response.message) == (True, 'serving colours@1')
    station.assert_serves(1)
    assert {version_of(mask) for mask in station.masks.messages} == {1}


def test_rollback_brings_the_previous_model_back(station: Station) -> None:
    refused = station.operator.trigger('rollback')
    assert not refused.success
    assert 'no previous model' in refused.message

    station.operator.change_settings(model='colours@2')
    station.stage('serving', requested='colours@2')
    response = station.operator.trigger('rollback')
    assert (response.success, response.message) == (True, 'serving colours@1')
    station.assert_serves(1)
    labels = station.operator.listen('labels', String, LATCHED).next()
    assert json.loads(labels.data)['model'] == 'colours@1'

    response = station.operator.trigger('rollback')
    assert (response.success, response.message) == (True, 'serving colours@2')
    station.assert_serves(2)


@pytest.mark.parametrize('service', ['reload', 'rollback'])
def test_services_of_an_unconfigured_node_refuse(inactive: Operator, service: str) -> None:
    response = inactive.trigger(service)
    assert not response.success
    assert 'configure it first' in response.message


def test_a_request_during_a_load_is_refused(station: Station) -> None:
    station.operator.change_settings(model='slow@1')
    station.stage('warm', requested='slow@1')
    response = station.operator.trigger('reload')
    assert not response.success
    assert "'slow@1' is being loaded" in response.message
    result = station.operator.set(model='colours@2')
    assert not result.successful
    assert "'slow@1' is being loaded" in result.reason
    np.testing.assert_array_equal(station.answer(), expected(1))
    station.stage('serving', requested='slow@1')


def test_a_rollback_gives_a_load_up(station: Station) -> None:
    station.operator.change_settings(model='colours@2')
    station.stage('serving', requested='colours@2')
    station.operator.change_settings(model='slow@1')
    station.stage('warm', requested='slow@1')
    response = station.operator.trigger('rollback')
    assert (response.success, response.message) == (True, 'serving colours@1')
    station.assert_serves(1)
    status = station.stage('rejected', requested='slow@1')
    assert 'loading was cancelled' in status.values['last_error']
    station.assert_serves(1)


def test_a_rollback_gives_a_reload_up(station: Station) -> None:
    station.operator.change_settings(model='slow@1')
    station.stage('serving', requested='slow@1')
    reload = station.operator.trigger_later('reload')
    station.stage('warm', requested='slow@1')
    response = station.operator.trigger('rollback')
    assert (response.success, response.message) == (True, 'serving colours@1')
    refused = reload()
    assert not refused.success
    assert 'loading was cancelled' in refused.message
    station.assert_serves(1)


def test_a_load_outlives_a_deactivation(station: Station) -> None:
    operator = station.operator
    operator.change_settings(model='slow@1')
    station.stage('warm', requested='slow@1')
    assert operator.change('deactivate')
    station.stage('serving', requested='slow@1')
    assert operator.change('activate')
    station.answer()
    assert operator.get('model') == 'slow@1'


def test_a_cleanup_gives_a_load_up(station: Station) -> None:
    operator = station.operator
    operator.change_settings(model='slow@1')
    station.stage('warm', requested='slow@1')
    assert operator.change('deactivate', 'cleanup')
    assert operator.state == 'unconfigured'
    report = operator.report(lambda r: r.values['state'] == 'unconfigured', 'unconfigured')
    assert report.values['model'] == ''
    operator.change_settings(model='colours@2')
    operator.start()
    station.assert_serves(2)


def test_a_shutdown_gives_a_load_up(tmp_path: Path, models: ModelStore) -> None:
    with segmentation_nodes(tmp_path, models) as start:
        process, operator = start(warmup_runs=1000)
        operator.start()
        station = Station(operator)
        operator.change_settings(model='slow@1')
        station.stage('warm', requested='slow@1')
        assert operator.change('shutdown')
        assert operator.state == 'finalized'
        report = operator.report(lambda r: r.values['state'] == 'finalized', 'finalized')
        assert report.values['model'] == ''
        assert 'serving slow@1' not in process.log


def test_the_store_is_followed_from_publication_to_publication(
    tmp_path: Path, models: ModelStore
) -> None:
    sources = tmp_path / 'sources'
    colour_models.publish_colours(models, sources, 1, name='watched')
    with segmentation_nodes(tmp_path, models) as start:
        _, operator = start(model='watched@latest', watch_store_s=0.1, probation_frames=0)
        operator.start()
        station = Station(operator)
        for version in (2, 3):
            colour_models.publish_colours(
                models, sources, version, name='watched', shift=version - 1
            )
            station.status(
                lambda status, name=f'watched@{version}': status.values['model'] == name,
                f'watched@{version}',
            )
            np.testing.assert_array_equal(station.answer(), expected(version))
        response = operator.trigger('rollback')
        assert (response.success, response.message) == (True, 'serving watched@2')
        colour_models.publish_colours(models, sources, 4, name='watched', shift=3)
        station.status(lambda status: status.values['model'] == 'watched@4', 'watched@4')


def test_a_model_that_misleads_is_withdrawn_by_itself(inactive: Operator) -> None:
    inactive.change_settings(probation_frames=5, shadow_every=1)
    inactive.start()
    station = Station(inactive)
    with station.camera.streaming(rgb8(VIEW), 50.0):
        inactive.change_settings(model='misleading@1')
        status = station.stage('rejected', requested='misleading@1')
    assert status.values['model'] == 'colours@1'
    assert status.values['last_error'].startswith('probation: misleading@1')
    inactive.until(lambda: inactive.get('model') == 'colours@1', 'the parameter to be set back')
    station.assert_serves(1)


def test_a_model_that_misleads_is_withdrawn_though_nobody_listens(inactive: Operator) -> None:
    inactive.change_settings(probation_frames=5, probation_s=30.0, shadow_every=1)
    inactive.start()
    statuses = inactive.listen('model_status', DiagnosticStatus, LATCHED)
    camera = inactive.camera()
    with camera.streaming(rgb8(VIEW), 50.0):
        inactive.change_settings(model='misleading@1')
        inactive.until(
            lambda: any(
                (values['stage'], values['requested']) == ('rejected', 'misleading@1')
                for values in (report_of(each).values for each in statuses.messages)
            ),
            'the model to be withdrawn',
        )
        rest = inactive.report(lambda r: r.values['rate_in_hz'] == '0.0', 'rest')
    assert rest.values['model'] == 'colours@1'
