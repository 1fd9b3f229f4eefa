"""Images are preprocessed on the CPU, on the device, or where measuring says that it is faster."""

from collections.abc import Callable, Sequence
import logging
import threading

from edge_seg.backends.base import CompiledModel, CompileReport
from edge_seg.core.geometry import GeometryPlan, plan_geometry
from edge_seg.core.values import AnyArray, ColorOrder, DecodedImage, OutputKind, Size, TensorSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, InferenceFailed
from edge_seg.runtime.frames import feeding
from edge_seg.runtime.frames.feeding import CHOICES_KEPT, Feed, PreprocessMode, SAMPLES
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch
from fake_backend import FakeModel, Faults
import numpy as np
import pytest
from serving_samples import spec

INPUT = spec().input
WAIT_S = 30.0
CPU_S = 0.010


class Clock:
    """Time that goes on only when the network runs."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        patch.setattr(feeding.time, 'monotonic', lambda: self.now_s)


class Device:
    """A network that also takes images, in a time that the test chooses."""

    def __init__(self, clock: Clock, device_s: float) -> None:
        self.clock = clock
        self.device_s = device_s
        self.model: CompiledModel = FakeModel('fake', Faults())
        self.ready: set[object] = set()
        self.problem: Exception | None = None
        self.failing = False
        self.gate: threading.Event | None = None
        self.images = 0
        self.tensors = 0

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.model.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.model.outputs

    @property
    def output_kind(self) -> OutputKind:
        return self.model.output_kind

    @property
    def report(self) -> CompileReport:
        return self.model.report

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        self.tensors += 1
        self.clock.now_s += CPU_S
        return self.model.infer(tensors)

    def close(self) -> None:
        self.model.close()

    def prepare_images(self, plan: GeometryPlan, order: ColorOrder) -> None:
        if self.gate is not None:
            assert self.gate.wait(WAIT_S)
        if self.problem is not None:
            raise self.problem
        self.ready.add((plan, order))

    def takes_images(self, plan: GeometryPlan, order: ColorOrder) -> bool:
        return (plan, order) in self.ready

    def infer_image(self, image: DecodedImage, plan: GeometryPlan) -> Sequence[AnyArray]:
        if self.failing:
            raise InferenceFailed('the kernel failed')
        self.images += 1
        self.clock.now_s += self.device_s
        return (np.zeros(self.outputs[0].shape, np.float32),)


class Lender(Device):
    """A network whose input lies in memory of its own."""

    def __init__(self, clock: Clock, device_s: float) -> None:
        super().__init__(clock, device_s)
        self.input = np.zeros(self.inputs[0].shape, self.inputs[0].dtype)

    def infer_written(self, write: Callable[[AnyArray], None]) -> Sequence[AnyArray]:
        write(self.input)
        return self.model.infer([self.input])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


IMAGE = DecodedImage(np.zeros((48, 64, 3), np.uint8), 'bgr')


def plan_of(image: DecodedImage) -> GeometryPlan:
    return plan_geometry(image.size, INPUT.size, INPUT.resize)


def run(feed: Feed, image: DecodedImage = IMAGE, count: int = 1) -> None:
    for _ in range(count):
        feed.scores(image, plan_of(image), Stopwatch())


def prepared() -> None:
    """Wait for the threads that prepare."""
    for thread in threading.enumerate():
        if thread.name == 'preprocess':
            thread.join(WAIT_S)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ('device_s', 'used'), [(CPU_S * 0.8, True), (CPU_S * 0.95, False), (CPU_S * 3, False)]
)
def test_auto_takes_the_device_only_where_it_is_clearly_faster(
    clock: Clock, device_s: float, used: bool
) -> None:
    device = Device(clock, device_s)
    feed = Feed(INPUT, device, 'auto')
    feed.settle(IMAGE, plan_of(IMAGE))
    device.images = device.tensors = 0
    run(feed, count=5)
    assert (device.images, device.tensors) == ((5, 0) if used else (0, 5))


def test_a_size_that_comes_later_is_prepared_beside_the_frames_and_then_measured(
    clock: Clock,
) -> None:
    device = Device(clock, CPU_S / 2)
    device.gate = threading.Event()
    feed = Feed(INPUT, device, 'auto')
    run(feed, count=3)
    assert (device.images, device.tensors) == (0, 3)
    device.gate.set()
    prepared()
    run(feed, count=2 * SAMPLES + 1)
    assert (device.images, device.tensors) == (SAMPLES + 1, 3 + SAMPLES)
    run(feed, count=4)
    assert device.images == SAMPLES + 5


def test_one_size_is_prepared_at_a_time(clock: Clock) -> None:
    device = Device(clock, CPU_S / 2)
    device.gate = threading.Event()
    feed = Feed(INPUT, device, 'auto')
    for height in (20, 21, 22):
        run(feed, DecodedImage(np.zeros((height, 30, 3), np.uint8), 'rgb'))
    assert [thread.name for thread in threading.enumerate()].count('preprocess') == 1
    device.gate.set()
    prepared()
    assert len(device.ready) == 1


def test_each_camera_size_and_order_is_a_question_of_its_own(clock: Clock) -> None:
    device = Device(clock, CPU_S / 2)
    feed = Feed(INPUT, device, 'auto')
    feed.settle(IMAGE, plan_of(IMAGE))
    device.images = 0
    for other in (
        DecodedImage(IMAGE.pixels, 'rgb'),
        DecodedImage(np.zeros((60, 80, 3), np.uint8), 'bgr'),
    ):
        run(feed, other)
    assert device.images == 0
    prepared()


@pytest.mark.parametrize(
    'problem', [BackendUnavailable('there is no nvcc'), CompileFailed('it does not compile')]
)
@pytest.mark.parametrize('early', [True, False])
def test_auto_stays_on_the_cpu_where_the_device_cannot_and_says_why_once(
    clock: Clock, problem: Exception, early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    device = Device(clock, CPU_S / 2)
    device.problem = problem
    feed = Feed(INPUT, device, 'auto')
    if early:
        feed.settle(IMAGE, plan_of(IMAGE))
    run(feed)
    prepared()
    run(feed, count=5)
    assert device.tensors == 6
    assert [record.getMessage() for record in caplog.records] == [
        f'images are preprocessed on the CPU: {problem}'
    ]


def test_a_device_that_fails_while_it_is_measured_costs_no_frame(clock: Clock) -> None:
    device = Device(clock, CPU_S / 2)
    device.failing = True
    feed = Feed(INPUT, device, 'auto')
    feed.settle(IMAGE, plan_of(IMAGE))
    device.tensors = 0
    run(feed, count=3)
    assert device.tensors == 3


def test_gpu_by_name_means_the_device_from_the_first_frame(clock: Clock) -> None:
    device = Device(clock, CPU_S * 5)
    feed = Feed(INPUT, device, 'gpu')
    feed.settle(IMAGE, plan_of(IMAGE))
    run(feed, count=3)
    assert (device.images, device.tensors) == (3, 0)
    device.failing = True
    with pytest.raises(InferenceFailed, match='the kernel failed'):
        run(feed)


def test_gpu_by_name_is_refused_where_it_cannot_be(clock: Clock) -> None:
    device = Device(clock, CPU_S)
    device.problem = CompileFailed('it does not compile')
    feed = Feed(INPUT, device, 'gpu')
    with pytest.raises(CompileFailed, match='it does not compile'):
        feed.settle(IMAGE, plan_of(IMAGE))
    with pytest.raises(CompileFailed, match='preprocess: gpu with the backend fake'):
        Feed(INPUT, FakeModel('fake', Faults()), 'gpu')


@pytest.mark.parametrize('mode', ['cpu', 'auto'])
def test_a_backend_without_a_device_is_fed_from_the_cpu(mode: PreprocessMode) -> None:
    model = FakeModel('fake', Faults())
    feed = Feed(INPUT, model, mode)
    feed.settle(IMAGE, plan_of(IMAGE))
    watch = Stopwatch()
    feed.scores(IMAGE, plan_of(IMAGE), watch)
    assert [stage for stage, _ in watch.laps] == [Stage.PREPROCESS, Stage.INFER]


def test_a_backend_that_lends_its_input_is_written_to_in_place(clock: Clock) -> None:
    model = Lender(clock, CPU_S)
    feed, watch = Feed(INPUT, model, 'cpu'), Stopwatch()
    picture = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    image = DecodedImage(picture, 'bgr')
    feed.scores(image, plan_of(image), watch)
    assert np.array_equal(model.input, feed.tensor(image, plan_of(image)))
    assert model.tensors == 0
    assert [stage for stage, _ in watch.laps] == [Stage.PREPROCESS, Stage.INFER]


def test_cpu_by_name_leaves_the_device_alone(clock: Clock) -> None:
    device = Device(clock, 0.0)
    feed = Feed(INPUT, device, 'cpu')
    feed.settle(IMAGE, plan_of(IMAGE))
    run(feed, count=3)
    assert (device.images, device.tensors, device.ready) == (0, 3, set())


def test_any_number_of_camera_sizes_takes_no_memory(clock: Clock) -> None:
    device = Device(clock, CPU_S)
    device.problem = CompileFailed('it has enough')
    feed = Feed(INPUT, device, 'auto')
    for height in range(20, 20 + 3 * CHOICES_KEPT):
        run(feed, DecodedImage(np.zeros((height, 30, 3), np.uint8), 'rgb'))
    prepared()
    assert len(feed._choices) <= CHOICES_KEPT
    assert Size(30, 20) != IMAGE.size
