"""From camera image to scores, preprocessed on the CPU, or on the device where that is faster."""

from collections.abc import Callable
import logging
import statistics
import threading
import time
from typing import Literal

from edge_seg.backends.base import CompiledModel, LendsInput, TakesImages
from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import AnyArray, ColorOrder, DecodedImage, InputSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, EdgeSegError, InferenceFailed
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

PreprocessMode = Literal['cpu', 'gpu', 'auto']
SAMPLES = 8
"""Frames that each way is measured on."""
MARGIN = 0.9
"""The device must take less than this share of the CPU's time to be worth its complications."""
CHOICES_KEPT = 16
_Key = tuple[GeometryPlan, ColorOrder]


class _Choice:
    """What is known of one camera size; the frame's thread uses it, another one prepares."""

    def __init__(self) -> None:
        self.preparing: threading.Thread | None = None
        self.problem = ''  # set before ``preparing`` ends
        self.cpu_s: list[float] = []
        self.device_s: list[float] = []
        self.settled: Literal['', 'cpu', 'device'] = ''


class Feed:
    """Runs a compiled model on camera images. One thread at a time.

    With mode 'auto' both ways are measured, for each camera size on its own: at the warm-up where
    the size is known by then, else on the first frames. Their masks are the same within what one
    grey level of the image changes. Preparing a size takes seconds, in another thread; frames go
    through the CPU until then.

    Args:
        spec: what the manifest says of the input.
        compiled: the network.
        mode: where to preprocess.

    Raises:
        CompileFailed: mode 'gpu' with a backend that cannot.
        IncompatibleModel: the input that was declared is not that of ``compiled``.
    """

    def __init__(self, spec: InputSpec, compiled: CompiledModel, mode: PreprocessMode) -> None:
        self._compiled = compiled
        self._preprocess = Preprocessor(spec, compiled.inputs[0])
        self._lender = compiled if isinstance(compiled, LendsInput) else None
        self._device = compiled if isinstance(compiled, TakesImages) and mode != 'cpu' else None
        self._measures = mode == 'auto'
        self._choices: dict[_Key, _Choice] = {}
        self._preparing: threading.Thread | None = None
        if mode == 'gpu' and self._device is None:
            raise CompileFailed(
                f'preprocess: gpu with the backend {compiled.report.backend}',
                expected='the backend tensorrt',
                remedy='set preprocess: cpu or auto',
            )

    def scores(self, image: DecodedImage, plan: GeometryPlan, watch: Stopwatch) -> AnyArray:
        """Run one frame.

        Args:
            image: the camera image.
            plan: its geometry.
            watch: receives PREPROCESS and INFER; on the device both are INFER.

        Raises:
            InferenceFailed: the backend failed.
        """
        if self._device is None:
            return self._on_cpu(image, plan, watch)
        choice = self._choice(image, plan)
        if choice.settled == 'cpu':
            return self._on_cpu(image, plan, watch)
        if not self._device.takes_images(plan, image.order):
            self._prepare(self._device, choice, (plan, image.order))
            return self._on_cpu(image, plan, watch)  # not measured: a compiler runs beside it
        if choice.settled == 'device':
            return self._on_device(self._device, image, plan, watch)
        return self._measured(self._device, choice, image, plan, watch)

    def settle(self, image: DecodedImage, plan: GeometryPlan) -> None:
        """Prepare for images like this one and measure, now; before the model serves.

        Raises:
            BackendUnavailable, CompileFailed: mode 'gpu', and it cannot be done here.
            InferenceFailed: the backend failed.
        """
        if self._device is None:
            return
        choice = self._choice(image, plan)
        try:
            self._device.prepare_images(plan, image.order)
        except (BackendUnavailable, CompileFailed) as problem:
            if not self._measures:
                raise
            self._give_up(choice, problem)
        while not choice.settled:
            self.scores(image, plan, Stopwatch())

    def tensor(self, image: DecodedImage, plan: GeometryPlan) -> AnyArray:
        """Preprocess on the CPU, whatever the mode."""
        return self._preprocess(image, plan)

    def _choice(self, image: DecodedImage, plan: GeometryPlan) -> _Choice:
        key = plan, image.order
        choice = self._choices.get(key)
        if choice is None:
            if len(self._choices) >= CHOICES_KEPT:  # a fuzzer's
                self._choices.clear()
            choice = self._choices[key] = _Choice()
            if not self._measures:
                choice.settled = 'device'
        return choice

    def _on_cpu(self, image: DecodedImage, plan: GeometryPlan, watch: Stopwatch) -> AnyArray:
        def write(tensor: AnyArray) -> None:
            self._preprocess.fill(tensor, image, plan)
            watch.lap(Stage.PREPROCESS)

        if self._lender is not None:
            scores = self._lender.infer_written(write)[0]
        else:
            tensor = self._preprocess(image, plan)
            watch.lap(Stage.PREPROCESS)
            scores = self._compiled.infer([tensor])[0]
        watch.lap(Stage.INFER)
        return scores

    def _on_device(
        self, device: TakesImages, image: DecodedImage, plan: GeometryPlan, watch: Stopwatch
    ) -> AnyArray:
        watch.lap(Stage.PREPROCESS)
        scores = device.infer_image(image, plan)[0]
        watch.lap(Stage.INFER)
        return scores

    def _measured(
        self,
        device: TakesImages,
        choice: _Choice,
        image: DecodedImage,
        plan: GeometryPlan,
        watch: Stopwatch,
    ) -> AnyArray:
        """Run the way that lacks measurements; decide once both have enough."""
        if len(choice.cpu_s) < SAMPLES:
            return self._timed(choice.cpu_s, lambda: self._on_cpu(image, plan, watch))
        try:
            scores = self._timed(
                choice.device_s, lambda: self._on_device(device, image, plan, watch)
            )
        except InferenceFailed as problem:
            self._give_up(choice, problem)
            return self._on_cpu(image, plan, watch)
        if len(choice.device_s) > SAMPLES:  # one more: the first launch loads the kernel
            self._decide(choice, plan)
        return scores

    def _decide(self, choice: _Choice, plan: GeometryPlan) -> None:
        cpu_s, device_s = choice.cpu_s[-SAMPLES:], choice.device_s[-SAMPLES:]
        choice.settled = 'device' if worth_it(cpu_s, device_s) else 'cpu'
        logger.info(
            'images of %dx%d are preprocessed on the %s: %.2f ms a frame on the CPU, %.2f ms on '
            'the device',
            plan.camera.width,
            plan.camera.height,
            'CPU' if choice.settled == 'cpu' else 'device',
            statistics.median(cpu_s) * 1e3,
            statistics.median(device_s) * 1e3,
        )

    def _prepare(self, device: TakesImages, choice: _Choice, key: _Key) -> None:
        """Begin to prepare a camera size in another thread, or see how that ended."""
        if choice.preparing is None:
            if self._preparing is not None and self._preparing.is_alive():
                return  # one compiler at a time, however often the size changes

            def prepare() -> None:
                try:
                    device.prepare_images(*key)
                except (BackendUnavailable, CompileFailed) as problem:
                    choice.problem = str(problem)

            # A daemon: a compiler that hangs must not keep the process from ending.
            thread = threading.Thread(target=prepare, name='preprocess', daemon=True)
            self._preparing = choice.preparing = thread
            thread.start()
        elif not choice.preparing.is_alive() and choice.problem:
            self._give_up(choice, choice.problem)

    def _give_up(self, choice: _Choice, problem: EdgeSegError | str) -> None:
        choice.settled = 'cpu'
        logger.warning('images are preprocessed on the CPU: %s', str(problem))

    def _timed(self, durations_s: list[float], run: Callable[[], AnyArray]) -> AnyArray:
        begin_s = time.monotonic()
        scores = run()
        durations_s.append(time.monotonic() - begin_s)
        del durations_s[: -SAMPLES - 1]
        return scores


def worth_it(cpu_s: list[float], device_s: list[float]) -> bool:
    """Decide from measurements on this machine whether the device preprocesses.

    Args:
        cpu_s: whole frames, preprocessed on the CPU.
        device_s: whole frames, upload of the camera image included.
    """
    return statistics.median(device_s) < MARGIN * statistics.median(cpu_s)
