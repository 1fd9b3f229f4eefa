"""Takes camera images of one size to the GPU and makes the engine's input of them there."""

from edge_seg.backends.tensorrt.cuda.interface import Cuda, Stream
from edge_seg.backends.tensorrt.preprocessing.kernel import BLOCK, KERNEL, KernelProgram
from edge_seg.core.values import UInt8Array
import numpy as np


class ImageInput:
    """Memory and kernel for one camera size; made and used on the owner thread.

    When making it fails nothing stays: a model serves for weeks, and may be asked again.

    Args:
        cuda: where it is allocated; frees it.
        program: the kernel's launch, table and sizes.
        binary: the kernel, compiled.
        stream: where the table is uploaded.
        mapped: the GPU reads the image in host memory, it is not uploaded.

    Raises:
        CudaFailed: no memory, or the kernel does not load.
    """

    def __init__(
        self, cuda: Cuda, program: KernelProgram, binary: bytes, stream: Stream, *, mapped: bool
    ) -> None:
        self._cuda = cuda
        self._grid = program.grid
        with cuda.all_or_nothing(stream):
            self._make(program, binary, stream, mapped=mapped)

    def _make(
        self, program: KernelProgram, binary: bytes, stream: Stream, *, mapped: bool
    ) -> None:
        cuda = self._cuda
        self._kernel = cuda.kernel(binary, KERNEL)
        content = program.table.view(np.uint8).reshape(-1)
        table = cuda.allocate_host(content.nbytes, mapped=False)
        np.copyto(table.array, content)
        self._table = cuda.allocate(content.nbytes)
        cuda.upload(self._table, table, stream)
        cuda.synchronize(stream)
        self._host = cuda.allocate_host(program.image_bytes, mapped=mapped)
        self._device = None if mapped else cuda.allocate(program.image_bytes)

    def enqueue(self, pixels: UInt8Array, tensor: int, stream: Stream) -> None:
        """Copy an image and queue the kernel.

        Args:
            pixels: of the size that the kernel is for; its rows may lie apart.
            tensor: address of the engine's input.
            stream: where the engine runs afterwards.

        Raises:
            CudaFailed: the driver refuses.
        """
        np.copyto(self._host.array.reshape(pixels.shape), pixels)
        address = self._host.device_address
        if self._device is not None:
            self._cuda.upload(self._device, self._host, stream)
            address = self._device.address
        addresses = (address, self._table.address, tensor)
        self._kernel.launch(addresses, grid=self._grid, block=BLOCK, stream=stream)
