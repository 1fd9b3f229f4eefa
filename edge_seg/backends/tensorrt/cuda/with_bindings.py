"""CUDA through NVIDIA's cuda-bindings: no compiler needed to install, and CUDA graphs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
import ctypes
from importlib import import_module
import logging
from typing import Any

from edge_seg.backends.tensorrt.cuda.interface import (
    CaptureUnsupported,
    CudaFailed,
    DeviceBuffer,
    Event,
    GpuMemory,
    Graph,
    HostBuffer,
    Kernel,
    Stream,
)
import numpy as np

logger = logging.getLogger(__name__)
MODULE = 'cuda.bindings.driver'
_DEVICEMAP = 2  # CU_MEMHOSTALLOC_DEVICEMAP, a macro that the bindings do not name everywhere


class _Calls:
    """Calls driver functions and turns their status into exceptions."""

    def __init__(self) -> None:
        self.driver: Any = import_module(MODULE)

    def __call__(self, function: str, *arguments: Any) -> Any:
        """Call; gives what follows the status: nothing, one value or a tuple."""
        try:
            status, *values = getattr(self.driver, function)(*arguments)
        except RuntimeError as error:
            # Raised where the driver's library or the function in it is absent.
            raise CudaFailed(f'{function} failed: {error}') from error
        if int(status) != 0:
            raise CudaFailed(f'{function} failed: {getattr(status, "name", status)}')
        if len(values) == 1:
            return values[0]
        return tuple(values)


class BindingsStream:
    """A stream; the number that the driver knows it by is all that is kept."""

    def __init__(self, handle: int) -> None:
        self.handle = handle


class BindingsEvent:
    """An event; the bindings let the GIL go while waiting for it."""

    def __init__(self, call: _Calls, event: Any) -> None:
        self._call = call
        self._event = event

    def record(self, stream: Stream) -> None:
        """Put the mark into the stream."""
        self._call('cuEventRecord', self._event, stream.handle)

    def wait(self) -> None:
        """Wait for the mark."""
        self._call('cuEventSynchronize', self._event)


class BindingsGraph:
    """An instantiated CUDA graph."""

    def __init__(self, call: _Calls, graph: Any, destroy: Callable[[], None]) -> None:
        self._call = call
        self._graph = graph
        self.drop = destroy

    def launch(self, stream: Stream) -> None:
        """Put the recorded work into a stream."""
        self._call('cuGraphLaunch', self._graph, stream.handle)


class BindingsKernel:
    """A function in a module."""

    def __init__(self, call: _Calls, function: Any) -> None:
        self._call = call
        self._function = function

    def launch(
        self,
        addresses: Sequence[int],
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        stream: Stream,
    ) -> None:
        """Put it into a stream."""
        arguments = (tuple(addresses), (ctypes.c_void_p,) * len(addresses))
        self._call('cuLaunchKernel', self._function, *grid, *block, 0, stream.handle, arguments, 0)


class CudaBindings:
    """The primary context of one GPU, current on the thread that makes this object.

    Args:
        index: ordinal of the GPU.

    Raises:
        CudaFailed: the driver refuses.
    """

    def __init__(self, index: int) -> None:
        self._call = _Calls()
        self._frees: list[tuple[str, tuple[Any, ...]]] = []
        self._call('cuInit', 0)
        self._device = self._call('cuDeviceGet', index)
        context = self._call('cuDevicePrimaryCtxRetain', self._device)
        self._frees.append(('cuDevicePrimaryCtxRelease', (self._device,)))
        try:
            self._call('cuCtxPushCurrent', context)
        except CudaFailed:
            self.close()
            raise
        self._frees.append(('cuCtxPopCurrent', ()))

    @property
    def version(self) -> str:
        """Name and version."""
        return f'cuda-bindings {import_module("cuda.bindings").__version__}'

    @contextmanager
    def all_or_nothing(self, stream: Stream) -> Iterator[None]:
        """Free what was made inside when the block raises."""
        before = len(self._frees)
        try:
            yield
        except BaseException:
            with suppress(CudaFailed):  # the frees are tried all the same
                self.synchronize(stream)
            self._free_down_to(before)
            raise

    def memory(self) -> GpuMemory:
        """Free and total memory."""
        free, total = self._call('cuMemGetInfo')
        return GpuMemory(int(free), int(total))

    def allocate(self, nbytes: int) -> DeviceBuffer:
        """Take GPU memory."""
        address = int(self._call('cuMemAlloc', nbytes))
        self._frees.append(('cuMemFree', (address,)))
        return DeviceBuffer(address, nbytes)

    def allocate_host(self, nbytes: int, *, mapped: bool) -> HostBuffer:
        """Take page-locked memory."""
        pointer = int(self._call('cuMemHostAlloc', nbytes, _DEVICEMAP if mapped else 0))
        self._frees.append(('cuMemFreeHost', (pointer,)))
        address = int(self._call('cuMemHostGetDevicePointer', pointer, 0)) if mapped else 0
        memory = (ctypes.c_uint8 * nbytes).from_address(pointer)
        return HostBuffer(np.ctypeslib.as_array(memory), address)

    def stream(self) -> Stream:
        """Make a stream."""
        flags = self._call.driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        handle = int(self._call('cuStreamCreate', int(flags)))
        self._frees.append(('cuStreamDestroy', (handle,)))
        return BindingsStream(handle)

    def event(self) -> Event:
        """Make an event."""
        kinds = self._call.driver.CUevent_flags
        flags = int(kinds.CU_EVENT_BLOCKING_SYNC) | int(kinds.CU_EVENT_DISABLE_TIMING)
        event = self._call('cuEventCreate', flags)
        self._frees.append(('cuEventDestroy', (event,)))
        return BindingsEvent(self._call, event)

    def upload(self, target: DeviceBuffer, source: HostBuffer, stream: Stream) -> None:
        """Queue a copy to the GPU."""
        pointer, nbytes = source.array.ctypes.data, source.array.nbytes
        self._call('cuMemcpyHtoDAsync', target.address, pointer, nbytes, stream.handle)

    def download(self, target: HostBuffer, source: DeviceBuffer, stream: Stream) -> None:
        """Queue a copy from the GPU."""
        pointer, nbytes = target.array.ctypes.data, target.array.nbytes
        self._call('cuMemcpyDtoHAsync', pointer, source.address, nbytes, stream.handle)

    def synchronize(self, stream: Stream) -> None:
        """Wait for everything in a stream."""
        self._call('cuStreamSynchronize', stream.handle)

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """Record a CUDA graph, in the mode that leaves other threads alone."""
        mode = self._call.driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        graph: Any = None
        try:
            self._call('cuStreamBeginCapture', stream.handle, mode)
            try:
                enqueue()
            finally:
                # Also after a failure: a stream in capture mode takes no other work.
                graph = self._call('cuStreamEndCapture', stream.handle)
            executable = self._call('cuGraphInstantiate', graph, 0)
        except CudaFailed as error:
            raise CaptureUnsupported(str(error)) from error
        finally:
            if graph is not None:
                self._call('cuGraphDestroy', graph)
        destroying = ('cuGraphExecDestroy', (executable,))
        self._frees.append(destroying)
        return BindingsGraph(self._call, executable, lambda: self._free_early(destroying))

    def kernel(self, binary: bytes, name: str) -> Kernel:
        """Load a kernel."""
        module = self._call('cuModuleLoadData', binary)
        self._frees.append(('cuModuleUnload', (module,)))
        return BindingsKernel(self._call, self._call('cuModuleGetFunction', module, name.encode()))

    def close(self) -> None:
        """Free everything, newest first, then give the context back."""
        self._free_down_to(0)

    def _free_down_to(self, count: int) -> None:
        while len(self._frees) > count:
            self._free(*self._frees.pop())

    def _free_early(self, freeing: tuple[str, tuple[Any, ...]]) -> None:
        if freeing in self._frees:
            self._frees.remove(freeing)
            self._free(*freeing)

    def _free(self, function: str, arguments: tuple[Any, ...]) -> None:
        try:
            self._call(function, *arguments)
        except CudaFailed as error:
            # A failed GPU refuses its frees too; the rest must be freed all the same.
            logger.warning('CUDA refused to free something: %s', str(error))
