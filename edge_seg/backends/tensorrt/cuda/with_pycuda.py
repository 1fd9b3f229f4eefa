"""CUDA through PyCUDA; ``pycuda.autoinit`` is never imported, the context is the primary one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
import logging
from typing import Any

from edge_seg.backends.tensorrt.cuda.driver import DriverRefused, pop_context
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
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING; PyCUDA has no name for it


class PyCudaStream:
    """Holds a stream, so that it can be dropped on the owner thread whoever holds this."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @property
    def handle(self) -> int:
        """The driver's handle; TensorRT takes no stream object."""
        return int(self.stream.handle)

    def drop(self) -> None:
        """Let PyCUDA destroy it."""
        self.stream = None


class PyCudaEvent:
    """Holds an event; PyCUDA lets the GIL go while waiting for it."""

    def __init__(self, event: Any, failure: type[Exception]) -> None:
        self._event = event
        self._failure = failure

    def record(self, stream: Stream) -> None:
        """Put the mark into the stream."""
        assert isinstance(stream, PyCudaStream)
        try:
            self._event.record(stream.stream)
        except self._failure as error:
            raise _failed('recording an event', error) from error

    def wait(self) -> None:
        """Wait for the mark."""
        try:
            self._event.synchronize()
        except self._failure as error:
            raise _failed('waiting for the GPU', error) from error

    def drop(self) -> None:
        """Let PyCUDA destroy it."""
        self._event = None


class PyCudaKernel:
    """Holds a kernel and the module that it is in."""

    def __init__(self, module: Any, name: str, failure: type[Exception]) -> None:
        self._module = module
        self._function = module.get_function(name)
        self._failure = failure

    def launch(
        self,
        addresses: Sequence[int],
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        stream: Stream,
    ) -> None:
        """Put it into a stream."""
        assert isinstance(stream, PyCudaStream)
        arguments = [np.uintp(address) for address in addresses]
        try:
            self._function(*arguments, block=block, grid=grid, stream=stream.stream)
        except self._failure as error:
            raise _failed('launching a kernel', error) from error

    def drop(self) -> None:
        """Let PyCUDA unload it."""
        self._function = None
        self._module = None


class PyCuda:
    """The primary context of one GPU, current on the thread that makes this object.

    Args:
        index: ordinal of the GPU.

    Raises:
        CudaFailed: the driver refuses.
    """

    def __init__(self, index: int) -> None:
        self._driver: Any = import_module('pycuda.driver')
        self._failure: type[Exception] = self._driver.Error
        self._frees: list[Callable[[], None]] = []
        try:
            self._driver.init()
            self._context: Any = self._driver.Device(index).retain_primary_context()
        except self._failure as error:
            raise _failed(f'opening GPU.{index}', error) from error
        self._frees.append(self._detach)
        try:
            self._context.push()
        except self._failure as error:
            self.close()
            raise _failed(f'opening GPU.{index}', error) from error
        self._frees.append(self._pop)

    @property
    def version(self) -> str:
        """Name and version."""
        return f'pycuda {import_module("pycuda").VERSION_TEXT}'

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
        try:
            free, total = self._driver.mem_get_info()
        except self._failure as error:
            raise _failed('asking for the free memory', error) from error
        return GpuMemory(int(free), int(total))

    def allocate(self, nbytes: int) -> DeviceBuffer:
        """Take GPU memory."""
        try:
            allocation = self._driver.mem_alloc(nbytes)
        except self._failure as error:
            raise _failed(f'allocating {nbytes} bytes on the GPU', error) from error
        self._frees.append(allocation.free)
        return DeviceBuffer(int(allocation), nbytes)

    def allocate_host(self, nbytes: int, *, mapped: bool) -> HostBuffer:
        """Take page-locked memory."""
        flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
        try:
            array = self._driver.pagelocked_empty(nbytes, np.uint8, mem_flags=flags)
            self._frees.append(array.base.free)
            address = int(array.base.get_device_pointer()) if mapped else 0
        except self._failure as error:
            raise _failed(f'allocating {nbytes} bytes of pinned memory', error) from error
        return HostBuffer(array, address)

    def stream(self) -> Stream:
        """Make a stream."""
        try:
            stream = PyCudaStream(self._driver.Stream(_NON_BLOCKING))
        except self._failure as error:
            raise _failed('making a stream', error) from error
        self._frees.append(stream.drop)
        return stream

    def event(self) -> Event:
        """Make an event."""
        kinds = self._driver.event_flags
        flags = int(kinds.BLOCKING_SYNC) | int(kinds.DISABLE_TIMING)
        try:
            event = PyCudaEvent(self._driver.Event(flags), self._failure)
        except self._failure as error:
            raise _failed('making an event', error) from error
        self._frees.append(event.drop)
        return event

    def upload(self, target: DeviceBuffer, source: HostBuffer, stream: Stream) -> None:
        """Queue a copy to the GPU."""
        assert isinstance(stream, PyCudaStream)
        try:
            self._driver.memcpy_htod_async(target.address, source.array, stream.stream)
        except self._failure as error:
            raise _failed('copying to the GPU', error) from error

    def download(self, target: HostBuffer, source: DeviceBuffer, stream: Stream) -> None:
        """Queue a copy from the GPU."""
        assert isinstance(stream, PyCudaStream)
        try:
            self._driver.memcpy_dtoh_async(target.array, source.address, stream.stream)
        except self._failure as error:
            raise _failed('copying from the GPU', error) from error

    def synchronize(self, stream: Stream) -> None:
        """Wait for everything in a stream."""
        assert isinstance(stream, PyCudaStream)
        try:
            stream.stream.synchronize()
        except self._failure as error:
            raise _failed('waiting for the GPU', error) from error

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """Refuse: PyCUDA has no CUDA graphs."""
        raise CaptureUnsupported(
            'PyCUDA cannot record CUDA graphs; install cuda-bindings and set cuda: cuda-bindings'
        )

    def kernel(self, binary: bytes, name: str) -> Kernel:
        """Load a kernel."""
        try:
            module = self._driver.module_from_buffer(binary)
            kernel = PyCudaKernel(module, name, self._failure)
        except self._failure as error:
            raise _failed('loading a kernel', error) from error
        self._frees.append(kernel.drop)
        return kernel

    def close(self) -> None:
        """Free everything, newest first, then give the context back."""
        self._free_down_to(0)

    def _free_down_to(self, count: int) -> None:
        while len(self._frees) > count:
            free = self._frees.pop()
            try:
                free()
            except self._failure as error:
                # A failed GPU refuses its frees too; the rest must be freed all the same.
                logger.warning('CUDA refused to free something: %s', str(error))

    def _pop(self) -> None:
        self._driver.Context.pop()

    def _detach(self) -> None:
        context, self._context = self._context, None
        context.detach()
        # PyCUDA pushes what it detaches when it is not current, and counts on the release to pop
        # it, which holds for no primary context (context::detach in cuda.hpp; the CUDA manual at
        # cuDevicePrimaryCtxRelease). Detaching before the pop leaves as much behind.
        try:
            pop_context()
        except DriverRefused as refusal:
            logger.warning('the CUDA context stays on its thread: %s', refusal)


def _failed(what: str, error: Exception) -> CudaFailed:
    return CudaFailed(f'{what} failed: {" ".join(str(error).split())}')
