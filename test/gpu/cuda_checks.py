"""What a CUDA layer must do: the same checks for a real GPU and for the fake one."""

from collections.abc import Callable
import itertools

from edge_seg.backends.tensorrt.cuda.interface import (
    CaptureUnsupported,
    Cuda,
    CudaFailed,
    DeviceBuffer,
)
from edge_seg.backends.tensorrt.cuda.owner import OwnerThread
from edge_seg.backends.tensorrt.preprocessing.image_input import ImageInput
from edge_seg.backends.tensorrt.preprocessing.kernel import KernelProgram
import numpy as np
import pytest

MIB = 1 << 20
NBYTES = 640 * 480 * 3
Open = Callable[[], Cuda]


def pattern(seed: int, nbytes: int = NBYTES) -> np.ndarray:
    """Give bytes that no two buffers share by chance."""
    return np.random.default_rng(seed).integers(0, 256, nbytes, dtype=np.uint8)


def round_trip(open_cuda: Open) -> None:
    """Get bytes back from the GPU as they went."""
    cuda = open_cuda()
    try:
        stream, event = cuda.stream(), cuda.event()
        sent = cuda.allocate_host(NBYTES, mapped=False)
        back = cuda.allocate_host(NBYTES, mapped=False)
        device = cuda.allocate(NBYTES)
        assert stream.handle
        for seed in range(5):
            np.copyto(sent.array, pattern(seed))
            cuda.upload(device, sent, stream)
            cuda.download(back, device, stream)
            event.record(stream)
            event.wait()
            assert np.array_equal(back.array, pattern(seed))
    finally:
        cuda.close()


def mapped_memory(open_cuda: Open) -> None:
    """See the GPU write into mapped host memory in place."""
    cuda = open_cuda()
    try:
        stream = cuda.stream()
        source = cuda.allocate_host(NBYTES, mapped=False)
        mapped = cuda.allocate_host(NBYTES, mapped=True)
        assert mapped.device_address != 0
        np.copyto(source.array, pattern(1))
        cuda.upload(DeviceBuffer(mapped.device_address, NBYTES), source, stream)
        cuda.synchronize(stream)
        assert np.array_equal(mapped.array, pattern(1))
    finally:
        cuda.close()


def two_streams(open_cuda: Open) -> None:
    """Keep the work of two streams apart."""
    cuda = open_cuda()
    try:
        first, second = cuda.stream(), cuda.stream()
        assert first.handle != second.handle
        for stream, seed in ((first, 1), (second, 2)):
            sent = cuda.allocate_host(NBYTES, mapped=False)
            back = cuda.allocate_host(NBYTES, mapped=False)
            device = cuda.allocate(NBYTES)
            np.copyto(sent.array, pattern(seed))
            cuda.upload(device, sent, stream)
            cuda.download(back, device, stream)
            cuda.synchronize(stream)
            assert np.array_equal(back.array, pattern(seed))
    finally:
        cuda.close()


def graph(open_cuda: Open) -> None:
    """Repeat recorded work on new data; a layer without graphs says so."""
    cuda = open_cuda()
    try:
        stream = cuda.stream()
        sent = cuda.allocate_host(NBYTES, mapped=False)
        back = cuda.allocate_host(NBYTES, mapped=False)
        device = cuda.allocate(NBYTES)

        def work() -> None:
            cuda.upload(device, sent, stream)
            cuda.download(back, device, stream)

        np.copyto(sent.array, pattern(0))
        try:
            recorded = cuda.capture(stream, work)
        except CaptureUnsupported:
            assert 'pycuda' in cuda.version
            return
        for seed in range(1, 4):
            np.copyto(sent.array, pattern(seed))
            recorded.launch(stream)
            cuda.synchronize(stream)
            assert np.array_equal(back.array, pattern(seed))
        for _ in range(2):
            recorded.drop()
    finally:
        cuda.close()


def failed_capture(open_cuda: Open) -> None:
    """Let a recording fail; the stream must stay usable."""
    cuda = open_cuda()
    try:
        if 'pycuda' in cuda.version:
            return
        stream = cuda.stream()
        sent = cuda.allocate_host(NBYTES, mapped=False)
        back = cuda.allocate_host(NBYTES, mapped=False)
        device = cuda.allocate(NBYTES)
        with pytest.raises(CudaFailed):
            cuda.capture(stream, lambda: cuda.synchronize(stream))
        np.copyto(sent.array, pattern(3))
        cuda.upload(device, sent, stream)
        cuda.download(back, device, stream)
        cuda.synchronize(stream)
        assert np.array_equal(back.array, pattern(3))
    finally:
        cuda.close()


