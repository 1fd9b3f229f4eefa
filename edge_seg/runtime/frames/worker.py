"""The frame worker: the one thread that turns waiting camera frames into masks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import logging
import threading
import time
from typing import Generic, Protocol, TypeVar

from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.values import CompressedImage, DecodedImage, RawImage
from edge_seg.errors import DropReason, FrameRejected, InferenceFailed, NoActiveModel
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.mailbox import NewestFrameMailbox, Waiting
from edge_seg.runtime.frames.serving import MaskBuffers, Segmentation, ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.stats import FrameStatistics, Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.runtime.frames.turns import FairTurns

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""How often an idle worker looks whether it shall stop."""

HeaderT = TypeVar('HeaderT')
SinkHeaderT = TypeVar('SinkHeaderT', contravariant=True)
FallbackDecoder = Callable[[RawImage], DecodedImage]
OnError = Callable[[str, DropReason, str], None]
"""Told camera, reason and details of a frame that was dropped; the worker's thread."""


def _to_log(camera: str, reason: DropReason, text: str) -> None:
    logger.error('%s: %s: %s', camera, reason.value, text)


@dataclass(frozen=True, slots=True)
class CameraFrame(Generic[HeaderT]):
    """One message of a camera.

    Attributes:
        header: goes through unchanged to everything published for this frame.
        image: its pixels, still as they came.
    """

    header: HeaderT
    image: RawImage | CompressedImage


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which outputs somebody listens to."""

    mask: bool = False
    confidence: bool = False
    color_mask: bool = False
    overlay: bool = False

    @property
    def anything(self) -> bool:
        """True when at least one output is wanted."""
        return self.mask or self.confidence or self.color_mask or self.overlay


class MaskSink(MaskBuffers, Protocol[SinkHeaderT]):
    """Where masks go; called from the worker's thread only.

    What its buffers hold goes out with the ``publish`` that follows.
    """

    def wanted(self) -> Wanted:
        """Say what somebody listens to at this moment."""

    def publish(
        self, header: SinkHeaderT, image: DecodedImage, result: Segmentation, wanted: Wanted
    ) -> None:
        """Publish everything wanted. ``result`` may be reused after the return."""


class FrameObserver(Protocol):
    """Who judges a model by its frames; called from the worker's thread only."""

    def frame_answered(self, model: ServingModel, answer: Answer) -> None:
        """Take note of a frame that got its mask, after it was published."""

    def frame_failed(self, model: ServingModel, error: str) -> None:
        """Take note of a frame on which inference failed."""

    @property
    def needs_frames(self) -> bool:
        """True while a model is to be judged, whether somebody listens to its masks or not."""


@dataclass(frozen=True, slots=True)
class FramePort(Generic[HeaderT]):
    """One camera as the worker sees it.

    Attributes:
        mailbox: where the camera callback leaves frames.
        sink: where masks go.
        statistics: counts, rates and latencies.
        priority: its share where not all frames can be answered, against that of the others.
        name: for messages; '' for the only camera.
    """

    mailbox: NewestFrameMailbox[CameraFrame[HeaderT]]
    sink: MaskSink[HeaderT]
    statistics: FrameStatistics
    priority: float = 1.0
    name: str = ''


