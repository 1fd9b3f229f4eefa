"""A model run by TensorRT, as the rest of edge_seg sees it: any thread, no CUDA."""

from collections.abc import Callable, Sequence
from functools import partial
import logging
from threading import Lock
import weakref

from edge_seg.backends.base import CompileReport
from edge_seg.backends.feed import check_tensors, closed_error
from edge_seg.backends.tensorrt.cuda.opening import open_cuda
from edge_seg.backends.tensorrt.cuda.owner import OwnerGone, OwnerThread
from edge_seg.backends.tensorrt.library.sdk import Sdk
from edge_seg.backends.tensorrt.library.translate import RESTART
from edge_seg.backends.tensorrt.preprocessing.compiling import compile_kernel
from edge_seg.backends.tensorrt.preprocessing.kernel import kernel_program
from edge_seg.backends.tensorrt.serving.session import EngineRequest, EngineSession, ImageKey
from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.values import AnyArray, ColorOrder, DecodedImage, OutputKind, TensorSpec
from edge_seg.errors import CompileFailed, InferenceFailed
import numpy as np

logger = logging.getLogger(__name__)

INFER_TIMEOUT_S = 30.0
"""The first frame may load kernels for seconds; a GPU that takes longer is taken for hung."""
LOAD_TIMEOUT_S = 120.0
"""Large engines take seconds; the model that serves waits for nothing meanwhile."""
CLOSE_TIMEOUT_S = 10.0
FRAME_END_S = INFER_TIMEOUT_S + CLOSE_TIMEOUT_S
"""How long closing waits for a frame, or for another who closes."""
IMAGE_SIZES_KEPT = 4
"""Each takes pinned and GPU memory of the size of the image until the model is closed."""


class TensorRtModel:
    """One engine, with a thread of its own that does all of CUDA and TensorRT for it.

    Args:
        sdk: TensorRT.
        layer: the Python layer for CUDA, from ``choose_layer``.
        request: what to load.

    Raises:
        BackendUnavailable, CompileFailed, IncompatibleModel: as ``Backend.compile_model``.
    """

    def __init__(self, sdk: Sdk, layer: str, request: EngineRequest) -> None:
        # Not the request: the whole engine file hangs on it.
        self._input = request.spec.input
        self._compute_capability = request.device.compute_capability
        self._image_keys: set[ImageKey] = set()  # only grows; any thread may look
        self._owner = OwnerThread(f'tensorrt {request.file.name}')
        self._session = _opened(self._owner, sdk, layer, request)
        self._described = self._session.description
        output = self._described.output.spec
        self._result: AnyArray = np.zeros(output.shape, output.dtype)
        self._image = self._session.image
        self._end = _End(self._owner, self._session)
        # Also when nobody closes it: on garbage collection and when the interpreter ends. A
        # context left pushed would abort the process.
        self._uncollected = weakref.finalize(self, self._end)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One image: raw uint8 pixels when the engine normalises by itself, else normalised."""
        return (self._described.input.spec,)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The one output that the manifest names, in the engine's own dtype."""
        return (self._described.output.spec,)

    @property
    def output_kind(self) -> OutputKind:
        """Meaning of the output; LABELS when the engine gives class ids."""
        return self._described.output.kind

    @property
    def report(self) -> CompileReport:
        """What loading came to."""
        return self._described.report

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        """Run one frame.

        Args:
            tensors: one C-contiguous array as ``inputs[0]`` says.

        Returns:
            One array, the same in every call: valid until the next one, not to be written.

        Raises:
            InferenceFailed: wrong array, TensorRT or CUDA failed or hangs, or the model is
                closed.
        """
        with self._end.frame:
            self._end.check()
            check_tensors(tensors, self.inputs)
            np.copyto(self._image, tensors[0])
            self._image = self._image.view()  # another object: its content is another's
            return self._answered(partial(self._session.run, self._result))

    def infer_written(self, write: Callable[[AnyArray], None]) -> Sequence[AnyArray]:
        """Run one frame that is written into pinned memory; see ``LendsInput``.

        Raises:
            InferenceFailed: as ``infer``.
        """
        with self._end.frame:
            self._end.check()
            write(self._image)
            return self._answered(partial(self._session.run, self._result))

    def prepare_images(self, plan: GeometryPlan, order: ColorOrder) -> None:
        """Compile and load the preprocessing kernel for images of one size; takes seconds.

        Frames go on meanwhile, but for the moment in which the kernel is loaded.

        Raises:
            BackendUnavailable: there is no nvcc.
            CompileFailed: the kernel cannot be compiled or loaded.
        """
        if self.takes_images(plan, order):
            return
        if len(self._image_keys) >= IMAGE_SIZES_KEPT:  # before seconds of compiling
            raise CompileFailed(
                f'{IMAGE_SIZES_KEPT} camera sizes are preprocessed on the GPU already'
            )
        step = plan.camera.width * (1 if order == 'gray' else len(order))
        program = kernel_program(self._input, self.inputs[0], plan, order, step)
        binary = compile_kernel(program.source, self._compute_capability)
        load = partial(self._session.add_images, (plan, order), program, binary)
        try:
            self._owner.call(load, timeout_s=INFER_TIMEOUT_S)
        except OwnerGone as error:
            raise CompileFailed(f'the preprocessing kernel does not load: {error}') from error
        self._image_keys.add((plan, order))

    def takes_images(self, plan: GeometryPlan, order: ColorOrder) -> bool:
        """Whether ``prepare_images`` has done its work."""
        return (plan, order) in self._image_keys

    def infer_image(self, image: DecodedImage, plan: GeometryPlan) -> Sequence[AnyArray]:
        """Run one frame, preprocessed on the GPU; otherwise as ``infer``.

        Args:
            image: of a size and order that ``takes_images`` knows.
            plan: its geometry.

        Raises:
            InferenceFailed: as ``infer``.
        """
        with self._end.frame:
            self._end.check()
            if self._session.mapped:  # there the kernel writes to the image itself
                self._image = self._image.view()
            key = plan, image.order
            return self._answered(
                partial(self._session.run_image, key, image.pixels, self._result)
            )

    def _answered(self, work: Callable[[], None]) -> Sequence[AnyArray]:
        try:
            self._owner.call(work, timeout_s=INFER_TIMEOUT_S)
        except OwnerGone as error:
            raise InferenceFailed(f'the GPU hangs: {error}', remedy=RESTART) from error
        return (self._result,)

    def close(self) -> None:
        """Free everything after the frame that is running; twice is fine, from any thread.

        A frame that does not end keeps its memory: until the interpreter ends, when it is tried
        again.
        """
        if self._end():
            self._uncollected.detach()  # not before: the end of the interpreter waits for this


