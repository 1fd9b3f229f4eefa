"""Whether an engine fits into the GPU's memory beside what is there already."""

from edge_seg.backends.tensorrt.cuda.interface import GpuMemory
from edge_seg.errors import MemoryShort
import psutil

RESERVE_BYTES = 64 << 20
"""Left free: CUDA loads kernels lazily, and other programs draw on the same GPU."""

AMPLE_BYTES = 512 << 20
"""With so much beside an engine of twice its size, memory is no reason not to load."""


def usable(memory: GpuMemory, *, integrated: bool) -> GpuMemory:
    """Correct what an integrated GPU calls free.

    It leaves out what Linux would give up at once (the page cache), so that a Jetson that has
    read a few files looks full.
    """
    if not integrated:
        return memory
    return memory._replace(free=max(memory.free, available_bytes()))


def available_bytes() -> int:
    """Memory of the machine that can be had without swapping."""
    return int(psutil.virtual_memory().available)


def check_room(file: str, needs: dict[str, int], memory: GpuMemory) -> None:
    """Refuse an engine that does not fit, before it takes anything.

    The model that serves keeps its memory until the swap is done, so it is not counted as free.

    Args:
        file: file name, for the message.
        needs: bytes by what they are for, e.g. {'weights': ...}.
        memory: what is there now.

    Raises:
        MemoryShort: too little is free; the message gives the figures.
    """
    needed = sum(needs.values())
    if needed + RESERVE_BYTES <= memory.free:
        return
    parts = ', '.join(f'{what} {_mib(size)}' for what, size in needs.items())
    raise MemoryShort(
        f'{file} needs {_mib(needed)} MiB of GPU memory ({parts}), '
        f'{_mib(memory.free)} of {_mib(memory.total)} MiB are free',
        expected=f'room for it beside the model that serves, and {_mib(RESERVE_BYTES)} MiB spare',
        remedy='set swap: exclusive to unload the present model first (masks pause meanwhile), '
        'or take a smaller model',
    )


def is_scarce(memory: GpuMemory, weights: int) -> bool:
    """Whether loading weights of that many bytes may fail for want of memory, though they fit.

    TensorRT and CUDA take more than the weights, by an amount that nobody tells beforehand.
    """
    return memory.free < 2 * weights + AMPLE_BYTES


def _mib(size: int) -> int:
    return -(-size >> 20)
