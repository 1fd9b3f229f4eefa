"""The newest-frame mailbox: newest wins, pace, age, and several threads."""

from collections import Counter
from collections.abc import Callable
import threading

from edge_seg.errors import DropReason
from edge_seg.runtime.frames.mailbox import BURST, NewestFrameMailbox
from hypothesis import given
from hypothesis import strategies as st
import pytest

EPOCH_S = 1_700_000_000.0
LONG_S = 30.0
"""Longer than a test may take: reaching it means that a wake-up was lost."""


class Rig:
    """A mailbox with clocks that stand still until they are moved."""

    def __init__(self, *, max_age_s: float = 0.0, max_rate_hz: float = 0.0) -> None:
        self.clock_s = EPOCH_S
        self.monotonic_s = 100.0
        self.drops: Counter[DropReason] = Counter()
        self.mailbox: NewestFrameMailbox[int] = NewestFrameMailbox(
            lambda: self.clock_s,
            on_drop=lambda reason: self.drops.update([reason]),
            max_age_s=max_age_s,
            max_rate_hz=max_rate_hz,
            monotonic=lambda: self.monotonic_s,
        )

    def advance(self, seconds: float) -> None:
        self.clock_s += seconds
        self.monotonic_s += seconds

    def put(self, frame: int, *, stamped_ago_s: float = 0.0, stamp_s: float | None = None) -> None:
        self.mailbox.put(
            frame,
            stamp_s=self.clock_s - stamped_ago_s if stamp_s is None else stamp_s,
            received_s=self.monotonic_s,
        )

    def polled(self) -> int | None:
        waiting = self.mailbox.poll()
        return None if waiting is None else waiting.frame


def test_a_frame_is_given_out_once_with_its_times() -> None:
    rig = Rig()
    rig.put(7, stamped_ago_s=0.25)

    assert rig.mailbox.waits
    waiting = rig.mailbox.poll()

    assert waiting is not None
    assert (waiting.frame, waiting.received_s) == (7, rig.monotonic_s)
    assert waiting.stamp_s == EPOCH_S - 0.25
    assert not rig.mailbox.waits
    assert rig.polled() is None
    assert not rig.drops


def test_a_newer_frame_waits_since_the_one_that_it_replaces() -> None:
    rig = Rig()
    assert rig.mailbox.waits_since_s is None
    rig.put(1)
    first_s = rig.monotonic_s
    rig.advance(0.5)
    rig.put(2)

    assert rig.mailbox.waits_since_s == first_s
    assert rig.polled() == 2
    assert rig.mailbox.waits_since_s is None
    rig.put(3)
    assert rig.mailbox.waits_since_s == rig.monotonic_s


def test_a_newer_frame_supersedes_the_waiting_one() -> None:
    rig = Rig()
    for frame in (1, 2, 3):
        rig.put(frame)

    assert rig.polled() == 3
    assert rig.drops == {DropReason.SUPERSEDED: 2}


@pytest.mark.parametrize(
    ('camera_hz', 'max_rate_hz', 'expected_hz'),
    [
        (30, 10, 10),
        (30, 20, 20),
        (30, 29, 29),
        (30, 7, 7),
        (60, 45, 45),
        (30, 30, 30),
        (10, 30, 10),
    ],
)
def test_the_pace_is_met_and_not_rounded_down_to_a_fraction_of_the_camera_rate(
    camera_hz: int, max_rate_hz: int, expected_hz: int
) -> None:
    rig = Rig(max_rate_hz=max_rate_hz)
    taken = 0
    for frame in range(20 * camera_hz):
        rig.put(frame)
        taken += rig.polled() is not None
        rig.advance(1.0 / camera_hz)

    assert taken / 20 == pytest.approx(expected_hz, rel=0.01)
    assert rig.drops[DropReason.OVER_RATE] == 20 * camera_hz - taken


