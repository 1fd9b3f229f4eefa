"""A strict ``pycuda.driver`` over a FakeGpu: the members that PyCUDA has, and its habits."""

from collections import defaultdict
import threading
from types import ModuleType
from typing import Any

from fake_gpu import FakeCudaError, FakeGpu
import numpy as np


def make_pycuda(gpu: FakeGpu) -> dict[str, ModuleType]:
    """Make the modules ``pycuda`` and ``pycuda.driver``."""
    package, driver = ModuleType('pycuda'), ModuleType('pycuda.driver')
    package.VERSION_TEXT = '2025.1.2'  # type: ignore[attr-defined]
    package.__path__ = []
    package.driver = driver  # type: ignore[attr-defined]
    for name, member in _members(gpu).items():
        setattr(driver, name, member)
    return {'pycuda': package, 'pycuda.driver': driver}


def _members(gpu: FakeGpu) -> dict[str, Any]:  # noqa: C901 - a module's worth of small things
    class Error(Exception):
        pass

    class MemoryError(Error):  # noqa: A001 - PyCUDA's name
        pass

    class LogicError(Error):
        pass

    def guarded(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except FakeCudaError as error:
            kind = MemoryError if 'out of memory' in str(error) else LogicError
            raise kind(str(error)) from None

    class Context:
        # https://github.com/inducer/pycuda/blob/v2026.1/src/cpp/cuda.hpp, class context
        def __init__(self) -> None:
            self._valid = True
            self._thread = threading.get_ident()

        def push(self) -> None:
            if stack():
                gpu.pop()
            guarded(gpu.push)
            stack().append(self)

        @staticmethod
        def pop() -> None:
            if not stack():
                raise LogicError('context::pop failed: invalid device context')
            gpu.pop()
            stack().pop()
            Context._push_top()

        def detach(self) -> None:
            if not self._valid:
                raise LogicError('context::detach failed: invalid device context')
            self._valid = False
            if self in stack()[-1:]:
                gpu.release()  # which pops nothing
                stack().pop()
                self._push_top()
            elif self._thread == threading.get_ident():
                gpu.push_again()
                gpu.release()  # which pops nothing

        @staticmethod
        def _push_top() -> None:
            while stack() and not stack()[-1]._valid:
                stack().pop()
            if stack():
                gpu.push_again()

    # Of each thread, beside the driver's own, which never holds more than the topmost of these.
    stacks: dict[int, list[Context]] = defaultdict(list)

    def stack() -> list[Context]:
        return stacks[threading.get_ident()]

    class Device:
        def __init__(self, index: int) -> None:
            self._index = index

        def retain_primary_context(self) -> Context:
            guarded(gpu.retain)
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            if flags != 1:
                gpu.violations.append('a stream that waits for the default stream')
            self._handle = guarded(gpu.make, 'stream')

        def __del__(self) -> None:
            if hasattr(self, '_handle'):
                gpu.destroy('stream', self._handle)

        @property
        def handle(self) -> int:
            return int(self._handle)

        def synchronize(self) -> None:
            guarded(gpu.wait, self._handle, 'stream_sync')

    class Event:
        def __init__(self, flags: int = 0) -> None:
            if flags != 3:
                gpu.violations.append('an event that spins or takes the time')
            self._handle = guarded(gpu.make, 'event')

        def __del__(self) -> None:
            if hasattr(self, '_handle'):
                gpu.destroy('event', self._handle)

        def record(self, stream: Any = None) -> 'Event':
            guarded(gpu.record, self._handle, stream.handle)
            return self

        def synchronize(self) -> 'Event':
            guarded(gpu.wait, gpu.events[self._handle], 'event_sync')
            return self

    class DeviceAllocation:
        def __init__(self, address: int) -> None:
            self._address: int | None = address

        def __int__(self) -> int:
            assert self._address is not None
            return self._address

        def free(self) -> None:
            address, self._address = int(self), None
            gpu.release_memory(address)

        def __del__(self) -> None:
            if self._address is not None:
                gpu.release_memory(self._address)

    class PagelockedHostAllocation(DeviceAllocation):
        mapped = False

        def get_device_pointer(self) -> int:
            if not self.mapped:
                raise LogicError('cuMemHostGetDevicePointer failed: invalid argument')
            if gpu.step('host_pointer'):
                raise LogicError('cuMemHostGetDevicePointer failed')
            return int(self)

    class _Pinned(np.ndarray[Any, Any]):
        # A plain array's base cannot be set from Python; PyCUDA sets it in C.
        base: Any = None

    def pagelocked_empty(shape: int, dtype: Any, order: str = 'C', mem_flags: int = 0) -> Any:
        owner = PagelockedHostAllocation(guarded(gpu.allocate, shape, 'host'))
        owner.mapped = mem_flags == 2
        array = gpu.at(int(owner), shape).view(_Pinned)
        array.base = owner
        return array

    def memcpy_htod_async(dest: int, src: Any, stream: Any = None) -> None:
        raw = np.asarray(src)
        guarded(
            gpu.enqueue,
            stream.handle,
            'h2d',
            lambda: np.copyto(gpu.at(int(dest), raw.nbytes), raw),
        )

    def memcpy_dtoh_async(dest: Any, src: int, stream: Any = None) -> None:
        raw = np.asarray(dest)
        guarded(
            gpu.enqueue,
            stream.handle,
            'd2h',
            lambda: np.copyto(raw, gpu.at(int(src), raw.nbytes)),
        )

    class Function:
        def __init__(self, module: 'Module') -> None:
            self._module = module

        def __call__(
            self, *args: Any, block: tuple[int, ...], grid: tuple[int, ...], stream: Any
        ) -> None:
            assert all(type(each) is np.uintp for each in args)
            addresses = [int(each) for each in args]
            guarded(
                gpu.launch_kernel, self._module._handle, addresses, (grid, block), stream.handle
            )

    class Module:
        def __init__(self, handle: int) -> None:
            self._handle = handle

        def __del__(self) -> None:
            gpu.unload_module(self._handle)

        def get_function(self, name: str) -> Function:
            if name != 'preprocess' or gpu.step('get_function'):
                raise LogicError('cuModuleGetFunction failed: named symbol not found')
            return Function(self)

    class event_flags:
        BLOCKING_SYNC = 1
        DISABLE_TIMING = 2

    class host_alloc_flags:
        DEVICEMAP = 2

    return {
        'Error': Error,
        'MemoryError': MemoryError,
        'LogicError': LogicError,
        'init': lambda flags=0: guarded(gpu.init),
        'Device': Device,
        'Context': Context,
        'Stream': Stream,
        'Event': Event,
        'event_flags': event_flags,
        'host_alloc_flags': host_alloc_flags,
        'DeviceAllocation': DeviceAllocation,
        'PagelockedHostAllocation': PagelockedHostAllocation,
        'Function': Function,
        'Module': Module,
        'module_from_buffer': lambda buffer: Module(guarded(gpu.load_module, buffer)),
        'mem_alloc': lambda size: DeviceAllocation(guarded(gpu.allocate, size, 'device')),
        'mem_get_info': lambda: guarded(gpu.mem_info),
        'pagelocked_empty': pagelocked_empty,
        'memcpy_htod_async': memcpy_htod_async,
        'memcpy_dtoh_async': memcpy_dtoh_async,
    }
