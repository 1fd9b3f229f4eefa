"""One engine on one GPU: everything it holds, made, used and freed on the owner thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
import logging
import math
from typing import NoReturn

from edge_seg.backends.base import CompileReport
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.cuda.interface import Cuda, CudaFailed, GpuMemory, Stream
from edge_seg.backends.tensorrt.cuda.owner import release_locals
from edge_seg.backends.tensorrt.engine.fitting import (
    EngineTensor,
    fit_input,
    fit_output,
    InputFit,
    OutputFit,
    pick_output,
)
from edge_seg.backends.tensorrt.engine.loaded import LoadedEngine
from edge_seg.backends.tensorrt.engine.precision import check_precision, settled_precision
from edge_seg.backends.tensorrt.files.engine import EngineFile
from edge_seg.backends.tensorrt.library.sdk import Sdk
from edge_seg.backends.tensorrt.library.translate import explain, RESTART
from edge_seg.backends.tensorrt.options import RunOptions
from edge_seg.backends.tensorrt.preprocessing.image_input import ImageInput
from edge_seg.backends.tensorrt.preprocessing.kernel import KernelProgram
from edge_seg.backends.tensorrt.serving.buffers import Port, PortPlan
from edge_seg.backends.tensorrt.serving.frame_graph import FrameGraph
from edge_seg.backends.tensorrt.serving.memory_fit import check_room, is_scarce, usable
from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.values import AnyArray, ColorOrder, ModelSpec, TensorSpec, UInt8Array
from edge_seg.errors import CompileFailed, IncompatibleModel, InferenceFailed
import numpy as np

logger = logging.getLogger(__name__)

ImageKey = tuple[GeometryPlan, ColorOrder]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What to load and how.

    Attributes:
        file: the engine.
        spec: what the manifest declares.
        device: the GPU.
        options: how it is run.
        precision: 'auto', or the one that the engine must compute in.
    """

    file: EngineFile
    spec: ModelSpec
    device: DeviceInfo
    options: RunOptions
    precision: str

    @property
    def model(self) -> str:
        """Name and version as operators write them."""
        return f'{self.spec.name}@{self.spec.version}'


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What a loaded engine takes and gives."""

    input: InputFit
    output: OutputFit
    report: CompileReport


class EngineSession:
    """A loaded engine with its context, stream and buffers.

    Made, used and closed on one thread, the one that opened ``cuda``, which is closed with this
    object, also when making it fails.

    Args:
        sdk: TensorRT.
        cuda: the GPU, open.
        request: what to load.

    Attributes:
        mapped: the GPU works in the memory of ``image`` itself.

    Raises:
        BackendUnavailable: TensorRT does not start, or there is no such DLA core.
        CompileFailed: the engine does not load or does not fit into memory.
        IncompatibleModel: it is not what the manifest says.
    """

    def __init__(self, sdk: Sdk, cuda: Cuda, request: EngineRequest) -> None:
        self._cuda = cuda
        self._file = request.file.name
        self._engine: LoadedEngine | None = None
        self._stream: Stream | None = None
        self._graph: FrameGraph | None = None
        self._integrated = request.device.integrated
        self.mapped = request.options.mapped(request.device)
        # Of what host and GPU share; on an integrated GPU the host's is in the same memory.
        self._copies = 2 if self._integrated and not self.mapped else 1
        self._images: dict[ImageKey, ImageInput] = {}
        try:
            self.description = self._open(sdk, request)
        except CudaFailed as error:
            self._abandon(error)
            why = explain([str(error)], model=request.model)
            raise CompileFailed(
                f'{self._file} cannot be loaded: {why.met}', remedy=why.remedy or RESTART
            ) from error
        except BaseException as error:
            self._abandon(error)
            raise

    @property
    def image(self) -> AnyArray:
        """What ``run`` runs, as ``description.input.spec`` says: pinned, gone with ``close``."""
        return self._image.array.reshape(self.description.input.spec.shape)

    def run(self, result: AnyArray) -> None:
        """Run one frame: what lies in ``image``.

        Args:
            result: filled here, so that the answer is whole and no pinned memory.

        Raises:
            InferenceFailed: TensorRT or CUDA failed.
        """
        graph = self._graph
        work = self._enqueue if graph is None else partial(graph.queue, self._enqueue)
        self._finished(work, result)
        if graph is not None:
            graph.record(self._enqueue)

    def add_images(self, key: ImageKey, program: KernelProgram, binary: bytes) -> None:
        """Make ready for camera images of one size and order of channels.

        Args:
            key: names them from then on.
            program: the kernel and what it needs.
            binary: the kernel, compiled.

        Raises:
            CompileFailed: no memory, or the kernel does not load.
        """
        try:
            self._check_room({'camera image': self._copies * program.image_bytes})
            self._images[key] = ImageInput(
                self._cuda, program, binary, self._running, mapped=self.mapped
            )
        except CudaFailed as error:
            raise CompileFailed(f'the preprocessing kernel does not load: {error}') from error

    def run_image(self, key: ImageKey, pixels: UInt8Array, result: AnyArray) -> None:
        """Run one frame from the camera's pixels; otherwise as ``run``, without a CUDA graph."""

        def work() -> None:
            self._images[key].enqueue(pixels, self._image.address, self._running)
            self._enqueue_engine()

        self._finished(work, result)

    def _finished(self, work: Callable[[], None], result: AnyArray) -> None:
        """Queue work, wait for its end without holding the processor, take the answer."""
        try:
            work()
            self._event.record(self._running)
            self._event.wait()
        except CudaFailed as error:
            self._fail(error)
        except InferenceFailed:
            self._drain()
            raise
        np.copyto(result, self._answer.array.reshape(result.shape))

    def close(self) -> None:
        """Free everything; twice is fine; never raises."""
        self._drain()
        self._stream = None
        if self._graph is not None:
            self._graph.drop()  # before the engine, whose kernels it launches
            self._graph = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._cuda.close()

    def _open(self, sdk: Sdk, request: EngineRequest) -> EngineDescription:
        file, options = request.file, request.options
        self._check_room({'weights': len(file.blob)})
        engine = self._engine = LoadedEngine(
            sdk,
            file,
            model=request.model,
            dla_core=options.dla_core,
            scarce=is_scarce(self._free(), len(file.blob)),
        )
        precision = engine.precision
        if file.record is not None:
            precision = settled_precision(file.record.key.precision, precision, file.name)
        check_precision(request.precision, precision, file.name)
        tensors = engine.tensors
        fit = fit_input(tensors, request.spec, file=file.name)
        self._check_room({'activations': engine.activation_bytes})
        self._stream = self._running = self._cuda.stream()
        if options.cuda_graph:
            self._graph = FrameGraph(self._cuda, self._running, file.name)
        engine.make_context(fit, self._running.handle)
        plans = [_plan(each, engine, file.name) for each in tensors]
        chosen = pick_output(tensors, request.spec, file=file.name)
        output = fit_output(
            replace(chosen, shape=engine.shape(chosen.name)), request.spec, file=file.name
        )
        self._allocate(engine, plans, (fit.spec, output.spec))
        self._event = self._cuda.event()
        report = CompileReport(
            'tensorrt', sdk.version, _place(request), precision, fit.fused + output.fused
        )
        return EngineDescription(fit, output, report)

    def _allocate(
        self,
        engine: LoadedEngine,
        plans: Sequence[PortPlan],
        shared: tuple[TensorSpec, TensorSpec],
    ) -> None:
        """Make memory for every tensor; the host reaches two of them: ``shared``."""
        needed = self._copies * sum(plan.nbytes for plan in plans)
        self._check_room({'inputs and outputs': needed})
        dtypes = {spec.name: spec.dtype for spec in shared}
        ports: dict[str, Port] = {}
        for plan in plans:
            if plan.name in dtypes:
                dtype = dtypes[plan.name]
                port = ports[plan.name] = Port(self._cuda, plan, dtype, mapped=self.mapped)
                engine.bind(plan.name, port.address)
            else:
                # TensorRT computes every output and wants a place for it.
                engine.bind(plan.name, self._cuda.allocate(plan.nbytes).address)
        self._image, self._answer = (ports[spec.name] for spec in shared)

    def _check_room(self, needs: dict[str, int]) -> None:
        check_room(self._file, needs, self._free())

    def _free(self) -> GpuMemory:
        return usable(self._cuda.memory(), integrated=self._integrated)

    def _enqueue(self) -> None:
        self._image.upload(self._running)
        self._enqueue_engine()

    def _enqueue_engine(self) -> None:
        assert self._engine is not None
        self._engine.enqueue(self._running.handle)
        self._answer.download(self._running)

    def _abandon(self, error: BaseException) -> None:
        release_locals(error)  # while the context is still there
        self.close()

    def _fail(self, error: CudaFailed) -> NoReturn:
        self._drain()
        why = explain([str(error)])
        raise InferenceFailed(f'CUDA failed: {why.met}', remedy=why.remedy or RESTART) from error

    def _drain(self) -> None:
        """Wait until the GPU is done with the buffers, as far as it still answers."""
        if self._stream is None:
            return
        try:
            self._cuda.synchronize(self._stream)
        except CudaFailed as error:
            # As text: a log handler that keeps the exception would keep GPU objects alive.
            logger.warning('%s: the GPU does not come to rest: %s', self._file, str(error))


def _place(request: EngineRequest) -> str:
    """Say where the engine runs; only its record tells whether it uses an accelerator."""
    core = request.options.dla_core
    if core < 0:
        return str(request.device)
    doubt = '' if request.file.record else ', if the engine was built for one'
    return f'{request.device} with DLA core {core}{doubt}'


def _plan(tensor: EngineTensor, engine: LoadedEngine, file: str) -> PortPlan:
    name = tensor.found.name
    shape = engine.shape(name)
    if min(shape, default=0) < 0:
        raise IncompatibleModel(
            f'{file}: the size of {name} depends on the data',
            expected='every axis fixed once the input size is fixed',
            remedy='export the network without post-processing',
        )
    return PortPlan(name, shape, math.prod(shape) * tensor.element_bytes)
