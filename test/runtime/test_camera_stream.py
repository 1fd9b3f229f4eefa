"""The camera's frame flow on a clock of its own: pace, pauses, ends and breaks."""

import threading

from edge_seg.errors import SourceUnavailable
from edge_seg.runtime.frames.camera_stream import CameraStream, StreamReport
from edge_seg.runtime.health.camera_health import assess_camera, CameraState
from edge_seg.runtime.health.judgement import Level
from edge_seg.sources.base import FrameSource, SourceFrame
import numpy as np
import pytest

PICTURE = np.zeros((2, 2, 3), np.uint8)


class World:
    """A clock that only work and waiting move on."""

    def __init__(self, stop_at_s=float('inf')):
        self.now_s = 100.0
        self._stop_at_s = 100.0 + stop_at_s

    def clock(self):
        return self.now_s

    def pause(self, duration_s):
        self.now_s += duration_s
        return self.now_s >= self._stop_at_s


class Source(FrameSource):
    """Gives so many frames; each costs the time that `costs` says."""

    def __init__(self, world, costs, error=None):
        self._world = world
        self._costs = list(costs)
        self._error = error
        self.read_count = 0

    def read(self):
        if self.read_count == len(self._costs):
            if self._error is not None:
                raise self._error
            return None
        self._world.now_s += self._costs[self.read_count]
        self.read_count += 1
        return SourceFrame(PICTURE, stamp_ns=self.read_count)

    def close(self):
        pass


class Sink:
    """Notes what is published when; listened to at the moments that `listens` says."""

    def __init__(self, world, listens=lambda since_s: True):
        self._world = world
        self._listens = listens
        self._prepared = None
        self.sent = []

    def wanted(self):
        return self._listens(self._world.now_s - 100.0)

    def prepare(self, frame):
        self._prepared = frame

    def publish(self):
        self.sent.append((round(self._world.now_s - 100.0, 6), self._prepared.stamp_ns))
        return True

    @property
    def moments(self):
        return [moment for moment, _ in self.sent]


def play(world, source, sink, **options):
    stream = CameraStream(
        source, sink, rate_hz=10.0, clock=world.clock, pause=world.pause, **options
    )
    stream.run()
    return stream.report()


def test_frames_are_read_ahead_and_go_out_on_time():
    world = World()
    source, sink = Source(world, [0.06] * 4), Sink(world)
    report = play(world, source, sink)
    assert sink.moments == [0.06, 0.16, 0.26, 0.36]
    assert (report.published, report.ended, report.error) == (4, True, '')


def test_late_frames_are_skipped_and_counted_and_never_bunched():
    world = World()
    sink = Sink(world)
    report = play(world, Source(world, [0.01, 0.01, 0.36, 0.01]), sink)
    assert sink.moments == [0.01, 0.11, 0.51, 0.61]
    assert report.late == 3


def test_a_frame_that_is_woken_up_late_waits_for_a_later_slot():
    class Sleepy(World):
        def pause(self, duration_s):
            extra_s = 0.17 if 0.2 < self.now_s - 100.0 < 0.26 else 0.0
            return super().pause(duration_s + extra_s)

    world = Sleepy()
    sink = Sink(world)
    report = play(world, Source(world, [0.07] * 4), sink)
    assert sink.moments == [0.07, 0.17, 0.47, 0.57]
    assert report.late == 2


def test_the_frame_that_was_read_to_look_at_the_source_is_not_lost():
    world = World()
    source, sink = Source(world, [0.0, 0.0]), Sink(world)
    first = source.read()
    play(world, source, sink, first=first)
    assert [stamp for _, stamp in sink.sent] == [1, 2]


def test_a_frame_that_was_read_before_the_stop_is_kept_for_the_next_stream():
    world = World(stop_at_s=0.25)
    source, sink = Source(world, [0.01] * 9), Sink(world)
    stream = CameraStream(source, sink, rate_hz=10.0, clock=world.clock, pause=world.pause)
    stream.run()
    assert [stamp for _, stamp in sink.sent] == [1, 2, 3]
    assert stream.unsent is not None
    assert stream.unsent.stamp_ns == 4


def test_nothing_is_read_while_nobody_listens():
    world = World(stop_at_s=2.0)
    source = Source(world, [0.01] * 100)
    sink = Sink(world, lambda since_s: 1.0 <= since_s < 1.45)
    report = play(world, source, sink)
    assert len(sink.sent) == source.read_count
    assert min(sink.moments) >= 1.0
    assert 4 <= len(sink.sent) <= 6
    assert (report.idle, report.late, report.ended) == (True, 0, False)


def test_a_source_that_breaks_is_reported_with_its_reason():
    world = World()
    told = []
    source = Source(world, [0.0] * 3, error=SourceUnavailable('/dev/video0 gave no picture'))
    report = play(world, source, Sink(world), on_error=told.append)
    assert (report.published, report.ended) == (3, False)
    assert report.error == '/dev/video0 gave no picture'
    assert told == [report.error]


def test_a_live_device_sets_the_pace_and_never_waits():
    world = World()
    source, sink = Source(world, [0.05] * 20), Sink(world)
    report = play(world, source, sink, live=True)
    assert len(sink.sent) == pytest.approx(10, abs=1)
    assert report.published + report.surplus == 20
    assert source.read_count == 20


def test_a_live_device_is_read_even_when_nobody_listens():
    world = World()
    source, sink = Source(world, [0.1] * 5), Sink(world, lambda since_s: since_s > 0.25)
    play(world, source, sink, live=True)
    assert sink.moments[0] == pytest.approx(0.3)
    assert source.read_count == 5


def test_the_thread_ends_when_it_is_told_to():
    sending = threading.Event()

    class Signal(Sink):
        def publish(self):
            sending.set()
            return True

    world = World()
    stream = CameraStream(Source(world, [0.0] * 10**6), Signal(world), rate_hz=1000.0)
    stream.start()
    assert sending.wait(30.0)
    assert stream.stop(5.0)
    assert not stream.report().ended


def judged(state='active', refusal='', **stream):
    return assess_camera(
        CameraState(
            state=state,
            source='walk.mp4',
            rate_hz=30.0,
            topic='/image',
            subscribers=1,
            refusal=refusal,
            stream=StreamReport(**stream),
        )
    )


@pytest.mark.parametrize(
    ('health', 'level', 'words'),
    [
        (judged(published=90, rate_hz=29.9), Level.OK, 'publishing at 29.9 Hz'),
        (judged(published=90, rate_hz=12.0, late=40), Level.WARN, '12.0 of 30 Hz, 40 frames late'),
        (judged(published=90, ended=True), Level.OK, 'walk.mp4 has ended after 90 frames'),
        (judged(published=9, error='cable'), Level.ERROR, 'broke after 9 frames: cable'),
        (judged(idle=True), Level.OK, 'nobody subscribes'),
        (judged('unconfigured', 'on_configure: no file'), Level.ERROR, 'not configured: on_conf'),
        (judged('inactive'), Level.OK, 'inactive'),
        (judged('finalized'), Level.STALE, 'shut down'),
    ],
)
def test_diagnostics_say_how_the_camera_is(health, level, words):
    assert health.level == level
    assert words in health.message