class FrameWorker(Generic[HeaderT]):
    """Takes frames from the cameras in turn and segments them with the model in the slot.

    No camera starves, however fast the others are, and equal cameras get equal shares; see
    ``FairTurns``.

    Args:
        ports: the cameras; all mailboxes share ``changed``.
        changed: the Condition of the mailboxes.
        slot: holds the model; leased for one frame at a time.
        observer: judges the model.
        clock: the node's clock in seconds, for the age of a mask.
        fallback_decoder: tried for encodings that edge_seg does not decode itself.
        keep_warm_s: run the model on noise after so long without a frame; 0 = never.
        on_error: told of every frame that is dropped for an error.
    """

    def __init__(
        self,
        ports: Sequence[FramePort[HeaderT]],
        changed: threading.Condition,
        slot: ModelSlot[ServingModel],
        *,
        observer: FrameObserver,
        clock: Callable[[], float],
        fallback_decoder: FallbackDecoder | None = None,
        keep_warm_s: float = 0.0,
        on_error: OnError = _to_log,
    ) -> None:
        self._ports = tuple(ports)
        self._turns = FairTurns([port.priority for port in ports])  # the worker's thread only
        self._changed = changed
        self._slot = slot
        self._observer = observer
        self._clock = clock
        self._fallback_decoder = fallback_decoder
        self._keep_warm_s = keep_warm_s
        self._ran_s = time.monotonic()  # of the last inference; the worker's thread only
        self._on_error = on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='frame_worker', daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the mailboxes and wait until the current frame is finished.

        Returns:
            False when the frame was not finished in time.
        """
        self._stopping.set()
        for port in self._ports:
            port.mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wait()
            turn = self._turns.take(lambda number: self._ports[number].mailbox.waits_since_s)
            if turn is not None:
                port = self._ports[turn]
                waiting = port.mailbox.poll()
                if waiting is not None:  # else it was stale
                    self._answer(port, waiting)
            if 0 < self._keep_warm_s < time.monotonic() - self._ran_s:
                self._keep_warm()

    def _wait(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping.is_set() or any(p.mailbox.waits for p in self._ports),
                POLL_S,
            )

    def _answer(self, port: FramePort[HeaderT], waiting: Waiting[CameraFrame[HeaderT]]) -> None:
        wanted = port.sink.wanted()
        if not (wanted.anything or self._observer.needs_frames):
            self._drop(port, DropReason.NO_SUBSCRIBER)
            return
        try:
            self._segment(port, waiting, wanted)
        except FrameRejected as rejected:
            self._drop(port, rejected.reason, error=str(rejected))
        except NoActiveModel:
            self._drop(port, DropReason.NO_MODEL)
        except InferenceFailed as failure:
            self._drop(port, DropReason.INFERENCE_ERROR, error=str(failure))
        except Exception as bug:  # one bad frame must not end the stream
            logger.exception('a bug in the frame path')
            self._drop(port, DropReason.INTERNAL_ERROR, error=f'{type(bug).__name__}: {bug}')

    def _segment(
        self, port: FramePort[HeaderT], waiting: Waiting[CameraFrame[HeaderT]], wanted: Wanted
    ) -> None:
        frame = waiting.frame
        watch = Stopwatch()
        image = self._decode(frame.image)
        watch.lap(Stage.DECODE)
        with self._slot.lease() as model:
            begin_s = watch.elapsed_s
            try:
                with _failing_as_inference(model):
                    result = model.segment(
                        image, confidence=wanted.confidence, watch=watch, buffers=port.sink
                    )
            except InferenceFailed as failure:
                self._observer.frame_failed(model, str(failure))
                raise
            latency_s = watch.elapsed_s - begin_s
            self._ran_s = time.monotonic()
            port.sink.publish(frame.header, image, result, wanted)
            watch.lap(Stage.PUBLISH)
        watch.note(Stage.TOTAL, watch.elapsed_s)
        if waiting.stamp_s > 0:
            watch.note(Stage.AGE, self._clock() - waiting.stamp_s)
        port.statistics.mask_out(time.monotonic(), watch.laps)
        # After the count: the observer may run another model on the frame.
        self._observer.frame_answered(model, Answer(frame.header, image, result.labels, latency_s))

    def _decode(self, image: RawImage | CompressedImage) -> DecodedImage:
        if isinstance(image, CompressedImage):
            return decode_compressed(image)
        return decode(image, fallback=self._fallback_decoder)

    def _keep_warm(self) -> None:
        """Run the model once: clocks and caches fall asleep while nothing comes."""
        self._ran_s = time.monotonic()
        try:
            with self._slot.lease() as model, _failing_as_inference(model):
                model.exercise()
        except NoActiveModel:
            pass  # nothing to keep warm
        except InferenceFailed as failure:
            text = f'keeping the model warm: {failure}'
            self._on_error('', DropReason.INFERENCE_ERROR, text)

    def _drop(self, port: FramePort[HeaderT], reason: DropReason, *, error: str = '') -> None:
        port.statistics.frame_dropped(reason, time.monotonic(), error=error)
        if error:
            self._on_error(port.name, reason, error)


@contextmanager
def _failing_as_inference(model: ServingModel) -> Iterator[None]:
    """Let whatever a backend raises speak against its model, as the failures that it foresees."""
    try:
        yield
    except InferenceFailed:
        raise
    except Exception as bug:
        logger.exception('a bug in the inference of %s', model.identity)
        raise InferenceFailed(f'{type(bug).__name__}: {bug}') from bug
