"""The preprocessing kernel on a real GPU, compiled by nvcc, through each CUDA layer."""

import os
import shutil
import statistics
import time

from cuda_checks import kernel_in_a_graph
from edge_seg.backends.tensorrt.cuda.driver import read_devices
from edge_seg.backends.tensorrt.cuda.interface import Cuda
from edge_seg.backends.tensorrt.cuda.opening import choose_layer, open_cuda
from edge_seg.backends.tensorrt.cuda.owner import OwnerThread
from edge_seg.backends.tensorrt.preprocessing.compiling import compile_kernel, ELSEWHERE
from edge_seg.backends.tensorrt.preprocessing.image_input import ImageInput
from edge_seg.backends.tensorrt.preprocessing.kernel import kernel_program
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import AnyArray, DecodedImage, InputSpec, Size, TensorSpec
from edge_seg.errors import BackendUnavailable
import numpy as np
import pytest

pytestmark = pytest.mark.gpu

CAMERA, NETWORK = Size(1920, 1080), Size(384, 288)
SPEC = InputSpec('image', NETWORK)
TARGET = TensorSpec('image', (1, 3, NETWORK.height, NETWORK.width), 'float32', 'NCHW')
PLAN = plan_geometry(CAMERA, NETWORK, SPEC.resize)
RUNS = 50


def run(cuda: Cuda, image: AnyArray, binary: bytes) -> tuple[AnyArray, float]:
    """Give the tensor and the median time from the camera's pixels to the tensor on the GPU."""
    program = kernel_program(SPEC, TARGET, PLAN, 'bgr', image.strides[0])
    stream, event = cuda.stream(), cuda.event()
    images = ImageInput(cuda, program, binary, stream, mapped=False)
    answer = cuda.allocate_host(4 * int(np.prod(TARGET.shape)), mapped=False)
    tensor = cuda.allocate(answer.array.nbytes)
    durations_s = []
    for _ in range(RUNS):
        begin_s = time.perf_counter()
        images.enqueue(image, tensor.address, stream)
        event.record(stream)
        event.wait()
        durations_s.append(time.perf_counter() - begin_s)
    cuda.download(answer, tensor, stream)
    cuda.synchronize(stream)
    found = answer.array.view(np.float32).reshape(TARGET.shape).copy()
    return found, statistics.median(durations_s)


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_a_gpu_computes_what_the_cpu_computes(layer: str) -> None:
    if shutil.which('nvcc') is None and not ELSEWHERE.exists():
        absent = 'there is no nvcc to compile the kernel with'
        assert os.environ.get('EDGE_SEG_REQUIRE_GPU') != '1', absent
        pytest.skip(absent)
    try:
        choose_layer(layer)  # type: ignore[arg-type]
    except BackendUnavailable as missing:
        pytest.skip(str(missing))
    image = np.random.default_rng(1).integers(0, 256, (CAMERA.height, CAMERA.width, 3), np.uint8)
    preprocess = Preprocessor(SPEC, TARGET)
    expected = preprocess(DecodedImage(image, 'bgr'), PLAN)
    program = kernel_program(SPEC, TARGET, PLAN, 'bgr', image.strides[0])
    binary = compile_kernel(program.source, read_devices()[0].compute_capability)
    owner = OwnerThread('gpu test')
    try:
        cuda = owner.call(lambda: open_cuda(layer, 0))
        try:
            found, median_s = owner.call(lambda: run(cuda, image, binary))
            recorded = owner.call(
                lambda: kernel_in_a_graph(cuda, program, binary, image, found.nbytes)
            )
        finally:
            owner.call(cuda.close)
    finally:
        assert owner.stop(60.0)
    print(f'{layer}: copy, upload and kernel: {median_s * 1e3:.2f} ms')
    assert np.abs(found - expected).max() <= 1.01 / 255
    assert recorded is None or recorded.tobytes() == found.tobytes()
