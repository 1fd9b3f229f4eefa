"""The judgement of a node: level, message and the reason why there is no mask, case by case."""

from dataclasses import replace
from typing import Any

from edge_seg.backends.base import CompileReport
from edge_seg.errors import DropReason
from edge_seg.runtime.frames.stats import (
    DropCount,
    LastError,
    Stage,
    StageLatency,
    StatisticsSnapshot,
)
from edge_seg.runtime.health.health import assess
from edge_seg.runtime.health.health_inputs import HealthInputs
from edge_seg.runtime.health.judgement import Level
import pytest

FLOWING = StatisticsSnapshot(
    frames_in=600,
    masks_out=590,
    recent_in=150,
    recent_out=149,
    rate_in_hz=30.0,
    rate_out_hz=29.84,
    drops=(DropCount(DropReason.SUPERSEDED, total=10, recent=1),),
    latencies=(
        StageLatency(Stage.INFER, 512, 0.011, 0.0125, 0.015),
        StageLatency(Stage.AGE, 512, 0.017, 0.021, 0.03),
    ),
    last_frame_ago_s=0.02,
    last_mask_ago_s=0.03,
)
SILENT = StatisticsSnapshot()
WELL = HealthInputs(
    state='active',
    topic='/camera/image',
    statistics=FLOWING,
    listening_for_s=20.0,
    publishers=1,
    subscribers=1,
    model='floor@2',
    report=CompileReport('openvino', '2026.4', 'CPU (Some Processor)', 'fp32'),
)


def travelled(
    transport_s: float, *, take_s: float = 0.0005, samples: int = 512
) -> StatisticsSnapshot:
    ways = ((Stage.TRANSPORT, transport_s), (Stage.TAKE, take_s))
    latencies = tuple(StageLatency(stage, samples, way_s, 0.1, 0.2) for stage, way_s in ways)
    return replace(FLOWING, latencies=latencies)


def without_masks(*drops: DropCount) -> StatisticsSnapshot:
    return replace(FLOWING, recent_out=0, last_mask_ago_s=None, drops=drops)


def dropped(reason: DropReason, recent: int, error: str, *, ago_s: float = 0.1) -> DropCount:
    return DropCount(reason, recent, recent, LastError(error, ago_s))


def values(inputs: HealthInputs) -> dict[str, str]:
    return dict(assess(inputs).values)


def test_a_node_at_work_says_rate_model_backend_and_device() -> None:
    health = assess(WELL)

    assert health.level is Level.OK
    assert health.message == 'segmenting at 29.8 Hz with floor@2 on openvino CPU'
    assert values(WELL)['why_no_mask'] == ''


