"""Frame statistics: counts, rates, percentiles, and that nothing grows."""

import math
import threading
import time
import tracemalloc

from edge_seg.errors import DropReason
from edge_seg.runtime.frames.stats import (
    DropCount,
    ERROR_TEXT_LIMIT,
    FrameStatistics,
    LastError,
    SAMPLES_KEPT,
    Stage,
    StageLatency,
    StatisticsSnapshot,
)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

T0_S = 5000.0


def latency(snapshot: StatisticsSnapshot, stage: Stage) -> StageLatency:
    found = snapshot.latency(stage)
    assert found is not None
    return found


def test_nothing_counted_yet_is_an_empty_snapshot() -> None:
    assert FrameStatistics().snapshot(T0_S) == StatisticsSnapshot()


def test_frames_masks_and_drops_are_counted_by_reason() -> None:
    statistics = FrameStatistics()
    for index in range(5):
        statistics.frame_in(T0_S + index)
    statistics.mask_out(T0_S + 1)
    statistics.frame_dropped(DropReason.STALE, T0_S + 2)
    statistics.frame_dropped(DropReason.STALE, T0_S + 3)
    statistics.frame_dropped(DropReason.WRONG_STEP, T0_S + 4)

    snapshot = statistics.snapshot(T0_S + 4)

    assert (snapshot.frames_in, snapshot.masks_out) == (5, 1)
    assert snapshot.drops == (
        DropCount(DropReason.WRONG_STEP, total=1, recent=1),
        DropCount(DropReason.STALE, total=2, recent=2),
    )


@pytest.mark.parametrize('rate_hz', [0.7, 5.0, 29.97, 60.0, 400.0])
@pytest.mark.parametrize('duration_s', [4.0, 60.0])
def test_the_rate_is_that_of_the_stream(rate_hz: float, duration_s: float) -> None:
    statistics = FrameStatistics(rate_window_s=5.0)
    for index in range(int(rate_hz * duration_s)):
        statistics.frame_in(T0_S + index / rate_hz)

    snapshot = statistics.snapshot(T0_S + int(rate_hz * duration_s) / rate_hz)

    assert snapshot.rate_in_hz == pytest.approx(rate_hz, rel=1e-6)
    assert snapshot.rate_out_hz == 0.0


def test_the_rate_fades_to_zero_when_the_stream_stops() -> None:
    statistics = FrameStatistics(rate_window_s=5.0)
    for index in range(300):
        statistics.mask_out(T0_S + index / 30.0)
    end_s = T0_S + 10.0

    rates = [statistics.snapshot(end_s + ago_s).rate_out_hz for ago_s in (0.0, 0.5, 1, 2, 4, 5.1)]

    assert rates[0] == pytest.approx(30.0)
    assert rates == sorted(rates, reverse=True)
    assert 10.0 < rates[3] < 25.0
    assert rates[-1] == 0.0


def test_recent_counts_forget_what_is_older_than_the_window() -> None:
    statistics = FrameStatistics(rate_window_s=2.0)
    statistics.frame_in(T0_S)
    statistics.frame_in(T0_S + 3.0)
    statistics.frame_dropped(DropReason.STALE, T0_S)
    statistics.frames_lost(4, T0_S)
    statistics.frames_lost(2, T0_S + 3.0)

    snapshot = statistics.snapshot(T0_S + 4.0)

    assert (snapshot.frames_in, snapshot.recent_in) == (2, 1)
    assert snapshot.drops == (DropCount(DropReason.STALE, total=1, recent=0),)
    assert (snapshot.lost_total, snapshot.lost_recent) == (6, 2)


def test_silence_is_measured_from_the_last_frame_and_the_last_mask() -> None:
    statistics = FrameStatistics()
    statistics.frame_in(T0_S)
    statistics.mask_out(T0_S + 1.0)

    snapshot = statistics.snapshot(T0_S + 4.0)

    assert (snapshot.last_frame_ago_s, snapshot.last_mask_ago_s) == (4.0, 3.0)


@given(st.lists(st.floats(-1.0, 10.0), min_size=1, max_size=2 * SAMPLES_KEPT))
def test_percentiles_are_those_of_the_newest_samples(durations_s: list[float]) -> None:
    statistics = FrameStatistics()
    for duration_s in durations_s:
        statistics.mask_out(T0_S, [(Stage.INFER, duration_s)])

    entry = latency(statistics.snapshot(T0_S), Stage.INFER)

    newest_s = durations_s[-SAMPLES_KEPT:]
    expected_s = np.percentile(newest_s, [50, 95, 99], method='inverted_cdf')
    assert entry.samples == len(newest_s)
    assert [entry.p50_s, entry.p95_s, entry.p99_s] == pytest.approx(expected_s.tolist())


def test_stages_are_kept_apart_and_listed_in_the_order_of_the_frames_way() -> None:
    statistics = FrameStatistics()
    statistics.mask_out(T0_S, [(Stage.TOTAL, 0.03), (Stage.DECODE, 0.001), (Stage.INFER, 0.02)])

    snapshot = statistics.snapshot(T0_S)

    assert [entry.stage for entry in snapshot.latencies] == [
        Stage.DECODE,
        Stage.INFER,
        Stage.TOTAL,
    ]
    assert latency(snapshot, Stage.INFER).p99_s == 0.02


def test_durations_that_are_not_finite_are_left_out() -> None:
    statistics = FrameStatistics()
    statistics.mask_out(T0_S, [(Stage.AGE, math.nan), (Stage.AGE, math.inf)])

    assert statistics.snapshot(T0_S).latencies == ()


