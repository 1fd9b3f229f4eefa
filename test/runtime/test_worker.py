"""The frame worker: every frame gets a mask or a reason, and nothing ends the stream."""

from collections.abc import Iterator
from dataclasses import dataclass, field
import threading
import time

import cv2
from edge_seg.core.values import (
    CompressedImage,
    DecodedImage,
    LabelArray,
    RawImage,
    Size,
    UInt8Array,
)
from edge_seg.errors import DropReason, FrameRejected
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.mailbox import NewestFrameMailbox
from edge_seg.runtime.frames.serving import Segmentation, ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.stats import FrameStatistics, Stage, StatisticsSnapshot
from edge_seg.runtime.frames.worker import CameraFrame, FramePort, FrameWorker, Wanted
from fake_backend import FakeModel, Faults
import numpy as np
import numpy.typing as npt
import pytest
from serving_samples import serving, spec, stripes

PATIENCE_S = 30.0
IMAGE, LABELS = stripes(32, 24)
MASK = Wanted(mask=True)


def frame(header: str = 'front', encoding: str = 'rgb8', **changes: object) -> CameraFrame[str]:
    fields = {'width': 32, 'height': 24, 'step': 96, 'data': IMAGE.pixels.tobytes(), **changes}
    return CameraFrame(header, RawImage(encoding=encoding, **fields))  # type: ignore[arg-type]


@dataclass
class Sink:
    """Remembers what it is told to publish, and may fail or wait doing it."""

    wants: Wanted = MASK
    published: list[tuple[str, Segmentation, Wanted]] = field(default_factory=list)
    failure: Exception | None = None
    gate: threading.Event | None = None
    mask: LabelArray | None = None
    reached: threading.Event = field(default_factory=threading.Event)

    def wanted(self) -> Wanted:
        return self.wants

    def labels(self, size: Size, dtype: npt.DTypeLike) -> LabelArray:
        self.mask = np.empty((size.height, size.width), dtype)
        return self.mask

    def confidence(self, size: Size) -> UInt8Array:
        return np.empty((size.height, size.width), np.uint8)

    def publish(
        self, header: str, image: DecodedImage, result: Segmentation, wanted: Wanted
    ) -> None:
        self.reached.set()
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        self.published.append((header, result, wanted))


class Line:
    """A worker with all that it is wired to."""

    def __init__(self, model: ServingModel | None, **options: object) -> None:
        self.clock_s = 100.0
        self.sink = Sink()
        self.statistics = FrameStatistics()
        self.slot: ModelSlot[ServingModel] = ModelSlot()
        if model is not None:
            self.slot.exchange(model)
        self.errors: list[tuple[str, DropReason, str]] = []
        self.answered: list[Answer] = []
        self.failed: list[str] = []
        self.needs_frames = False
        changed = threading.Condition()
        self.mailbox: NewestFrameMailbox[CameraFrame[str]] = NewestFrameMailbox(
            lambda: self.clock_s,
            on_drop=lambda reason: self.statistics.frame_dropped(reason, time.monotonic()),
            changed=changed,
        )
        self.worker: FrameWorker[str] = FrameWorker(
            [FramePort(self.mailbox, self.sink, self.statistics, name='front')],
            changed,
            self.slot,
            observer=self,
            clock=lambda: self.clock_s,
            on_error=lambda *told: self.errors.append(told),
            **options,  # type: ignore[arg-type]
        )
        self.worker.start()

    def frame_answered(self, model: ServingModel, answer: Answer) -> None:
        self.clock_s += 50.0  # a shadow frame takes its time
        self.answered.append(answer)

    def frame_failed(self, model: ServingModel, error: str) -> None:
        self.failed.append(error)

    def send(self, sent: CameraFrame[str], *, stamp_s: float = 0.0) -> None:
        self.mailbox.put(sent, stamp_s=stamp_s, received_s=time.monotonic())

    def ask(self, sent: CameraFrame[str], *, stamp_s: float = 0.0) -> StatisticsSnapshot:
        """Send a frame and wait until it was answered or dropped."""
        ended = self._ended(self.snapshot)
        self.send(sent, stamp_s=stamp_s)
        deadline_s = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while self._ended(self.snapshot) == ended:
            assert time.monotonic() < deadline_s, 'the frame got no answer'
            pause.wait(0.002)
        return self.snapshot

    @property
    def snapshot(self) -> StatisticsSnapshot:
        return self.statistics.snapshot(time.monotonic())

    @property
    def drops(self) -> dict[DropReason, int]:
        return {drop.reason: drop.total for drop in self.snapshot.drops}

    @staticmethod
    def _ended(snapshot: StatisticsSnapshot) -> int:
        return snapshot.masks_out + sum(drop.total for drop in snapshot.drops)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line(serving())
    yield made
    assert made.worker.stop(PATIENCE_S)


def test_a_frame_is_answered_under_its_header(line: Line) -> None:
    snapshot = line.ask(frame('left'))
    header, result, wanted = line.sink.published[0]
    assert header == 'left'
    assert result.labels.shape == LABELS.shape
    assert result.confidence is None
    assert wanted is MASK
    assert (snapshot.masks_out, snapshot.drops) == (1, ())
    assert [answer.header for answer in line.answered] == ['left']


def test_the_mask_is_written_where_the_sink_wants_it(line: Line) -> None:
    line.ask(frame())
    ((_, result, _),) = line.sink.published
    assert result.labels is line.sink.mask


def test_confidence_is_computed_when_it_is_wanted(line: Line) -> None:
    line.sink.wants = Wanted(confidence=True)
    line.ask(frame())
    assert line.sink.published[0][1].confidence is not None


