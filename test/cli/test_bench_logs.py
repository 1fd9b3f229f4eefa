"""What benchmarks make of the logs of camera and consumer."""

from pathlib import Path

from edge_seg.cli.bench.cdr import STAMP_END, stamp_head, stamp_of
from edge_seg.cli.bench.log import (
    compare,
    complete,
    EventLog,
    merge,
    read_log,
    TrafficLogs,
    Window,
)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

MS = 1_000_000
PERIOD_NS = 33 * MS


def camera(count: int) -> 'np.ndarray[tuple[int, int], np.dtype[np.int64]]':
    stamps = np.arange(count, dtype=np.int64) * PERIOD_NS
    return np.stack([stamps, stamps], axis=1)


def answered(
    frames: list[int], *, age_ms: int = 10
) -> 'np.ndarray[tuple[int, int], np.dtype[np.int64]]':
    stamps = np.asarray(frames, np.int64).reshape(-1) * PERIOD_NS
    return np.stack([stamps, stamps + age_ms * MS], axis=1)


def test_every_frame_answered_leaves_nothing_unanswered() -> None:
    traffic = compare(camera(30), answered(list(range(30))), Window(0, 30 * PERIOD_NS))

    assert (traffic.frames, traffic.unanswered) == (30, 0)
    assert traffic.age_ms(50) == pytest.approx(10.0)
    assert traffic.longest_gap_ms == pytest.approx(33.0)


@given(st.sets(st.integers(0, 29), max_size=29))
def test_the_unanswered_frames_are_those_without_a_mask(missing: set[int]) -> None:
    masks = answered([index for index in range(30) if index not in missing])

    traffic = compare(camera(30), masks, Window(0, 30 * PERIOD_NS))

    assert traffic.unanswered == len(missing)
    assert traffic.unanswered_share == pytest.approx(len(missing) / 30)


def test_a_gap_that_reaches_into_the_window_counts_whole() -> None:
    masks = answered([0, 1, 2, 8, 9])

    traffic = compare(camera(10), masks, Window(5 * PERIOD_NS, 10 * PERIOD_NS))

    assert traffic.longest_gap_ms == pytest.approx(6 * 33.0)


def test_frames_outside_the_window_do_not_count() -> None:
    traffic = compare(camera(30), answered([]), Window(10 * PERIOD_NS, 15 * PERIOD_NS))

    assert (traffic.frames, traffic.unanswered) == (5, 5)
    assert np.isnan(traffic.age_ms(99))
    assert np.isnan(traffic.longest_gap_ms)


def test_merged_windows_keep_the_longest_gap_and_all_frames() -> None:
    whole = compare(camera(30), answered(list(range(30))), Window(0, 10 * PERIOD_NS))
    holed = compare(camera(30), answered([10, 15, 19]), Window(10 * PERIOD_NS, 20 * PERIOD_NS))

    both = merge([whole, holed])

    assert (both.frames, both.unanswered) == (20, 7)
    assert both.longest_gap_ms == pytest.approx(5 * 33.0)


def test_a_log_cut_short_by_a_kill_is_read_up_to_its_last_whole_event(tmp_path: Path) -> None:
    path = tmp_path / 'camera.times'
    log = EventLog(path)
    log.add(1, 2)
    log.add(3, 4)
    log.close()
    path.write_bytes(path.read_bytes()[:-5])

    assert read_log(path).tolist() == [[1, 2]]


def test_the_first_mask_is_that_of_a_frame_stamped_after_the_moment(tmp_path: Path) -> None:
    consumer = tmp_path / 'consumer.times'
    log = EventLog(consumer)
    log.add(100, 900)  # of a frame from before
    log.add(200, 950)
    log.close()
    logs = TrafficLogs(tmp_path / 'camera.times', consumer)

    assert logs.first_mask_after(150) == 950
    assert logs.first_mask_after(250) is None
    assert logs.masks() == 2


def test_an_answer_is_complete_when_its_last_output_is_there() -> None:
    masks = answered([0, 1, 2, 3])
    overlays = answered([3, 1, 0], age_ms=25)[[0, 1, 2]]

    whole = complete([masks, overlays])

    assert (whole[:, 0] // PERIOD_NS).tolist() == [0, 1, 3]
    assert set((whole[:, 1] - whole[:, 0]) // MS) == {25}


def test_nothing_is_complete_while_one_output_is_missing() -> None:
    assert complete([answered([0, 1]), answered([])]).shape == (0, 2)


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_a_stamp_is_read_back_from_a_serialised_message(seconds: int, nanoseconds: int) -> None:
    stamp_ns = seconds * 1_000_000_000 + nanoseconds

    assert len(stamp_head(stamp_ns)) == STAMP_END
    assert stamp_of(stamp_head(stamp_ns) + b'frame') == stamp_ns


def test_a_stamp_written_ahead_of_a_body_is_that_of_the_message() -> None:
    message = Image(width=4, height=2, encoding='mono8', step=4, data=bytes(range(8)))
    message.header.frame_id = 'camera'
    body = serialize_message(message)[STAMP_END:]

    read = deserialize_message(stamp_head(5_000_000_007) + body, Image)

    assert (read.header.stamp.sec, read.header.stamp.nanosec) == (5, 7)
    assert (read.header.frame_id, read.encoding, bytes(read.data)) == (
        'camera',
        'mono8',
        bytes(range(8)),
    )
    assert stamp_of(serialize_message(read)) == 5_000_000_007
