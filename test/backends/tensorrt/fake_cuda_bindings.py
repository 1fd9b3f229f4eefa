"""A strict ``cuda.bindings.driver`` over a FakeGpu: status first, then the values."""

from collections.abc import Callable
import ctypes
import enum
from types import ModuleType
from typing import Any

from fake_gpu import FakeCudaError, FakeGpu
import numpy as np


class CUresult(enum.IntEnum):
    """The statuses that the fake gives."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_ILLEGAL_ADDRESS = 700
    CUDA_ERROR_UNKNOWN = 999


class CUstream_flags(enum.IntEnum):
    """As in the bindings."""

    CU_STREAM_DEFAULT = 0
    CU_STREAM_NON_BLOCKING = 1


class CUevent_flags(enum.IntEnum):
    """As in the bindings."""

    CU_EVENT_BLOCKING_SYNC = 1
    CU_EVENT_DISABLE_TIMING = 2


class CUstreamCaptureMode(enum.IntEnum):
    """As in the bindings."""

    CU_STREAM_CAPTURE_MODE_GLOBAL = 0
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


def make_cuda_bindings(gpu: FakeGpu) -> dict[str, ModuleType]:
    """Make the modules ``cuda``, ``cuda.bindings`` and ``cuda.bindings.driver``."""
    top, package = ModuleType('cuda'), ModuleType('cuda.bindings')
    driver = ModuleType('cuda.bindings.driver')
    top.__path__, package.__path__ = [], []
    package.__version__ = '12.6.2'  # type: ignore[attr-defined]
    for each in (CUresult, CUstream_flags, CUevent_flags, CUstreamCaptureMode):
        setattr(driver, each.__name__, each)
    for name, call in _calls(gpu).items():
        setattr(driver, name, _with_status(call))
    return {'cuda': top, 'cuda.bindings': package, 'cuda.bindings.driver': driver}


def _with_status(call: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    def answer(*arguments: Any) -> tuple[Any, ...]:
        try:
            value = call(*arguments)
        except FakeCudaError as error:
            if 'out of memory' in str(error):
                return (CUresult.CUDA_ERROR_OUT_OF_MEMORY, None)
            if 'illegal memory access' in str(error):
                return (CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, None)
            return (CUresult.CUDA_ERROR_UNKNOWN, None)
        if value is None:
            return (CUresult.CUDA_SUCCESS,)
        return (CUresult.CUDA_SUCCESS, *(value if isinstance(value, tuple) else (value,)))

    return answer


def _calls(gpu: FakeGpu) -> dict[str, Callable[..., Any]]:  # noqa: C901 - many small things
    mapped: set[int] = set()
    pointers: dict[int, int] = {}

    def host_alloc(nbytes: int, flags: int) -> int:
        address = gpu.allocate(nbytes, 'host')
        pointer = int(gpu.at(address, nbytes).ctypes.data)
        pointers[pointer] = address
        if flags == 2:
            mapped.add(pointer)
        return pointer

    def device_pointer(pointer: int, flags: int) -> int:
        if pointer not in mapped or gpu.step('host_pointer'):
            raise FakeCudaError('invalid argument')
        return pointers[pointer]

    def host(pointer: int, nbytes: int) -> Any:
        return gpu.at(pointers[pointer], nbytes)

    def to_device(target: int, source: int, nbytes: int, stream: int) -> None:
        gpu.enqueue(stream, 'h2d', lambda: np.copyto(gpu.at(target, nbytes), host(source, nbytes)))

    def to_host(target: int, source: int, nbytes: int, stream: int) -> None:
        gpu.enqueue(stream, 'd2h', lambda: np.copyto(host(target, nbytes), gpu.at(source, nbytes)))

    def event(flags: int) -> int:
        if flags != 3:
            gpu.violations.append('an event that spins or takes the time')
        return gpu.make('event')

    def stream(flags: int) -> int:
        if flags != 1:
            gpu.violations.append('a stream that waits for the default stream')
        return gpu.make('stream')

    def capture(handle: int, mode: int) -> None:
        if mode != CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL:
            gpu.violations.append('a capture that disturbs other threads')
        gpu.begin_capture(handle)

    def instantiate(graph: int, flags: int) -> int:
        if gpu.step('instantiate'):
            raise FakeCudaError('cuGraphInstantiate failed')
        return gpu.add_graph(gpu.graphs[graph])

    def function(module: int, name: bytes) -> int:
        if name != b'preprocess' or gpu.step('get_function'):
            raise FakeCudaError('named symbol not found')
        return module

    def launch_kernel(*given: Any) -> None:
        module, *sizes, shared, stream, (values, kinds), extra = given
        assert kinds == (ctypes.c_void_p,) * len(values)
        assert (shared, extra) == (0, 0)
        shape = (tuple(sizes[:3]), tuple(sizes[3:]))
        gpu.launch_kernel(module, list(values), shape, stream)

    return {
        'cuModuleLoadData': gpu.load_module,
        'cuModuleGetFunction': function,
        'cuModuleUnload': gpu.unload_module,
        'cuLaunchKernel': launch_kernel,
        'cuInit': lambda flags: gpu.init(),
        'cuDeviceGet': lambda index: index,
        'cuDevicePrimaryCtxRetain': lambda device: gpu.retain() or 'context',
        'cuDevicePrimaryCtxRelease': lambda device: gpu.release(),
        'cuCtxPushCurrent': lambda context: gpu.push(),
        'cuCtxPopCurrent': lambda: gpu.pop() or 'context',
        'cuMemGetInfo': gpu.mem_info,
        'cuMemAlloc': lambda nbytes: gpu.allocate(nbytes, 'device'),
        'cuMemFree': gpu.release_memory,
        'cuMemHostAlloc': host_alloc,
        'cuMemFreeHost': lambda pointer: gpu.release_memory(pointers[pointer]),
        'cuMemHostGetDevicePointer': device_pointer,
        'cuMemcpyHtoDAsync': to_device,
        'cuMemcpyDtoHAsync': to_host,
        'cuStreamCreate': stream,
        'cuStreamDestroy': lambda handle: gpu.destroy('stream', handle),
        'cuStreamSynchronize': lambda handle: gpu.wait(handle, 'stream_sync'),
        'cuEventCreate': event,
        'cuEventDestroy': lambda handle: gpu.destroy('event', handle),
        'cuEventRecord': gpu.record,
        'cuEventSynchronize': lambda handle: gpu.wait(gpu.events[handle], 'event_sync'),
        'cuStreamBeginCapture': capture,
        'cuStreamEndCapture': gpu.end_capture,
        'cuGraphInstantiate': instantiate,
        'cuGraphLaunch': gpu.launch,
        'cuGraphExecDestroy': lambda graph: gpu.destroy('graph', graph),
        'cuGraphDestroy': lambda graph: gpu.destroy('graph', graph),
    }