CASES = {
    'finalized': (
        replace(WELL, state='finalized'),
        Level.STALE,
        'shut down',
    ),
    'unconfigured is no error': (
        replace(WELL, state='unconfigured', model='', report=None, statistics=SILENT),
        Level.OK,
        'unconfigured',
    ),
    'configure was refused': (
        replace(WELL, state='unconfigured', model='', load_error='build: no OpenVINO; pip ...'),
        Level.ERROR,
        'not configured: build: no OpenVINO; pip ...',
    ),
    'inactive is no error': (
        replace(WELL, state='inactive', statistics=SILENT),
        Level.OK,
        'inactive',
    ),
    'no model': (
        replace(WELL, model='', load_error='verify: digest differs'),
        Level.ERROR,
        'no model: verify: digest differs',
    ),
    'no model yet': (
        replace(WELL, model='', loading='floor@2'),
        Level.WARN,
        'no model yet: loading floor@2',
    ),
    'inference fails': (
        replace(
            WELL,
            statistics=replace(
                without_masks(
                    dropped(DropReason.WRONG_STEP, 1, 'step of 12', ago_s=0.0),
                    dropped(DropReason.INFERENCE_ERROR, 5, 'out of memory'),
                ),
                errors_in_a_row=5,
            ),
        ),
        Level.ERROR,
        'inference failed 5 times in a row: out of memory',
    ),
    'publisher cannot be heard': (
        replace(WELL, incompatible_publishers=('/cam/driver',), statistics=SILENT),
        Level.ERROR,
        '/cam/driver offers best_effort on /camera/image, reliable is requested; set image_qos',
    ),
    'nothing publishes': (
        replace(WELL, publishers=0, statistics=SILENT),
        Level.WARN,
        'nothing publishes on /camera/image; start the camera, or remap',
    ),
    'nobody listens and the camera is off': (
        replace(WELL, publishers=0, subscribers=0, statistics=SILENT),
        Level.OK,
        'idle: nobody subscribes, and nothing publishes on /camera/image',
    ),
    'activation was refused': (
        replace(WELL, state='inactive', refusal='on_activate: no thread', statistics=SILENT),
        Level.ERROR,
        'inactive: on_activate: no thread',
    ),
    'no frames, profile missing, best effort': (
        replace(WELL, statistics=SILENT, reliability='best_effort'),
        Level.WARN,
        (
            'no frame on /camera/image for 20.0 s; see whether the camera works (best-effort '
            'frames above 512 KiB get lost with default settings), or start camera and '
        ),
    ),
    'no frames, profile here, best effort': (
        replace(WELL, statistics=SILENT, reliability='best_effort', segment_bytes=64 << 20),
        Level.WARN,
        (
            'no frame on /camera/image for 20.0 s; see whether the camera works (best-effort '
            'frames above 512 KiB get lost with default settings), or start the camera, too, with '
            'the Fast DDS profile'
        ),
    ),
    'no frames, profile missing, reliable': (
        replace(WELL, statistics=SILENT),
        Level.WARN,
        'no frame on /camera/image for 20.0 s; see whether the camera works, or start camera',
    ),
    'frames stopped': (
        replace(WELL, statistics=replace(FLOWING, last_frame_ago_s=2.5), segment_bytes=64 << 20),
        Level.WARN,
        'no frame on /camera/image for 2.5 s; see whether the camera works',
    ),
    'every frame stale': (
        replace(WELL, statistics=without_masks(DropCount(DropReason.STALE, 150, 150))),
        Level.WARN,
        'every frame is stale: its stamp is more than 1 s old here; synchronise the clocks',
    ),
    'every frame stale in simulation': (
        replace(
            WELL,
            use_sim_time=True,
            statistics=without_masks(DropCount(DropReason.STALE, 150, 150)),
        ),
        Level.WARN,
        'every frame is stale: its stamp is more than 1 s old here; use_sim_time is true',
    ),
    'every frame unusable': (
        replace(
            WELL,
            statistics=without_masks(
                dropped(DropReason.UNSUPPORTED_ENCODING, 149, "encoding '8UC7'"),
                dropped(DropReason.ABSURD_SIZE, 3, '70000x2', ago_s=0.0),
                DropCount(DropReason.SUPERSEDED, 900, 1),
            ),
        ),
        Level.WARN,
        "every frame is dropped: unsupported_encoding: encoding '8UC7'",
    ),
    'every frame superseded': (
        replace(
            WELL,
            statistics=replace(
                without_masks(DropCount(DropReason.SUPERSEDED, 150, 150)), last_mask_ago_s=7.0
            ),
        ),
        Level.WARN,
        'no mask for 7.0 s while frames arrive: the inference hangs',
    ),
    'a pace of less than one mask in a window': (
        replace(WELL, statistics=without_masks(DropCount(DropReason.OVER_RATE, 900, 150))),
        Level.OK,
        'waiting for the next mask',
    ),
    'nobody listens': (
        replace(WELL, subscribers=0, statistics=without_masks()),
        Level.OK,
        'idle: nobody subscribes',
    ),
    'active a moment ago': (
        replace(WELL, listening_for_s=0.5, statistics=SILENT),
        Level.OK,
        'waiting for the first frame',
    ),
    'somebody listens again after an hour': (
        replace(
            WELL, listening_for_s=0.1, statistics=replace(without_masks(), last_frame_ago_s=3600.0)
        ),
        Level.OK,
        'waiting for the next mask',
    ),
    'first frame under way': (
        replace(WELL, listening_for_s=0.5, statistics=replace(without_masks(), masks_out=0)),
        Level.OK,
        'waiting for the first mask',
    ),
}


