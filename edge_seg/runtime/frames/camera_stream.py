"""The camera's frame flow: reads ahead by one frame, keeps the pace, knows when it is over."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Protocol

from edge_seg.errors import EdgeSegError
from edge_seg.runtime.frames.pacing import FramePacer
from edge_seg.sources.base import FrameSource, SourceFrame

IDLE_POLL_S = 0.05
RATE_WINDOW_S = 5.0
SAMPLES_KEPT = 512
Pause = Callable[[float], bool]


class FrameSink(Protocol):
    """Where frames go. Called from the stream's thread only."""

    def wanted(self) -> bool:
        """Say whether somebody listens at this moment."""
        ...

    def prepare(self, frame: SourceFrame) -> None:
        """Scale and encode a frame, so that ``publish`` has little left to do."""
        ...

    def publish(self) -> bool:
        """Send what was prepared last; False when the middleware did not take it."""
        ...


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How a stream fares.

    Attributes:
        published: frames sent.
        late: moments at which a frame was due and none was ready.
        surplus: frames of a live device beyond the rate.
        rate_hz: frames a second over the last seconds.
        idle: nobody listens, so nothing is read.
        ended: the source has no more frames.
        error: why the source broke; '' = it did not.
    """

    published: int = 0
    late: int = 0
    surplus: int = 0
    rate_hz: float = 0.0
    idle: bool = False
    ended: bool = False
    error: str = ''


class CameraStream:
    """Moves frames from a source to a sink, on a thread of its own between start and stop.

    The next frame is read and encoded while the time until its slot runs, so what lies between
    a slot and the message on its way is only the sending.

    Args:
        source: read by this thread alone until ``stop`` has returned True.
        sink: where frames go.
        rate_hz: frames a second.
        first: a frame that was read from ``source`` already; None = none was.
        live: the source gives frames at its own pace; they are sent as they come, at most
            ``rate_hz`` of them, and read even when nobody listens, so that none grows old.
        on_error: told why the source broke.
        clock: monotonic seconds.
        pause: waits so many seconds; True as soon as the stream shall stop.
    """

    def __init__(
        self,
        source: FrameSource,
        sink: FrameSink,
        *,
        rate_hz: float,
        first: SourceFrame | None = None,
        live: bool = False,
        on_error: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Pause | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._live = live
        self._first = None if live else first
        self._on_error = on_error
        self._clock = clock
        self._stop = threading.Event()
        self._pause = pause or self._stop.wait
        self._pacer = FramePacer(rate_hz)
        self._begins = True
        self._thread = threading.Thread(target=self.run, name='camera_stream', daemon=True)
        self._lock = threading.Lock()  # guards all below
        self._moments: deque[float] = deque(maxlen=SAMPLES_KEPT)
        self._published = 0
        self._surplus = 0
        self._idle = False
        self._ended = False
        self._error = ''

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Stop sending and wait for the thread.

        Returns:
            False when it did not end in time: the source hangs.
        """
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def unsent(self) -> SourceFrame | None:
        """The frame that was read and not sent, when stopped in between; for the next stream."""
        return self._first

    def report(self) -> StreamReport:
        """Say how the stream fares. Any thread."""
        with self._lock:
            return StreamReport(
                published=self._published,
                late=self._pacer.skipped,
                surplus=self._surplus,
                rate_hz=self._rate(self._clock()),
                idle=self._idle,
                ended=self._ended,
                error=self._error,
            )

    def run(self) -> None:
        """Send until stopped, or until the source ends or breaks; ``start`` runs this."""
        try:
            stopped = self._pass_on() if self._live else self._play()
        except EdgeSegError as error:
            self._broke(str(error))
        except Exception as bug:  # the thread's last words, shown in diagnostics
            self._broke(f'{type(bug).__name__}: {bug}')
            raise
        else:
            with self._lock:
                self._ended = not stopped

    def _play(self) -> bool:
        """Send frames at their slots; True when stopped, False at the end of the source."""
        while True:
            if self._waits_for_listeners():
                return True
            frame = self._read()
            if frame is None:
                return False
            self._sink.prepare(frame)
            now_s = self._clock()
            if self._begins:
                self._pacer.restart(now_s)
                self._begins = False
            if self._waits_for_slot(now_s):
                self._first = frame
                return True
            self._publish()

    def _pass_on(self) -> bool:
        """Send frames as they come; True when stopped, False at the end of the source."""
        self._pacer.restart(self._clock())
        while not self._stop.is_set():
            frame = self._read()
            if frame is None:
                return False
            wanted, taken = self._sink.wanted(), self._pacer.accepts(self._clock())
            with self._lock:
                self._idle = not wanted
                self._surplus += wanted and not taken
            if wanted and taken:
                self._sink.prepare(frame)
                self._publish()
        return True

    def _waits_for_slot(self, now_s: float) -> bool:
        """Wait until the prepared frame is due; True when stopped meanwhile."""
        slot_s = self._pacer.claim(now_s)
        while True:
            if self._pause(max(0.0, slot_s - now_s)):
                return True
            now_s = self._clock()
            # On a busy machine the wait may end late by more than was asked for.
            if not self._pacer.overslept(slot_s, now_s):
                return False
            slot_s = self._pacer.reclaim(now_s)

    def _waits_for_listeners(self) -> bool:
        """Wait until somebody listens; True when stopped meanwhile."""
        if self._sink.wanted():
            return self._stop.is_set()
        with self._lock:
            self._idle = True
            self._moments.clear()
        while not self._sink.wanted():
            if self._pause(IDLE_POLL_S):
                return True
        with self._lock:
            self._idle = False
        self._begins = True
        return False

    def _read(self) -> SourceFrame | None:
        first, self._first = self._first, None
        return self._source.read() if first is None else first

    def _publish(self) -> None:
        if not self._sink.publish():
            return
        with self._lock:
            self._published += 1
            self._moments.append(self._clock())

    def _rate(self, now_s: float) -> float:
        window_s = max(RATE_WINDOW_S, 3.0 * self._pacer.period_s)
        recent = [moment for moment in self._moments if now_s - moment <= window_s]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / (recent[-1] - recent[0])

    def _broke(self, text: str) -> None:
        with self._lock:
            self._error = text
        self._on_error(text)