@given(
    gaps_s=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200),
    max_rate_hz=st.floats(0.5, 60.0),
)
def test_never_more_than_the_pace_and_a_burst_in_any_stretch(
    gaps_s: list[float], max_rate_hz: float
) -> None:
    rig = Rig(max_rate_hz=max_rate_hz)
    taken_s: list[float] = []
    for frame, gap_s in enumerate(gaps_s):
        rig.advance(gap_s)
        rig.put(frame)
        if rig.polled() is not None:
            taken_s.append(rig.monotonic_s)

    for first in range(len(taken_s)):
        for last in range(first, len(taken_s)):
            allowed = BURST + (taken_s[last] - taken_s[first]) * max_rate_hz
            assert last - first + 1 <= allowed + 1e-6


@given(jitter_s=st.lists(st.floats(-0.01, 0.01), min_size=300, max_size=300))
def test_jitter_does_not_cost_frames(jitter_s: list[float]) -> None:
    rig = Rig(max_rate_hz=10.0)
    begin_s = rig.monotonic_s
    taken = 0
    for frame, jitter in enumerate(jitter_s):
        rig.monotonic_s = begin_s + frame / 30.0 + 0.01 + jitter
        rig.put(frame)
        taken += rig.polled() is not None

    assert 98 <= taken <= 102


def test_a_frame_that_replaces_a_waiting_one_is_not_over_the_rate() -> None:
    rig = Rig(max_rate_hz=1.0)
    rig.put(1)
    rig.advance(0.01)
    rig.put(2)

    assert rig.polled() == 2
    assert rig.drops == {DropReason.SUPERSEDED: 1}


def test_the_first_frame_after_a_long_pause_passes_at_once() -> None:
    rig = Rig(max_rate_hz=0.5)
    rig.put(1)
    rig.polled()
    rig.advance(60.0)
    rig.put(2)

    assert rig.polled() == 2


def test_a_frame_too_old_when_taken_is_stale() -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1, stamped_ago_s=0.4)
    rig.advance(0.2)

    assert rig.polled() is None
    assert rig.drops == {DropReason.STALE: 1}


def test_a_frame_just_young_enough_is_given_out() -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1, stamped_ago_s=0.25)
    rig.advance(0.125)

    assert rig.polled() == 1


def test_without_a_limit_no_age_is_too_old() -> None:
    rig = Rig()
    rig.put(1, stamped_ago_s=1e6)

    assert rig.polled() == 1


@pytest.mark.parametrize('stamp_s', [0.0, EPOCH_S + 3600.0], ids=['zero', 'future'])
def test_a_stamp_that_says_nothing_leaves_the_time_in_the_mailbox(stamp_s: float) -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1, stamp_s=stamp_s)
    rig.advance(0.25)
    assert rig.polled() == 1

    rig.put(2, stamp_s=stamp_s)
    rig.advance(0.75)
    assert rig.polled() is None
    assert rig.drops == {DropReason.STALE: 1}


def test_simulated_time_that_jumps_back_does_not_stop_the_stream() -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1)
    rig.clock_s = 1.0

    assert rig.polled() == 1


def test_simulated_time_that_has_not_begun_does_not_stop_the_stream() -> None:
    rig = Rig(max_age_s=0.5)
    rig.clock_s = 0.0
    rig.put(1, stamp_s=12.5)

    assert rig.polled() == 1


def test_simulated_time_that_jumps_ahead_makes_the_waiting_frame_stale() -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1)
    rig.clock_s += 100.0

    assert rig.polled() is None
    rig.put(2)
    assert rig.polled() == 2


def test_paused_simulated_time_does_not_age_a_frame() -> None:
    rig = Rig(max_age_s=0.5)
    rig.put(1)
    rig.monotonic_s += 60.0

    assert rig.polled() == 1


def test_limits_can_change() -> None:
    rig = Rig()
    rig.mailbox.set_limits(max_age_s=0.1, max_rate_hz=1.0)
    rig.put(1, stamped_ago_s=1.0)
    assert rig.polled() is None
    rig.put(2)
    assert rig.polled() is None
    assert rig.drops == {DropReason.STALE: 1, DropReason.OVER_RATE: 1}

    rig.mailbox.set_limits(max_age_s=0.0, max_rate_hz=0.0)
    rig.put(3, stamped_ago_s=1.0)
    assert rig.polled() == 3