@pytest.mark.parametrize(('inputs', 'level', 'message'), CASES.values(), ids=CASES.keys())
def test_without_masks_the_reason_is_given(
    inputs: HealthInputs, level: Level, message: str
) -> None:
    health = assess(inputs)

    assert health.level is level
    assert health.message.startswith(message)
    assert dict(health.values)['why_no_mask']


def test_the_transport_that_is_published_is_named() -> None:
    silent = replace(WELL, publishers=0, statistics=SILENT, twin='/other')

    assert assess(silent).message.endswith('/other is there: set image_transport to compressed')
    compressed = replace(silent, transport='compressed')
    assert assess(compressed).message.endswith('/other is there: set image_transport to raw')


SPOILED = {
    'one of two publishers cannot be heard': (
        replace(WELL, publishers=2, incompatible_publishers=('/cam/driver',)),
        '/cam/driver offers best_effort',
    ),
    'a candidate was refused': (
        replace(WELL, load_error='check: 3 outputs'),
        'floor@2 serves on, a model was refused: check: 3 outputs',
    ),
    'frames get lost': (
        replace(WELL, statistics=replace(FLOWING, recent_in=20, lost_recent=130)),
        '130 of 150 frames on /camera/image lost in transport; start camera',
    ),
    'frames get lost in spite of the profile': (
        replace(
            WELL,
            segment_bytes=64 << 20,
            statistics=replace(FLOWING, recent_in=100, lost_recent=50),
        ),
        '50 of 150 frames on /camera/image lost in transport; start the camera, too, ',
    ),
    'some frames are bad': (
        replace(
            WELL,
            statistics=replace(
                FLOWING,
                drops=(
                    dropped(DropReason.TRUNCATED_DATA, 3, '12 bytes', ago_s=1.0),
                    dropped(DropReason.WRONG_STEP, 1, 'step of 640', ago_s=0.5),
                ),
            ),
        ),
        'frames are dropped: 3 truncated_data: 12 bytes; 1 wrong_step: step of 640',
    ),
    'inference fails now and then': (
        replace(
            WELL,
            statistics=replace(
                FLOWING, drops=(dropped(DropReason.INFERENCE_ERROR, 2, 'device lost'),)
            ),
        ),
        'inference fails at times: device lost',
    ),
    'frames larger than the shared memory': (
        replace(WELL, frame_bytes=640 * 480 * 3, profile_variable='FASTRTPS_NAME'),
        (
            'frames of 900 KiB on /camera/image come in fragments, which is slow: the shared '
            'memory for them has 512 KiB; start camera and segmentation with the Fast DDS profile '
            'of this package (FASTRTPS_NAME='
        ),
    ),
    'frames larger than the shared memory of a profile': (
        replace(WELL, frame_bytes=2 << 20, segment_bytes=1 << 20),
        (
            'frames of 2048 KiB on /camera/image come in fragments, which is slow: the shared '
            'memory for them has 1024 KiB; raise segment_size'
        ),
    ),
    'frames where there is no shared memory': (
        replace(WELL, frame_bytes=320 * 240 * 3, segment_bytes=0),
        (
            'frames of 225 KiB on /camera/image come in fragments, which is slow: no shared '
            'memory is set up for them; start camera and segmentation with the Fast DDS profile'
        ),
    ),
    'masks larger than the shared memory': (
        replace(WELL, frame_bytes=90 << 10, output_bytes=6 << 20),
        (
            'masks or pictures of 6144 KiB go out in fragments, which is slow: the shared memory '
            'for them has 512 KiB; start camera and segmentation with the Fast DDS profile'
        ),
    ),
    'the camera has no shared memory for its frames': (
        replace(
            WELL,
            frame_bytes=640 * 480 * 3,
            segment_bytes=64 << 20,
            statistics=travelled(0.0114),
        ),
        (
            'frames of 900 KiB on /camera/image take 11 ms to come here, as they do in fragments '
            'or where no core is free; start the camera, too, with the Fast DDS profile of this '
            'package (FASTDDS_DEFAULT_'
        ),
    ),
    'the processor is too hot': (
        replace(WELL, heat='cpu has 97 °C, throttles at 95 °C'),
        'rate lowered by thermal_rate_hz: cpu has 97 °C',
    ),
    'stamps in the future': (
        replace(
            WELL,
            statistics=replace(FLOWING, latencies=(StageLatency(Stage.AGE, 9, -3.0, -2.9, -2.8),)),
        ),
        'frames are stamped 3.00 s in the future',
    ),
}


