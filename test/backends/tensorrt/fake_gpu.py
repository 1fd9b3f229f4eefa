"""A GPU made of NumPy: memory, contexts, streams and graphs, and every misuse of them noted.

Copies and kernels run only when somebody waits for their stream, so that a missing wait shows.
"""

from collections.abc import Callable
import ctypes
from dataclasses import dataclass, field
import tempfile
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class FakeCudaError(Exception):
    """What the driver answers; the fake layers turn it into their own form."""


@dataclass
class _Block:
    memory: Bytes
    thread: int
    kind: str


@dataclass
class _Stream:
    pending: list[Callable[[], None]] = field(default_factory=list)
    recording: list[Callable[[], None]] | None = None
    invalidated: bool = False


class FakeGpu:
    """One device and its driver.

    Attributes:
        violations: what a real GPU would have punished with a leak, a crash or wrong numbers.
        calls: name of every call that can fail, in order.
        fail_at: number of the call that fails next, counted from 0; -1 for none.
        fail_always: names of calls that fail whenever they come.
        sticky: names of calls whose failure stays: every later call fails too, of all models.
        broken: whether that has happened.
        captured_badly: what CUDA's runtime, which TensorRT uses, still has to tell of a recording.
        free: bytes of memory left.
    """

    def __init__(self, *, total: int = 1 << 30) -> None:
        self.violations: list[str] = []
        self.calls: list[str] = []
        self.fail_at = -1
        self.fail_always: set[str] = set()
        self.sticky: set[str] = set()
        self.broken = False
        self.captured_badly = False
        self.total = self.free = total
        self.retained = 0
        self.blocks: dict[int, _Block] = {}
        self.streams: dict[int, _Stream] = {}
        self.events: dict[int, int] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.modules: dict[int, ctypes.CDLL] = {}
        self.launches = 0
        self._stacks: dict[int, int] = {}
        self._next = 0x7000_0000
        self._lock = threading.RLock()

    def step(self, name: str) -> bool:
        """Note a call; True when it is to fail."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(name)
            return number == self.fail_at or name in self.fail_always

    def _call(self, name: str, *, needs_context: bool = True) -> None:
        if self.step(name):
            raise FakeCudaError(f'{name} failed: unknown error')
        self.broken |= name in self.sticky
        if self.broken and needs_context:
            raise FakeCudaError(f'{name} failed: an illegal memory access was encountered')
        if needs_context and not self.is_current():
            self.violations.append(f'{name} without a current context')
            raise FakeCudaError(f'{name} failed: invalid device context')

    def is_current(self) -> bool:
        """Whether the calling thread has pushed the context."""
        return self.depth() > 0

    def depth(self) -> int:
        """How often the calling thread has pushed the context without popping it."""
        return self._stacks.get(threading.get_ident(), 0)

    # Contexts -------------------------------------------------------------------------------

    def init(self) -> None:
        """As cuInit."""
        self._call('init', needs_context=False)

    def retain(self) -> None:
        """As cuDevicePrimaryCtxRetain."""
        self._call('retain', needs_context=False)
        self.retained += 1

    def release(self) -> None:
        """As cuDevicePrimaryCtxRelease."""
        if self.retained == 0:
            self.violations.append('the context was released once too often')
        self.retained -= 1

    def push(self) -> None:
        """As cuCtxPushCurrent."""
        self._call('push', needs_context=False)
        self.push_again()

    def push_again(self) -> None:
        """As cuCtxPushCurrent where nobody looks whether it fails."""
        ident = threading.get_ident()
        self._stacks[ident] = self._stacks.get(ident, 0) + 1

    def pop(self) -> None:
        """As cuCtxPopCurrent."""
        if not self.is_current():
            self.violations.append('pop on a thread without a context')
            return
        self._stacks[threading.get_ident()] -= 1

    # Memory ---------------------------------------------------------------------------------

    def mem_info(self) -> tuple[int, int]:
        """As cuMemGetInfo."""
        self._call('mem_info')
        return self.free, self.total

    def allocate(self, nbytes: int, kind: str) -> int:
        """Take memory; kind is 'device' or 'host'."""
        self._call(f'{kind}_alloc')
        if kind == 'device' and nbytes > self.free:
            raise FakeCudaError('cuMemAlloc failed: out of memory')
        with self._lock:
            address = self._next
            self._next += nbytes + 512
            # Poisoned, so that reading what nobody wrote shows.
            memory = np.full(nbytes, 0xA5, np.uint8)
            self.blocks[address] = _Block(memory, threading.get_ident(), kind)
            if kind == 'device':
                self.free -= nbytes
        return address

    def release_memory(self, address: int) -> None:
        """Give memory back; on another thread it stays taken and is noted."""
        block = self.blocks.get(address)
        if block is None:
            self.violations.append('memory was freed twice')
            return
        if block.thread != threading.get_ident() or not self.is_current():
            self.violations.append(f'{block.kind} memory was freed on another thread')
            return
        with self._lock:
            del self.blocks[address]
            if block.kind == 'device':
                self.free += block.memory.nbytes

    def at(self, address: int, nbytes: int) -> Bytes:
        """See memory by its address, as the GPU does."""
        for start, block in self.blocks.items():
            if start <= address and address + nbytes <= start + block.memory.nbytes:
                return block.memory[address - start : address - start + nbytes]
        self.violations.append('the GPU touched memory that is not there')
        return np.zeros(nbytes, np.uint8)

    # Streams --------------------------------------------------------------------------------

    def make(self, what: str) -> int:
        """Make a stream or an event; gives its handle."""
        self._call(f'{what}_create')
        with self._lock:
            self._next += 1
            handle = self._next
        if what == 'stream':
            self.streams[handle] = _Stream()
        else:
            self.events[handle] = 0
        return handle

    def destroy(self, what: str, handle: int) -> None:
        """Destroy a stream, an event or a graph."""
        table: dict[int, Any] = {
            'stream': self.streams, 'event': self.events, 'graph': self.graphs
        }[what]  # fmt: skip
        if not self.is_current():
            self.violations.append(f'a {what} was destroyed on another thread')
        elif table.pop(handle, None) is None:
            self.violations.append(f'a {what} was destroyed twice')

    def enqueue(self, handle: int, name: str, work: Callable[[], None]) -> None:
        """Put work into a stream, or into the graph that is being recorded."""
        stream = self.streams[handle]
        try:
            self._call(name)
        except FakeCudaError:
            stream.invalidated = self.captured_badly = stream.recording is not None
            raise
        (stream.pending if stream.recording is None else stream.recording).append(work)

    def wait(self, handle: int, name: str) -> None:
        """Run what is in a stream."""
        self._call(name)
        stream = self.streams[handle]
        if stream.recording is not None:
            stream.invalidated = True
            raise FakeCudaError(f'{name} failed: operation not permitted when stream is capturing')
        pending, stream.pending = stream.pending, []
        for work in pending:
            work()

    def record(self, event: int, handle: int) -> None:
        """Put an event into a stream."""
        self._call('event_record')
        self.events[event] = handle

    def begin_capture(self, handle: int) -> None:
        """Start to record a graph."""
        self._call('begin_capture')
        self.streams[handle].recording = []

    def end_capture(self, handle: int) -> int:
        """Stop recording; gives the graph."""
        stream = self.streams[handle]
        recorded, stream.recording = stream.recording, None
        broken, stream.invalidated = stream.invalidated, False
        try:
            self._call('end_capture')
        except FakeCudaError:
            self.captured_badly = True
            raise
        if broken or recorded is None:
            self.captured_badly = True
            raise FakeCudaError('end_capture failed: operation failed due to a previous error')
        return self.add_graph(recorded)

    def add_graph(self, work: list[Callable[[], None]]) -> int:
        """Keep a graph; gives its handle."""
        with self._lock:
            self._next += 1
            self.graphs[self._next] = work
            return self._next

    def launch(self, graph: int, handle: int) -> None:
        """Put a graph into a stream."""
        work = self.graphs[graph]
        self.launches += 1
        self.enqueue(handle, 'graph_launch', lambda: [each() for each in work] and None)

    # Kernels --------------------------------------------------------------------------------

    def load_module(self, binary: bytes) -> int:
        """Load what the fake nvcc made: a shared library for the host; gives a handle."""
        self._call('module_load')
        with tempfile.NamedTemporaryFile(suffix='.so') as file:
            file.write(binary)
            file.flush()
            try:
                library = ctypes.CDLL(file.name)
            except OSError:
                raise FakeCudaError('module_load failed: invalid image') from None
        with self._lock:
            self._next += 1
            self.modules[self._next] = library
            return self._next

    def unload_module(self, handle: int) -> None:
        """Unload a module."""
        if not self.is_current():
            self.violations.append('a module was unloaded on another thread')
        elif self.modules.pop(handle, None) is None:
            self.violations.append('a module was unloaded twice')

    def launch_kernel(
        self, module: int, addresses: list[int], shape: tuple[tuple[int, ...], ...], handle: int
    ) -> None:
        """Put a kernel into a stream; it reads and writes memory by these addresses."""
        run = self.modules[module].run
        grid, block = shape

        def work() -> None:
            pointers = [ctypes.c_void_p(self.blocks[a].memory.ctypes.data) for a in addresses]
            run(*pointers, *grid[:2], *block[:2])

        self.enqueue(handle, 'kernel_launch', work)

    def left_over(self) -> list[str]:
        """Everything that was not given back."""
        found = [f'{block.kind} memory' for block in self.blocks.values()]
        found += ['a stream'] * len(self.streams) + ['an event'] * len(self.events)
        found += ['a module'] * len(self.modules)
        found += ['a graph'] * len(self.graphs) + ['a context'] * self.retained
        found += [f'{depth} pushed contexts' for depth in self._stacks.values() if depth]
        return found