def figures(open_cuda: Open) -> None:
    """Watch free memory shrink by what is taken and come back."""
    cuda = open_cuda()
    try:
        before = cuda.memory()
        assert 0 < before.free <= before.total
        cuda.allocate(64 * MIB)
        assert cuda.memory().free <= before.free - 64 * MIB
    finally:
        cuda.close()
    again = open_cuda()
    try:
        assert abs(again.memory().free - before.free) < 64 * MIB
    finally:
        again.close()


def out_of_memory(open_cuda: Open) -> None:
    """Ask for too much: an error, and the layer goes on."""
    cuda = open_cuda()
    try:
        with pytest.raises(CudaFailed):
            cuda.allocate(cuda.memory().total * 2)
        assert cuda.allocate(MIB).nbytes == MIB
    finally:
        cuda.close()


def half_made(open_cuda: Open) -> None:
    """Give back what a failed block took, a copy under way included, and nothing else."""
    cuda = open_cuda()
    try:
        stream, kept = cuda.stream(), cuda.allocate(MIB)
        before = cuda.memory().free

        def too_much() -> None:
            with cuda.all_or_nothing(stream):
                host = cuda.allocate_host(NBYTES, mapped=False)
                cuda.upload(cuda.allocate(256 * MIB), host, stream)
                cuda.allocate(cuda.memory().total * 2)

        with pytest.raises(CudaFailed):
            too_much()
        assert abs(cuda.memory().free - before) < 64 * MIB
        with cuda.all_or_nothing(stream):
            stays = cuda.allocate(MIB)
        assert kept.address != stays.address
        work_once(cuda)
    finally:
        cuda.close()


def close_twice(open_cuda: Open) -> None:
    """Close again, which must do nothing."""
    cuda = open_cuda()
    cuda.stream()
    cuda.close()
    cuda.close()


def cycles(open_cuda: Open, count: int) -> None:
    """Open, use and close many times beside a context that stays, with flat memory."""
    keeper = open_cuda()
    try:
        free = []
        for turn in range(count):
            cuda = open_cuda()
            try:
                stream, event = cuda.stream(), cuda.event()
                host, device = cuda.allocate_host(MIB, mapped=False), cuda.allocate(MIB)
                cuda.upload(device, host, stream)
                event.record(stream)
                event.wait()
            finally:
                cuda.close()
            if turn in (count // 10, count - 1):
                free.append(keeper.memory().free)
        assert abs(free[1] - free[0]) < 8 * MIB, free
    finally:
        keeper.close()


def every_order(open_cuda: Open) -> None:
    """Close three models on three threads, in every order, while the others work."""
    for order in itertools.permutations(range(3)):
        owners = [OwnerThread(f'owner {index}') for index in range(3)]
        layers = [owner.call(open_cuda) for owner in owners]
        for index in order:
            owners[index].call(lambda cuda=layers[index]: work_once(cuda))  # type: ignore[misc]
            owners[index].call(layers[index].close)
            assert owners[index].stop(10.0)


def work_once(cuda: Cuda) -> None:
    """Copy there and back."""
    stream = cuda.stream()
    sent, back = (cuda.allocate_host(NBYTES, mapped=False) for _ in range(2))
    device = cuda.allocate(NBYTES)
    np.copyto(sent.array, pattern(7))
    cuda.upload(device, sent, stream)
    cuda.download(back, device, stream)
    cuda.synchronize(stream)
    assert np.array_equal(back.array, pattern(7))


def kernel_in_a_graph(
    cuda: Cuda, program: KernelProgram, binary: bytes, image: np.ndarray, nbytes: int
) -> np.ndarray | None:
    """Launch a recorded upload and kernel twice; give the tensor.

    Args:
        cuda: the GPU, open.
        program: the kernel's launch and table.
        binary: the kernel, compiled.
        image: pixels.
        nbytes: size of the tensor.

    Returns:
        Its bytes; None where the layer has no graphs.
    """
    stream = cuda.stream()
    images = ImageInput(cuda, program, binary, stream, mapped=False)
    answer = cuda.allocate_host(nbytes, mapped=False)
    tensor = cuda.allocate(nbytes)
    try:
        recorded = cuda.capture(stream, lambda: images.enqueue(image, tensor.address, stream))
    except CaptureUnsupported:
        assert 'pycuda' in cuda.version
        return None
    for _ in range(2):
        recorded.launch(stream)
    cuda.download(answer, tensor, stream)
    cuda.synchronize(stream)
    found = answer.array.copy()
    recorded.drop()
    return found


CHECKS = (
    round_trip, mapped_memory, two_streams, graph, failed_capture, figures, out_of_memory,
    half_made, close_twice, every_order,
)  # fmt: skip