@pytest.mark.parametrize(('inputs', 'message'), SPOILED.values(), ids=SPOILED.keys())
def test_what_spoils_the_masks_is_a_warning_and_no_reason_for_their_absence(
    inputs: HealthInputs, message: str
) -> None:
    health = assess(inputs)

    assert health.level is Level.WARN
    assert health.message.startswith(message)
    assert dict(health.values)['why_no_mask'] == ''


@pytest.mark.parametrize(
    'statistics',
    [
        travelled(0.0069),
        travelled(0.024, take_s=0.01),
        travelled(0.04, samples=9),
        travelled(3.0),
        travelled(-3.0),
        FLOWING,
    ],
    ids=[
        'some milliseconds',
        'a slow machine',
        'only a few',
        'a clock behind',
        'a clock ahead',
        'the middleware tells no times',
    ],
)
def test_frames_that_come_as_fast_as_shared_memory_lets_them_are_fine(
    statistics: StatisticsSnapshot,
) -> None:
    inputs = replace(WELL, frame_bytes=6 << 20, segment_bytes=64 << 20, statistics=statistics)
    assert assess(inputs).level is Level.OK


@pytest.mark.parametrize(
    'change',
    [{'segment_bytes': None}, {'transport': 'compressed'}],
    ids=['another middleware', 'a JPEG'],
)
def test_where_the_profile_would_not_help_nothing_is_said_of_it(change: dict[str, Any]) -> None:
    late = replace(WELL, frame_bytes=6 << 20, segment_bytes=64 << 20, statistics=travelled(0.02))
    assert assess(late).level is Level.WARN
    assert assess(replace(late, **change)).level is Level.OK


def test_losses_of_another_middleware_are_not_blamed_on_the_profile() -> None:
    lossy = replace(FLOWING, recent_in=100, lost_recent=50)
    message = assess(replace(WELL, segment_bytes=None, statistics=lossy)).message
    assert message.endswith('lost in transport; publish smaller or fewer frames')
    silent = replace(WELL, segment_bytes=None, statistics=SILENT, reliability='best_effort')
    assert assess(silent).message.endswith('see whether the camera works')


def test_a_small_image_that_comes_late_has_no_slow_path() -> None:
    inputs = replace(WELL, frame_bytes=60_000, statistics=travelled(0.2))
    assert assess(inputs).level is Level.OK


def test_a_frame_that_fits_one_datagram_needs_no_shared_memory() -> None:
    health = assess(replace(WELL, frame_bytes=160 * 120 * 3, segment_bytes=0))
    assert health.level is Level.OK


FINE = {
    'superseded frames': FLOWING,
    'bad frames long ago': replace(
        FLOWING, drops=(DropCount(DropReason.WRONG_STEP, total=3, recent=0),)
    ),
    'a little loss': replace(FLOWING, lost_recent=10, lost_total=10),
    'stamps a little ahead': replace(
        FLOWING, latencies=(StageLatency(Stage.AGE, 9, -0.02, 0.0, 0.01),)
    ),
    'too few inference errors to mind': replace(FLOWING, errors_in_a_row=4),
}