def _opened(owner: OwnerThread, sdk: Sdk, layer: str, request: EngineRequest) -> EngineSession:
    """Load on the owner thread; what comes after the caller gave up is closed over there."""
    made: list[EngineSession] = []

    def make() -> EngineSession:
        made.append(EngineSession(sdk, open_cuda(layer, request.device.index), request))
        return made[0]

    def close() -> None:
        for session in made:
            session.close()

    try:
        return owner.call(make, timeout_s=LOAD_TIMEOUT_S)
    except BaseException as error:
        owner.stop(CLOSE_TIMEOUT_S, last=close)
        if not isinstance(error, OwnerGone):
            raise
        raise CompileFailed(
            f'{request.file.name} cannot be loaded, the GPU hangs: {error}', remedy=RESTART
        ) from error


class _End:
    """Frees what a model holds, once, after the frame that is running.

    Not part of the model, which is gone when it is collected.

    Attributes:
        frame: held by who uses the model's memory, and while it is freed.
    """

    def __init__(self, owner: OwnerThread, session: EngineSession) -> None:
        self.frame = Lock()
        self._owner = owner
        self._session = session
        self._closed = False
        self._freed = False

    def check(self) -> None:
        """Raise when closed, inside a frame."""
        if self._closed:
            raise closed_error()

    def __call__(self) -> bool:
        """Free everything; whoever else is at it is waited for.

        Returns:
            False when a frame did not end in time.
        """
        self._closed = True  # no further frame, also when this is interrupted
        if not self.frame.acquire(timeout=FRAME_END_S):
            logger.error('GPU memory is not freed: a frame of a TensorRT model does not end')
            return False
        try:
            if not self._freed:
                self._free()
                self._freed = True
        finally:
            self.frame.release()
        return True

    def _free(self) -> None:
        try:
            self._owner.call(self._session.close, timeout_s=CLOSE_TIMEOUT_S)
        except OwnerGone as error:
            logger.error('GPU memory is not freed until the GPU answers: %s', error)
        if not self._owner.stop(CLOSE_TIMEOUT_S, last=self._session.close):
            logger.error('the thread of a TensorRT model does not end')
