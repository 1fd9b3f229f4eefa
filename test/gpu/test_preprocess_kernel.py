"""The preprocessing kernel on a real GPU, through PyCUDA."""

import statistics
import time

from edge_seg.backends.tensorrt.cuda.interface import Cuda
from edge_seg.backends.tensorrt.cuda.with_pycuda import PyCuda
from edge_seg.backends.tensorrt.owner import OwnerThread
from edge_seg.backends.tensorrt.preprocess_kernel import kernel_program
from edge_seg.backends.tensorrt.preprocess_launch import PreprocessKernel
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import AnyArray, DecodedImage, InputSpec, Size, TensorSpec
import numpy as np
import pytest

pytestmark = pytest.mark.gpu

CAMERA, NETWORK = Size(1920, 1080), Size(384, 288)
SPEC = InputSpec('image', NETWORK)
TARGET = TensorSpec('image', (1, 3, NETWORK.height, NETWORK.width), 'float32', 'NCHW')
PLAN = plan_geometry(CAMERA, NETWORK, SPEC.resize)
RUNS = 50


def run(cuda: Cuda, image: AnyArray) -> tuple[AnyArray, float]:
    """Give the tensor and the median time from pinned image to tensor on the GPU."""
    program = kernel_program(SPEC, TARGET, PLAN, 'bgr', image.strides[0])
    stream, event, kernel = cuda.stream(), cuda.event(), PreprocessKernel(program)
    inputs = [image.view(np.uint8).reshape(-1), program.table.view(np.uint8).reshape(-1)]
    pinned = [cuda.allocate_host(each.nbytes, mapped=False) for each in inputs]
    answer = cuda.allocate_host(4 * int(np.prod(TARGET.shape)), mapped=False)
    on_gpu = [cuda.allocate(each.array.nbytes) for each in (*pinned, answer)]
    for host, content in zip(pinned, inputs, strict=True):
        host.array[:] = content
    cuda.upload(on_gpu[1], pinned[1], stream)
    durations_s = []
    for _ in range(RUNS):
        begin_s = time.perf_counter()
        cuda.upload(on_gpu[0], pinned[0], stream)
        kernel.launch(on_gpu[0], on_gpu[1], on_gpu[2], stream)
        event.record(stream)
        event.wait()
        durations_s.append(time.perf_counter() - begin_s)
    cuda.download(answer, on_gpu[2], stream)
    cuda.synchronize(stream)
    return answer.array.view(np.float32).reshape(TARGET.shape).copy(), statistics.median(
        durations_s
    )


def test_a_gpu_computes_what_the_cpu_computes() -> None:
    pytest.importorskip('pycuda', reason='PyCUDA compiles the kernel')
    image = np.random.default_rng(1).integers(0, 256, (CAMERA.height, CAMERA.width, 3), np.uint8)
    expected = Preprocessor(SPEC, TARGET)(DecodedImage(image, 'bgr'), PLAN)
    owner = OwnerThread('gpu test')
    try:
        cuda = owner.call(lambda: PyCuda(0))
        try:
            found, median_s = owner.call(lambda: run(cuda, image))
        finally:
            owner.call(cuda.close)
    finally:
        assert owner.stop(60.0)
    print(f'upload and kernel: {median_s * 1e3:.2f} ms')
    assert np.abs(found - expected).max() <= 1.01 / 255
