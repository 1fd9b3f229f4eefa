"""The preprocessing kernel is compiled and launched as PyCUDA wants it."""

import sys
from types import ModuleType
from typing import Any

from edge_seg.backends.tensorrt.cuda.interface import CudaFailed, DeviceBuffer
from edge_seg.backends.tensorrt.cuda.with_pycuda import PyCudaStream
from edge_seg.backends.tensorrt.preprocess_kernel import BLOCK, kernel_program, KernelProgram
from edge_seg.backends.tensorrt.preprocess_launch import PreprocessKernel, worth_it
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.values import InputSpec, ResizeRule, Size, TensorSpec
from edge_seg.errors import BackendUnavailable, CompileFailed
import numpy as np
import pytest

CAMERA, NETWORK = Size(640, 480), Size(256, 192)
SPEC = InputSpec('image', NETWORK, resize=ResizeRule())
TARGET = TensorSpec('image', (1, 3, 192, 256), 'float32', 'NCHW')
PLAN = plan_geometry(CAMERA, NETWORK, SPEC.resize)
BUFFERS = [DeviceBuffer(address, 1) for address in (0x1000, 0x2000, 0x3000)]


class FakeNvcc:
    """pycuda.compiler and pycuda.driver, as far as a kernel needs them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sources: list[tuple[str, bool]] = []
        self.launches: list[tuple[Any, ...]] = []
        self.failing = ''
        failure = type('Error', (Exception,), {})
        driver, compiler = ModuleType('pycuda.driver'), ModuleType('pycuda.compiler')
        driver.Error = self.error = failure  # type: ignore[attr-defined]
        compiler.SourceModule = self.compile  # type: ignore[attr-defined]
        for module in (ModuleType('pycuda'), driver, compiler):
            patch.setitem(sys.modules, module.__name__, module)

    def compile(self, source: str, *, no_extern_c: bool) -> 'FakeNvcc':
        if self.failing == 'compile':
            raise self.error('nvcc: error: expected a ;')
        self.sources.append((source, no_extern_c))
        return self

    def get_function(self, name: str) -> Any:
        assert name == 'preprocess'
        return self.launch

    def launch(self, *addresses: Any, **how: Any) -> None:
        if self.failing == 'launch':
            raise self.error('invalid configuration argument')
        self.launches.append((*addresses, how))


@pytest.fixture
def nvcc(monkeypatch: pytest.MonkeyPatch) -> FakeNvcc:
    return FakeNvcc(monkeypatch)


@pytest.fixture
def program() -> KernelProgram:
    return kernel_program(SPEC, TARGET, PLAN, 'bgr', 1920)


def test_addresses_go_to_the_kernel_in_order_and_in_the_stream(
    nvcc: FakeNvcc, program: KernelProgram
) -> None:
    PreprocessKernel(program).launch(*BUFFERS, PyCudaStream('a stream'))
    assert nvcc.sources == [(program.source, True)]
    ((*addresses, how),) = nvcc.launches
    assert [type(each) for each in addresses] == [np.uintp] * 3
    assert addresses == [0x1000, 0x2000, 0x3000]
    assert how == {'block': BLOCK, 'grid': (8, 24), 'stream': 'a stream'}


def test_a_source_that_does_not_compile_is_told_in_words(
    nvcc: FakeNvcc, program: KernelProgram
) -> None:
    nvcc.failing = 'compile'
    with pytest.raises(CompileFailed, match=r'expected a ;.*leave preprocessing on the CPU'):
        PreprocessKernel(program)


def test_a_launch_that_fails_is_a_failure_of_cuda(nvcc: FakeNvcc, program: KernelProgram) -> None:
    kernel = PreprocessKernel(program)
    nvcc.failing = 'launch'
    with pytest.raises(CudaFailed, match='invalid configuration'):
        kernel.launch(*BUFFERS, PyCudaStream(None))


def test_without_a_compiler_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, program: KernelProgram
) -> None:
    monkeypatch.setitem(sys.modules, 'pycuda', None)
    with pytest.raises(BackendUnavailable, match='pycuda'):
        PreprocessKernel(program)


@pytest.mark.parametrize(
    ('cpu_s', 'gpu_s', 'used'),
    [
        ([1.0, 1.0, 9.0], [0.8, 0.8, 0.8], True),
        ([1.0, 1.0, 1.0], [0.95, 0.95, 0.1], False),
        ([1.0], [], False),
        ([], [0.1], False),
    ],
)
def test_the_kernel_is_used_only_where_it_is_clearly_faster(
    cpu_s: list[float], gpu_s: list[float], used: bool
) -> None:
    assert worth_it(cpu_s, gpu_s) is used