@pytest.mark.parametrize('segment_bytes', [64 << 20, None])
def test_large_frames_are_fine_where_the_middleware_is_prepared(segment_bytes: int | None) -> None:
    health = assess(replace(WELL, frame_bytes=6 << 20, segment_bytes=segment_bytes))
    assert health.level is Level.OK


@pytest.mark.parametrize('statistics', FINE.values(), ids=FINE.keys())
def test_what_is_no_trouble_is_ok(statistics: StatisticsSnapshot) -> None:
    assert assess(replace(WELL, statistics=statistics)).level is Level.OK


def test_a_refused_candidate_is_seen_even_when_nobody_listens() -> None:
    health = assess(
        replace(WELL, subscribers=0, load_error='warm: NaN', statistics=without_masks())
    )

    assert health.level is Level.WARN
    assert 'warm: NaN' in health.message


def test_frames_are_not_missed_while_nobody_listens() -> None:
    assert assess(replace(WELL, subscribers=0, statistics=SILENT)).level is Level.OK


def test_without_lazy_nobody_listening_is_not_idle() -> None:
    health = assess(replace(WELL, lazy=False, subscribers=0, statistics=SILENT))

    assert health.level is Level.WARN
    assert health.message.startswith('no frame on')


def test_an_old_error_is_not_named_as_the_cause() -> None:
    statistics = without_masks(dropped(DropReason.UNDECODABLE, 9, 'x', ago_s=60.0))

    health = assess(replace(WELL, statistics=statistics))

    assert health.message == 'every frame is dropped: undecodable'


def test_losses_are_named_when_no_frame_arrives() -> None:
    health = assess(
        replace(WELL, statistics=replace(SILENT, lost_recent=60), reliability='best_effort')
    )

    assert '60 lost in transport' in health.message
    assert 'fastdds_camera.xml' in health.message


def test_the_values_hold_state_model_rates_drops_latencies_and_errors() -> None:
    inputs = replace(
        WELL,
        loading='floor@3',
        load_error='check: 3 outputs',
        statistics=replace(FLOWING, last_error=LastError('12 bytes', 7.4), lost_total=4),
    )

    found = values(inputs)

    assert found == {
        'state': 'active',
        'model': 'floor@2',
        'loading': 'floor@3',
        'backend': 'openvino',
        'backend_version': '2026.4',
        'device': 'CPU (Some Processor)',
        'precision': 'fp32',
        'topic': '/camera/image',
        'publishers': '1',
        'reliability': 'reliable',
        'subscribers': '1',
        'heat': '',
        'rate_in_hz': '30.0',
        'rate_out_hz': '29.8',
        'frames_in': '600',
        'masks_out': '590',
        'lost_in_transport': '4',
        'drops.superseded': '10',
        'infer_ms.p50': '11.00',
        'infer_ms.p95': '12.50',
        'infer_ms.p99': '15.00',
        'age_ms.p50': '17.00',
        'age_ms.p95': '21.00',
        'age_ms.p99': '30.00',
        'load_error': 'check: 3 outputs',
        'last_error': '12 bytes (7 s ago)',
        'why_no_mask': '',
    }


@pytest.mark.parametrize('inputs', [case[0] for case in CASES.values()], ids=CASES.keys())
def test_keys_are_unique_in_every_case(inputs: HealthInputs) -> None:
    keys = [key for key, _ in assess(inputs).values]

    assert len(keys) == len(set(keys))


def test_the_levels_are_those_of_diagnostic_msgs() -> None:
    assert [(level.name, level.value) for level in Level] == [
        ('OK', 0),
        ('WARN', 1),
        ('ERROR', 2),
        ('STALE', 3),
    ]