def test_a_closed_mailbox_gives_and_takes_nothing() -> None:
    rig = Rig()
    rig.put(1)
    rig.mailbox.close()
    rig.put(2)

    assert not rig.mailbox.waits
    assert rig.polled() is None
    assert not rig.drops


def live_mailbox(
    drops: Counter[DropReason], changed: threading.Condition | None = None
) -> NewestFrameMailbox[int]:
    return NewestFrameMailbox(
        lambda: EPOCH_S, on_drop=lambda reason: drops.update([reason]), changed=changed
    )


@pytest.mark.parametrize(
    'rouse',
    [lambda mailbox: mailbox.put(5, stamp_s=0.0, received_s=0.0), NewestFrameMailbox.close],
    ids=['frame', 'close'],
)
def test_a_worker_that_waits_is_woken(rouse: Callable[[NewestFrameMailbox[int]], None]) -> None:
    changed, waits = threading.Condition(), threading.Event()
    mailbox = live_mailbox(Counter(), changed)
    woken: list[bool] = []

    def work() -> None:
        with changed:
            waits.set()  # whoever gets the Condition after this finds the worker waiting
            woken.append(changed.wait(LONG_S))

    worker = threading.Thread(target=work)
    worker.start()
    assert waits.wait(LONG_S)
    rouse(mailbox)
    worker.join(LONG_S / 2)

    assert woken == [True]


def test_the_drop_callback_may_use_the_mailbox() -> None:
    seen: list[bool] = []
    mailbox: NewestFrameMailbox[int] = NewestFrameMailbox(
        lambda: EPOCH_S, on_drop=lambda _reason: seen.append(mailbox.waits)
    )
    mailbox.put(1, stamp_s=0.0, received_s=0.0)
    mailbox.put(2, stamp_s=0.0, received_s=0.0)

    assert seen == [True]


def test_no_frame_is_lost_uncounted_between_several_cameras_and_a_worker() -> None:
    drops: Counter[DropReason] = Counter()
    changed, over = threading.Condition(), threading.Event()
    mailbox = live_mailbox(drops, changed)
    frames_each, cameras = 2000, 3
    taken: list[int] = []

    def work() -> None:
        while not over.is_set():
            with changed:
                changed.wait_for(lambda: over.is_set() or mailbox.waits, LONG_S)
            if (waiting := mailbox.poll()) is not None:
                taken.append(waiting.frame)

    def shoot(camera: int) -> None:
        for frame in range(frames_each):
            mailbox.put(camera * frames_each + frame, stamp_s=0.0, received_s=0.0)

    worker = threading.Thread(target=work)
    shooters = [threading.Thread(target=shoot, args=(camera,)) for camera in range(cameras)]
    for thread in (worker, *shooters):
        thread.start()
    for thread in shooters:
        thread.join(LONG_S)
    last = mailbox.poll()
    over.set()
    mailbox.close()
    worker.join(LONG_S)

    given_out = len(taken) + (last is not None)
    assert len(set(taken)) == len(taken)
    assert given_out + drops[DropReason.SUPERSEDED] == frames_each * cameras


def test_a_worker_can_wait_for_several_mailboxes_on_one_condition() -> None:
    changed = threading.Condition()
    left, right = live_mailbox(Counter(), changed), live_mailbox(Counter(), changed)
    found: list[int] = []

    def work() -> None:
        with changed:
            while not found:
                found.extend(w.frame for box in (left, right) if (w := box.poll()) is not None)
                if not found and not changed.wait(LONG_S):
                    return

    worker = threading.Thread(target=work)
    worker.start()
    right.put(9, stamp_s=0.0, received_s=0.0)
    worker.join(LONG_S / 2)

    assert found == [9]
