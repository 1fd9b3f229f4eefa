"""One worker serves many cameras in turn: none starves, equal cameras get equal shares."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
import threading
import time

from edge_seg.core.values import (
    ClassInfo,
    DecodedImage,
    InputSpec,
    LabelArray,
    ModelSpec,
    OutputSpec,
    RawImage,
    Size,
    UInt8Array,
)
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.mailbox import NewestFrameMailbox
from edge_seg.runtime.frames.serving import Segmentation, ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.stats import FrameStatistics
from edge_seg.runtime.frames.worker import CameraFrame, FramePort, FrameWorker, Wanted
from fake_backend import CLASSES, FakeModel, Faults, HEIGHT, WIDTH
import numpy as np
import numpy.typing as npt

SPEC = ModelSpec(
    'net',
    '1',
    InputSpec('image', Size(WIDTH, HEIGHT)),
    OutputSpec('scores'),
    tuple(ClassInfo(f'c{index}', (index, 0, 0)) for index in range(CLASSES)),
)
PIXELS = bytes(WIDTH * HEIGHT * 3)
Camera = NewestFrameMailbox[CameraFrame[str]]


class Watcher:
    """Stands for sink and observer: keeps whom each answer was for."""

    needs_frames = False

    def __init__(self) -> None:
        self.answers: list[str] = []
        self._changed = threading.Condition()

    def wanted(self) -> Wanted:
        """Want the mask."""
        return Wanted(mask=True)

    def labels(self, size: Size, dtype: npt.DTypeLike) -> LabelArray:
        """Give a buffer for the mask."""
        return np.empty((size.height, size.width), dtype)

    def confidence(self, size: Size) -> UInt8Array:
        """Give a buffer for the confidence."""
        return np.empty((size.height, size.width), np.uint8)

    def publish(
        self, header: str, image: DecodedImage, result: Segmentation, wanted: Wanted
    ) -> None:
        """Note the camera."""
        with self._changed:
            self.answers.append(header)
            self._changed.notify_all()

    def frame_answered(self, model: ServingModel, answer: Answer) -> None:
        """Take no note."""

    def frame_failed(self, model: ServingModel, error: str) -> None:
        """Let no failure pass."""
        raise AssertionError(error)

    def wait_for(self, count: int) -> list[str]:
        """Wait until so many frames were answered; gives whom they were for."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.answers) >= count, 10.0)
            return list(self.answers)


@contextmanager
def cameras(*names: str) -> Iterator[tuple[dict[str, Camera], Watcher]]:
    """Run a worker over cameras of these names."""
    changed = threading.Condition()
    watcher = Watcher()
    boxes: dict[str, Camera] = {
        name: NewestFrameMailbox(lambda: 0.0, on_drop=lambda reason: None, changed=changed)
        for name in names
    }
    slot: ModelSlot[ServingModel] = ModelSlot()
    slot.exchange(ServingModel(SPEC, FakeModel('fake', Faults()), sha256=''))
    worker: FrameWorker[str] = FrameWorker(
        [FramePort(box, watcher, FrameStatistics()) for box in boxes.values()],
        changed,
        slot,
        observer=watcher,
        clock=lambda: 0.0,
    )
    worker.start()
    try:
        yield boxes, watcher
    finally:
        assert worker.stop(5.0)


def put(box: Camera, name: str) -> None:
    frame = CameraFrame(name, RawImage(WIDTH, HEIGHT, 'rgb8', WIDTH * 3, PIXELS))
    box.put(frame, stamp_s=0.0, received_s=time.monotonic())


def test_every_camera_is_answered() -> None:
    with cameras('front', 'left', 'rear') as (boxes, watcher):
        for name, box in boxes.items():
            put(box, name)

        assert sorted(watcher.wait_for(3)) == ['front', 'left', 'rear']


def test_a_flood_from_one_camera_does_not_starve_the_others() -> None:
    with cameras('flood', 'slow') as (boxes, watcher):
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                put(boxes['flood'], 'flood')

        thread = threading.Thread(target=flood)
        thread.start()
        for turn in range(20):
            put(boxes['slow'], 'slow')
            deadline_s = time.monotonic() + 10.0
            while Counter(watcher.answers)['slow'] <= turn:
                assert time.monotonic() < deadline_s
                watcher.wait_for(len(watcher.answers) + 1)
        stop.set()
        thread.join(30.0)

        assert Counter(watcher.answers)['slow'] == 20


def test_cameras_that_always_have_a_frame_get_equal_shares() -> None:
    with cameras('a', 'b', 'c') as (boxes, watcher):
        stop = threading.Event()

        def stream(name: str) -> None:
            while not stop.is_set():
                put(boxes[name], name)

        threads = [threading.Thread(target=stream, args=(name,)) for name in boxes]
        for thread in threads:
            thread.start()
        answers = watcher.wait_for(300)
        stop.set()
        for thread in threads:
            thread.join(30.0)

    shares = Counter(answers[30:])
    jain = sum(shares.values()) ** 2 / (len(shares) * sum(n * n for n in shares.values()))
    assert len(shares) == 3
    assert jain > 0.9


def test_a_stopped_worker_answers_nobody() -> None:
    with cameras('front') as (boxes, watcher):
        pass
    put(boxes['front'], 'front')

    assert watcher.answers == []