def test_the_way_of_a_frame_counts_whether_or_not_it_gets_a_mask() -> None:
    statistics = FrameStatistics()
    statistics.frame_taken(0.0015, 0.0003)
    statistics.frame_taken(math.nan, 0.0004)  # a middleware that does not stamp

    snapshot = statistics.snapshot(T0_S)

    assert latency(snapshot, Stage.TRANSPORT).samples == 1
    assert latency(snapshot, Stage.TAKE).p99_s == 0.0004
    assert snapshot.latency(Stage.AGE) is None


def test_the_way_of_frames_is_forgotten_alone() -> None:
    statistics = FrameStatistics()
    statistics.frame_taken(0.0015, 0.0003)
    statistics.mask_out(T0_S, [(Stage.INFER, 0.01)])

    statistics.forget_way()

    assert [each.stage for each in statistics.snapshot(T0_S).latencies] == [Stage.INFER]
    statistics.frame_taken(0.02, 0.0004)
    assert latency(statistics.snapshot(T0_S), Stage.TRANSPORT).p50_s == 0.02


def test_inference_errors_in_a_row_end_with_a_mask() -> None:
    statistics = FrameStatistics()
    statistics.frame_dropped(DropReason.INFERENCE_ERROR, T0_S)
    statistics.frame_dropped(DropReason.SUPERSEDED, T0_S)
    statistics.frame_dropped(DropReason.INFERENCE_ERROR, T0_S)
    assert statistics.snapshot(T0_S).errors_in_a_row == 2

    statistics.mask_out(T0_S)
    assert statistics.snapshot(T0_S).errors_in_a_row == 0


def test_the_newest_error_is_kept_with_its_age_and_bounded() -> None:
    statistics = FrameStatistics()
    statistics.frame_dropped(DropReason.WRONG_STEP, T0_S, error='first')
    statistics.frame_dropped(DropReason.UNDECODABLE, T0_S + 1.0, error='second' + 'x' * 10_000)
    statistics.frame_dropped(DropReason.SUPERSEDED, T0_S + 2.0)

    error = statistics.snapshot(T0_S + 3.0).last_error

    assert error is not None
    assert error.text.startswith('second')
    assert len(error.text) == ERROR_TEXT_LIMIT
    assert error.ago_s == 2.0


def test_each_reason_keeps_its_own_newest_error() -> None:
    statistics = FrameStatistics()
    statistics.frame_dropped(DropReason.ABSURD_SIZE, T0_S, error='70000x2')
    statistics.frame_dropped(DropReason.ABSURD_SIZE, T0_S + 1.0, error='80000x2')
    statistics.frame_dropped(DropReason.WRONG_STEP, T0_S + 2.0, error='step of 640')
    statistics.frame_dropped(DropReason.STALE, T0_S + 3.0)

    drops = statistics.snapshot(T0_S + 3.0).drops

    assert {drop.reason: drop.error for drop in drops} == {
        DropReason.STALE: None,
        DropReason.ABSURD_SIZE: LastError('80000x2', 2.0),
        DropReason.WRONG_STEP: LastError('step of 640', 1.0),
    }


def test_a_reset_forgets_everything() -> None:
    statistics = FrameStatistics()
    statistics.frame_in(T0_S)
    statistics.frame_dropped(DropReason.INFERENCE_ERROR, T0_S)
    statistics.frames_lost(1, T0_S)
    statistics.mask_out(T0_S, [(Stage.INFER, 0.1)])
    statistics.frame_dropped(DropReason.UNDECODABLE, T0_S, error='x')
    statistics.reset()

    assert statistics.snapshot(T0_S) == StatisticsSnapshot()


def feed(statistics: FrameStatistics, first: int, count: int) -> None:
    for index in range(first, first + count):
        now_s = T0_S + index / 30.0
        statistics.frame_in(now_s)
        statistics.mask_out(now_s, [(stage, 0.001) for stage in Stage])
        statistics.frames_lost(3, now_s)
        for reason in DropReason:
            statistics.frame_dropped(reason, now_s, error=f'error {index}')


def test_memory_does_not_grow_once_the_windows_are_full() -> None:
    statistics = FrameStatistics()
    feed(statistics, 0, 2 * SAMPLES_KEPT)
    tracemalloc.start()
    try:
        feed(statistics, 2 * SAMPLES_KEPT, SAMPLES_KEPT)
        before = tracemalloc.get_traced_memory()[0]
        feed(statistics, 3 * SAMPLES_KEPT, 4 * SAMPLES_KEPT)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 2048


def test_counts_from_several_threads_all_arrive() -> None:
    statistics = FrameStatistics()

    def count() -> None:
        for index in range(2000):
            statistics.frame_in(float(index))
            statistics.mask_out(float(index), [(Stage.INFER, 0.001)])
            statistics.frame_dropped(DropReason.STALE, float(index))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)

    snapshot = statistics.snapshot(2000.0)
    assert (snapshot.frames_in, snapshot.masks_out) == (8000, 8000)
    assert [drop.total for drop in snapshot.drops] == [8000]


@pytest.mark.bench
def test_a_frame_costs_less_than_ten_microseconds() -> None:
    statistics = FrameStatistics()
    timings = [(stage, 0.001) for stage in Stage]
    best_s = float('inf')
    for _ in range(20):
        begin_s = time.perf_counter()
        for _ in range(500):
            statistics.frame_in(T0_S)
            statistics.mask_out(T0_S, timings)
        best_s = min(best_s, (time.perf_counter() - begin_s) / 500)

    assert best_s < 10e-6
