"""What the TensorRT backend asks of CUDA, whichever Python layer is underneath."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edge_seg.core.values import UInt8Array


class CudaFailed(Exception):
    """A CUDA call failed; the text names the call and the driver's answer."""


class CaptureUnsupported(CudaFailed):
    """This layer cannot record CUDA graphs, or this recording failed; run without."""


class GpuMemory(NamedTuple):
    """Bytes, as ``cuMemGetInfo`` gives them; on Jetson it is the memory of the whole machine."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class DeviceBuffer:
    """Memory of the GPU.

    Attributes:
        address: as the GPU sees it.
        nbytes: size.
    """

    address: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class HostBuffer:
    """Page-locked memory of the host, which the GPU copies from and to by itself.

    Attributes:
        array: its bytes. No view of it may be touched once the layer is closed.
        device_address: where the GPU sees it; 0 unless it is mapped.
    """

    array: UInt8Array
    device_address: int


class Stream(Protocol):
    """A queue of work for the GPU."""

    @property
    def handle(self) -> int:
        """The driver's handle."""


class Event(Protocol):
    """A mark in a stream; waiting for it lets other threads run and spins no processor."""

    def record(self, stream: Stream) -> None:
        """Put the mark behind what is in the stream."""

    def wait(self) -> None:
        """Wait until the GPU has come to the mark."""


class Graph(Protocol):
    """Work recorded once and launched by one call."""

    def launch(self, stream: Stream) -> None:
        """Put the work into a stream."""

    def drop(self) -> None:
        """Free it, before what it launches is freed; twice is fine."""


class Kernel(Protocol):
    """A function that runs on the GPU."""

    def launch(
        self,
        addresses: Sequence[int],
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        stream: Stream,
    ) -> None:
        """Put it into a stream.

        Args:
            addresses: its arguments, all of them places in GPU memory.
            grid: blocks.
            block: threads of each.
            stream: where it runs.
        """


class Cuda(Protocol):
    """One GPU, its retained primary context current on the thread that opened it.

    Every method belongs on that thread. Everything made here is freed by ``close``, newest
    first, on that thread too: a buffer freed elsewhere leaks. Every method raises CudaFailed.
    """

    @property
    def version(self) -> str:
        """Name and version of the layer, e.g. 'pycuda 2025.1.2'."""

    def all_or_nothing(self, stream: Stream) -> AbstractContextManager[None]:
        """Free what was made inside, newest first, when the block raises.

        Args:
            stream: what is in it is waited for first, it may use what is freed.
        """

    def memory(self) -> GpuMemory:
        """Free and total memory of the GPU."""

    def allocate(self, nbytes: int) -> DeviceBuffer:
        """Take GPU memory."""

    def allocate_host(self, nbytes: int, *, mapped: bool) -> HostBuffer:
        """Take page-locked memory, visible to the GPU when mapped."""

    def stream(self) -> Stream:
        """Make a stream that does not wait for the default one."""

    def event(self) -> Event:
        """Make an event to wait for: blocking, without a time stamp."""

    def upload(self, target: DeviceBuffer, source: HostBuffer, stream: Stream) -> None:
        """Queue a copy to the GPU of the whole of ``source``."""

    def download(self, target: HostBuffer, source: DeviceBuffer, stream: Stream) -> None:
        """Queue a copy from the GPU of the whole of ``target``."""

    def synchronize(self, stream: Stream) -> None:
        """Wait for everything in a stream."""

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """Record what ``enqueue`` puts into the stream; nothing of it runs.

        Raises:
            CaptureUnsupported: the layer cannot, or something in it cannot be recorded.
        """

    def kernel(self, binary: bytes, name: str) -> Kernel:
        """Load a compiled kernel.

        Args:
            binary: what nvcc made (cubin).
            name: of the function in it.
        """

    def close(self) -> None:
        """Free everything and give the context back. Twice is fine; never raises."""
