"""Compiles the preprocessing kernel on this machine and puts it into a stream, with PyCUDA."""

from collections.abc import Sequence
from importlib import import_module
import statistics
from typing import Any

from edge_seg.backends.sdk import sdk_import
from edge_seg.backends.tensorrt.cuda.interface import CudaFailed, DeviceBuffer, Stream
from edge_seg.backends.tensorrt.cuda.with_pycuda import PyCudaStream
from edge_seg.backends.tensorrt.preprocess_kernel import BLOCK, KERNEL, KernelProgram
from edge_seg.errors import CompileFailed
import numpy as np

MARGIN = 0.9
"""The kernel must take less than this share of the CPU's time to be worth its complications."""


class PreprocessKernel:
    """A compiled kernel; made, used and dropped on the thread that opened the GPU.

    Args:
        program: the kernel for one camera size.

    Raises:
        BackendUnavailable: PyCUDA's compiler is missing or broken.
        CompileFailed: nvcc is missing or refuses the source.
    """

    def __init__(self, program: KernelProgram) -> None:
        with sdk_import('pycuda', 'pip install pycuda, which needs nvcc'):
            compiler: Any = import_module('pycuda.compiler')
            self._failure: type[Exception] = import_module('pycuda.driver').Error
        try:
            # The source has templates, which must not stand inside PyCUDA's extern "C".
            module = compiler.SourceModule(program.source, no_extern_c=True)
            self._function: Any = module.get_function(KERNEL)
        except (self._failure, RuntimeError, OSError) as error:
            raise CompileFailed(
                f'the preprocessing kernel does not compile: {" ".join(str(error).split())}',
                remedy='install nvcc (package cuda-nvcc), or leave preprocessing on the CPU',
            ) from error
        self._grid = program.grid

    def launch(
        self, image: DeviceBuffer, table: DeviceBuffer, tensor: DeviceBuffer, stream: Stream
    ) -> None:
        """Queue one image.

        Args:
            image: the camera image, ``KernelProgram.image_bytes`` long.
            table: ``KernelProgram.table``.
            tensor: the engine's input, filled.
            stream: where it runs, before the engine.

        Raises:
            CudaFailed: the driver refuses.
        """
        assert isinstance(stream, PyCudaStream)
        addresses = [np.uintp(buffer.address) for buffer in (image, table, tensor)]
        try:
            self._function(*addresses, block=BLOCK, grid=self._grid[:2], stream=stream.stream)
        except self._failure as error:
            raise CudaFailed(f'launching the preprocessing kernel failed: {error}') from error


def worth_it(cpu_s: Sequence[float], gpu_s: Sequence[float]) -> bool:
    """Decide from measurements on this machine whether the kernel is used.

    Args:
        cpu_s: durations on the CPU, upload of the tensor included.
        gpu_s: durations with the kernel, upload of the whole camera image included.
    """
    if not cpu_s or not gpu_s:
        return False
    return statistics.median(gpu_s) < MARGIN * statistics.median(cpu_s)
