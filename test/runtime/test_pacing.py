"""The camera's pace, on a clock that the test sets."""

import itertools

from edge_seg.runtime.frames.pacing import FramePacer
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

HOURS_S = 4 * 3600.0


def run(pacer, work_s, begin_s=0.0):
    """Let a publisher work as long as each entry says before each frame; give the moments."""
    now_s = begin_s
    pacer.restart(now_s)
    moments = []
    for work in work_s:
        now_s = max(now_s + work, pacer.claim(now_s + work))
        moments.append(now_s)
    return moments


def test_the_pace_does_not_drift_in_hours():
    pacer = FramePacer(30.0)
    moments = run(pacer, (0.004 for _ in range(int(HOURS_S * 30) + 1)), begin_s=1e6)
    assert moments[-1] == pytest.approx(1e6 + HOURS_S, abs=1e-6)
    assert pacer.skipped == 0


def test_one_slow_frame_is_skipped_and_shifts_nothing():
    pacer = FramePacer(10.0)
    moments = run(pacer, [0.0, 0.01, 0.27, 0.01, 0.01])
    assert moments == pytest.approx([0.0, 0.1, 0.4, 0.5, 0.6])
    assert pacer.skipped == 2


def test_a_little_late_goes_out_at_once_and_the_next_is_on_time():
    pacer = FramePacer(10.0)
    assert run(pacer, [0.0, 0.13, 0.01]) == pytest.approx([0.0, 0.13, 0.2])
    assert pacer.skipped == 0


@given(
    rate_hz=st.floats(0.5, 200.0),
    work=st.lists(st.floats(0.0, 3.0), min_size=2, max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_frames_are_never_bunched_and_every_slot_is_accounted_for(rate_hz, work):
    pacer = FramePacer(rate_hz)
    period_s = 1.0 / rate_hz
    moments = run(pacer, [share * period_s for share in work])
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert min(gaps) >= 0.5 * period_s - 1e-9
    slots = round(pacer.due_s * rate_hz)
    assert slots == len(moments) + pacer.skipped
    assert -1e-9 <= moments[-1] - (pacer.due_s - period_s) <= 0.5 * period_s + 1e-9


def test_after_a_pause_nothing_counts_as_late():
    pacer = FramePacer(10.0)
    run(pacer, [0.0, 0.01])
    pacer.restart(60.0)
    assert pacer.claim(60.02) == pytest.approx(60.0)
    assert pacer.claim(60.03) == pytest.approx(60.1)
    assert pacer.skipped == 0


@pytest.mark.parametrize(('device_hz', 'wanted_hz', 'kept'), [(30, 30, 90), (60, 20, 60)])
def test_a_live_device_is_thinned_to_the_rate(device_hz, wanted_hz, kept):
    pacer = FramePacer(wanted_hz)
    pacer.restart(0.0)
    jitter_s = (0.0, 0.003, -0.004)
    arrivals = [index / device_hz + jitter_s[index % 3] for index in range(3 * device_hz)]
    accepted = sum(pacer.accepts(arrival) for arrival in arrivals)
    assert accepted == pytest.approx(kept, abs=1)


def test_a_slow_device_is_passed_on_whole_and_its_gaps_are_counted():
    pacer = FramePacer(30.0)
    pacer.restart(0.0)
    assert all(pacer.accepts(index / 10.0) for index in range(20))
    assert pacer.skipped == 2 * 19