def test_nothing_is_computed_when_nothing_is_wanted(line: Line) -> None:
    line.sink.wants = Wanted()
    line.ask(frame(encoding='not even looked at'))
    assert line.drops == {DropReason.NO_SUBSCRIBER: 1}
    assert not line.snapshot.latencies
    assert not line.errors


def test_a_model_on_probation_sees_frames_though_nothing_is_wanted(line: Line) -> None:
    line.sink.wants = Wanted()
    line.needs_frames = True
    line.ask(frame())
    assert len(line.answered) == 1
    assert not line.drops


@pytest.mark.parametrize(
    ('bad', 'reason'),
    [
        (frame(encoding='x123'), DropReason.UNSUPPORTED_ENCODING),
        (frame(data=b'short'), DropReason.TRUNCATED_DATA),
        (frame(width=0), DropReason.ZERO_SIZE),
        (frame(step=1), DropReason.WRONG_STEP),
        (CameraFrame('front', CompressedImage('jpeg', b'')), DropReason.TRUNCATED_DATA),
    ],
)
def test_a_bad_frame_is_counted_by_its_reason_and_the_next_answered(
    line: Line, bad: CameraFrame[str], reason: DropReason
) -> None:
    snapshot = line.ask(bad)
    assert line.drops == {reason: 1}
    assert snapshot.last_error is not None
    assert line.errors == [('front', reason, snapshot.last_error.text)]
    assert not line.failed
    assert line.ask(frame()).masks_out == 1


def test_a_compressed_frame_is_answered(line: Line) -> None:
    done, file = cv2.imencode('.png', IMAGE.pixels[:, :, ::-1])
    assert done
    line.ask(CameraFrame('front', CompressedImage('png', file.tobytes())))
    np.testing.assert_array_equal(line.sink.published[0][1].labels[:, 0], LABELS[:, 0])


def test_a_frame_without_a_model_is_counted() -> None:
    line = Line(None)
    line.ask(frame())
    assert line.drops == {DropReason.NO_MODEL: 1}
    line.slot.exchange(serving())
    assert line.ask(frame()).masks_out == 1
    assert line.worker.stop(PATIENCE_S)


def test_a_failing_inference_is_counted_and_told() -> None:
    faults = Faults()
    line = Line(serving(faults))
    faults.infer_error = 'the device hangs'
    line.ask(frame())
    assert line.ask(frame()).errors_in_a_row == 2
    assert line.drops == {DropReason.INFERENCE_ERROR: 2}
    assert line.failed == [text for _, _, text in line.errors] == ['the device hangs'] * 2
    faults.infer_error = ''
    assert line.ask(frame()).errors_in_a_row == 0
    assert line.worker.stop(PATIENCE_S)


def test_whatever_a_backend_raises_speaks_against_its_model() -> None:
    faults = Faults()
    line = Line(serving(faults), keep_warm_s=0.001)
    faults.infer_bug = 'no such buffer'
    assert line.ask(frame()).errors_in_a_row == 1
    assert line.failed == ['ZeroDivisionError: no such buffer']
    assert DropReason.INFERENCE_ERROR in line.drops
    faults.infer_bug = ''
    assert line.ask(frame()).errors_in_a_row == 0
    assert line.worker.stop(PATIENCE_S)


def test_a_bug_costs_one_frame_only(line: Line) -> None:
    line.sink.failure = KeyError('no such buffer')
    line.ask(frame())
    assert line.drops == {DropReason.INTERNAL_ERROR: 1}
    assert 'KeyError' in line.errors[0][2]
    line.sink.failure = None
    assert line.ask(frame()).masks_out == 1


def test_the_fallback_decoder_reads_what_we_do_not() -> None:
    def decoder(image: RawImage) -> DecodedImage:
        if image.encoding != 'strange':
            raise FrameRejected(DropReason.UNSUPPORTED_ENCODING, image.encoding)
        return IMAGE

    line = Line(serving(), fallback_decoder=decoder)
    assert line.ask(frame(encoding='strange')).masks_out == 1
    line.ask(frame(encoding='stranger'))
    assert line.drops == {DropReason.UNSUPPORTED_ENCODING: 1}
    assert line.worker.stop(PATIENCE_S)


def test_the_age_of_a_mask_is_taken_when_it_is_published(line: Line) -> None:
    line.clock_s = 100.0
    snapshot = line.ask(frame(), stamp_s=99.5)
    ages = [each for each in snapshot.latencies if each.stage is Stage.AGE]
    assert [each.p50_s for each in ages] == [pytest.approx(0.5)]


def test_an_unstamped_frame_has_no_age(line: Line) -> None:
    stages = [each.stage for each in line.ask(frame()).latencies]
    assert stages == [
        Stage.DECODE,
        Stage.PREPROCESS,
        Stage.INFER,
        Stage.POSTPROCESS,
        Stage.PUBLISH,
        Stage.TOTAL,
    ]


def test_stopping_finishes_the_frame_under_way() -> None:
    line = Line(serving())
    line.sink.gate = threading.Event()
    line.send(frame())
    assert line.sink.reached.wait(PATIENCE_S)
    assert not line.worker.stop(0.01)
    line.sink.gate.set()
    assert line.worker.stop(PATIENCE_S)
    assert len(line.sink.published) == 1


def test_a_model_is_not_closed_under_a_frame() -> None:
    network = FakeModel('fake', Faults())
    line = Line(ServingModel(spec(), network, sha256=''))
    line.sink.gate = threading.Event()
    line.send(frame())
    assert line.sink.reached.wait(PATIENCE_S)
    assert not line.slot.clear()
    assert network.closed == 0
    line.sink.gate.set()
    assert line.worker.stop(PATIENCE_S)
    assert network.closed == 1
