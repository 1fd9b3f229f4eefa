"""A strict ``tensorrt`` of a given version over a FakeGpu, cut to what the contract lists.

Built from the contract: a class, member or enum value that a version lacks is not there, and an
attribute that does not exist cannot be set. Failures are None or False and a line in the log, as
NVIDIA's bindings do it. Enqueued work computes real values from the address table.
"""

from collections.abc import Callable
import enum
import json
import threading
from types import ModuleType
from typing import Any

from contract import members
from fake_gpu import FakeCudaError, FakeGpu
from fake_network import compute, DTYPES
from fake_plan import plan_header

PRIVATE_BASE = '_is_made'


class Machine:
    """What all objects of one fake share."""

    def __init__(self, gpu: FakeGpu, version: str, compute_capability: str) -> None:
        self.gpu = gpu
        self.version = version
        self.compute_capability = compute_capability
        self.enums: dict[str, Any] = {}
        self.dla_cores = 2
        self.logger: Any = None
        self.faults: dict[str, str] = {}
        self.plugins = False

    def register_plugins(self, logger: Any, namespace: str) -> bool:
        """As init_libnvinfer_plugins, which the ONNX parser calls too."""
        if not getattr(logger, PRIVATE_BASE, False) or type(namespace) is not str:
            raise TypeError('init_libnvinfer_plugins(): incompatible function arguments')
        self.logger = logger
        if self.faults.get('plugins'):
            self.error('the plugin library is broken')
            return False
        self.plugins = True
        return True

    def error(self, text: str) -> None:
        """Say something through the logger, from a thread of TensorRT's own."""
        severity = enum.Enum('Severity', ['INTERNAL_ERROR', 'ERROR', 'WARNING', 'INFO', 'VERBOSE'])
        thread = threading.Thread(target=self.logger.log, args=(severity['ERROR'], text))
        thread.start()
        thread.join()

    def failing(self, name: str) -> bool:
        """Note a call that can fail; says so in the log when it does."""
        if not self.gpu.is_current():
            self.gpu.violations.append(f'{name} without a current context')
        if self.gpu.step(name):
            self.error(f'[{name}] Error Code 1: injected')
            return True
        if self.gpu.broken:
            self.error(f'[{name}] Error Code 1: Cuda Runtime (an illegal memory access was '
                       'encountered)')  # fmt: skip
            return True
        return False


class _Owned:
    """Something that must die on the thread that made it, with the context still current."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._thread = threading.get_ident()
        self._alive = 0

    def __del__(self) -> None:
        if not hasattr(self, '_machine'):
            return  # it was never made
        name = type(self).__name__
        gpu = self._machine.gpu
        if self._thread != threading.get_ident() or not gpu.is_current():
            gpu.violations.append(f'{name} died on another thread or without a context')
        if self._alive:
            gpu.violations.append(f'{name} died before what it made')
        self._release()

    def _release(self) -> None:
        """Give back what is held."""


class ILogger:
    """The base of loggers; a subclass that does not call __init__ is refused."""

    def __init__(self) -> None:
        object.__setattr__(self, PRIVATE_BASE, True)

    def log(self, severity: Any, message: str) -> None:
        """Be overridden."""


class Runtime(_Owned):
    """Loads engines."""

    def __init__(self, logger: Any) -> None:
        machine: Machine = type(self)._machine_of_class  # type: ignore[attr-defined]
        if not getattr(logger, PRIVATE_BASE, False):
            raise TypeError('ILogger.__init__() must be called when overriding __init__')
        machine.logger = logger
        _Owned.__init__(self, machine)
        self._core = -1
        if machine.failing('Runtime'):
            raise TypeError('pybind11::init(): factory function returned nullptr')

    @property
    def DLA_core(self) -> int:
        return int(self._core)

    @DLA_core.setter
    def DLA_core(self, core: int) -> None:
        if core < self._machine.dla_cores:
            self._core = core
        else:
            self._machine.error('IRuntime::setDLACore: out of range')

    @property
    def num_DLA_cores(self) -> int:
        return self._machine.dla_cores

    @property
    def engine_host_code_allowed(self) -> bool:
        return False

    @engine_host_code_allowed.setter
    def engine_host_code_allowed(self, value: bool) -> None:
        self._machine.gpu.violations.append('engine_host_code_allowed was set')

    def deserialize_cuda_engine(self, blob: bytes) -> Any:
        machine = self._machine
        if not isinstance(blob, bytes):
            raise TypeError('deserialize_cuda_engine(): incompatible function arguments')
        if machine.failing('deserialize_cuda_engine'):
            return None
        if blob[24:27] != plan_header(machine.version)[24:27]:
            machine.error(
                'IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization '
                'assertion stdVersionRead == kSERIALIZATION_VERSION failed.Version tag does not '
                'match. Note: Current Version: 237, Serialized Engine Version: 239)'
            )
            return None
        try:
            plan = json.loads(blob[28:])
        except ValueError:
            machine.error('IRuntime::deserializeCudaEngine: Error Code 1: Serialization failed')
            return None
        if plan['compute'] != machine.compute_capability:
            machine.error(
                'The engine plan file is generated on an incompatible device, expecting compute '
                f'{machine.compute_capability} got compute {plan["compute"]}, please rebuild.'
            )
            return None
        if plan['plugin'] and not machine.plugins:
            machine.error(
                'IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization '
                'assertion creator failed.Cannot deserialize plugin since corresponding '
                'IPluginCreator not found in Plugin Registry)'
            )
            return None
        if len(blob) > machine.gpu.free:
            machine.error('Error Code 2: OutOfMemory (Requested size was too large)')
            return None
        return _make(machine, 'ICudaEngine', plan, len(blob), self)


class ICudaEngine(_Owned):
    """A loaded engine; keeps its memory until it dies."""

    def __init__(self, machine: Machine, plan: dict[str, Any], size: int, runtime: Any) -> None:
        _Owned.__init__(self, machine)
        self._plan = plan
        self._size = size
        self._maker = runtime
        runtime._alive += 1
        self._maker_count = True
        machine.gpu.free -= size
        self._tensors = {each['name']: each for each in plan['tensors']}

    def _release(self) -> None:
        self._machine.gpu.free += self._size
        self._maker._alive -= 1
        self._maker = None

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return max(len(each.get('profiles', ())) for each in self._tensors.values())

    @property
    def device_memory_size(self) -> int:
        return int(self._plan['activation'])

    @property
    def device_memory_size_v2(self) -> int:
        return int(self._plan['activation'])

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self._machine.enums['TensorIOMode'][self._tensors[name]['mode']]

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._tensors[name]['shape'])

    def get_tensor_dtype(self, name: str) -> Any:
        return self._machine.enums['DataType'][self._tensors[name]['dtype']]

    def get_tensor_location(self, name: str) -> Any:
        return self._machine.enums['TensorLocation'][self._tensors[name].get('location', 'DEVICE')]

    def get_tensor_format(self, name: str) -> Any:
        return self._machine.enums['TensorFormat'][self._tensors[name].get('format', 'LINEAR')]

    def get_tensor_bytes_per_component(self, name: str) -> int:
        # As NvInferRuntime.h has it: only vectorised tensors have components.
        is_plain = self._tensors[name].get('format', 'LINEAR') == 'LINEAR'
        return -1 if is_plain else int(DTYPES[self._tensors[name]['dtype']].itemsize)

    def get_tensor_profile_shape(self, name: str, index: int) -> list[list[int]]:
        if self._tensors[name]['mode'] != 'INPUT':
            self._machine.gpu.violations.append('a profile was asked of an output')
        return [list(shape) for shape in self._tensors[name]['profiles'][index]]

    def create_engine_inspector(self) -> Any:
        if self._machine.failing('create_engine_inspector'):
            return None
        return _make(self._machine, 'EngineInspector', self)

    def create_execution_context(self) -> Any:
        machine, activation = self._machine, int(self._plan['activation'])
        if machine.failing('create_execution_context'):
            return None
        if activation > machine.gpu.free:
            machine.error('Error Code 2: OutOfMemory (no further information)')
            return None
        return _make(machine, 'IExecutionContext', self, activation)


class EngineInspector(_Owned):
    """Tells of layers."""

    def __init__(self, machine: Machine, engine: Any) -> None:
        _Owned.__init__(self, machine)
        self._engine = engine

    def get_engine_information(self, wanted: Any) -> str:
        if self._machine.failing('get_engine_information'):
            return ''
        assert wanted is self._machine.enums['LayerInformationFormat']['JSON']
        return json.dumps({'Layers': self._engine._plan['layers']})


class IExecutionContext(_Owned):
    """Runs an engine; keeps the addresses of its inputs and outputs."""

    def __init__(self, machine: Machine, engine: Any, activation: int) -> None:
        _Owned.__init__(self, machine)
        self._engine = engine
        engine._alive += 1
        self._activation = activation
        machine.gpu.free -= activation
        self._profile = 0
        self._shapes: dict[str, list[int]] = {}
        self._addresses: dict[str, int] = {}
        self._recorded = False

    def _release(self) -> None:
        if self._recorded and self._machine.gpu.graphs:
            self._machine.gpu.violations.append('a context died before the graph that runs it')
        self._machine.gpu.free += self._activation
        self._engine._alive -= 1
        self._engine = None

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        if self._machine.failing('set_optimization_profile_async'):
            return False
        _handle(stream)
        self._profile = index
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        if self._machine.failing('set_input_shape'):
            return False
        low, _, high = self._engine._tensors[name]['profiles'][self._profile]
        if type(shape) not in (tuple, list) or any(type(axis) is not int for axis in shape):
            raise TypeError('set_input_shape(): incompatible function arguments')
        shape = list(shape)
        if len(shape) != len(low) or not all(
            a <= b <= c for a, b, c in zip(low, shape, high, strict=True)
        ):
            self._machine.error(f'setInputShape: {shape} is outside {low} to {high}')
            return False
        self._shapes[name] = shape
        return True

    def infer_shapes(self) -> list[str]:
        open_inputs = [
            name
            for name, each in self._engine._tensors.items()
            if each['mode'] == 'INPUT' and name not in self._shapes
        ]
        if self._machine.failing('infer_shapes'):
            # As NVIDIA's pyCore.cpp does it.
            raise RuntimeError('infer_shapes error code: -1')
        if self._machine.faults.get('open_shapes'):
            return ['image']
        return open_inputs

    def get_tensor_shape(self, name: str) -> list[int]:
        tensor = self._engine._tensors[name]
        if tensor['mode'] == 'INPUT':
            return self._shapes[name]
        (image,) = self._shapes.values()
        sizes = image[2:] if self._engine._plan['input_layout'] == 'NCHW' else image[1:3]
        follow = iter(sizes)
        return [next(follow) if axis == -1 else axis for axis in tensor['shape']]

    def set_tensor_address(self, name: str, address: int) -> bool:
        if type(address) is not int:
            raise TypeError('set_tensor_address(): incompatible function arguments')
        if self._machine.failing('set_tensor_address'):
            return False
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        _handle(stream_handle)
        machine = self._machine
        if machine.failing('execute_async_v3'):
            return False
        told, machine.gpu.captured_badly = machine.gpu.captured_badly, False
        if told:
            machine.error('enqueueV3: Error Code 1: Cuda Runtime (operation failed due to a '
                          'previous error during capture)')  # fmt: skip
            return False
        missing = set(self._engine._tensors) - set(self._addresses)
        if missing:
            machine.error(f'enqueueV3: Address is not set for {sorted(missing)}')
            return False
        plan, tensors = self._engine._plan, self._engine._tensors
        shapes = {name: self.get_tensor_shape(name) for name in tensors}
        addresses = dict(self._addresses)
        self._recorded |= machine.gpu.streams[stream_handle].recording is not None
        try:
            machine.gpu.enqueue(
                stream_handle,
                'kernel',
                lambda: compute(machine.gpu, plan, shapes, addresses),
            )
        except FakeCudaError as error:
            machine.error(f'enqueueV3: Error Code 1: Cuda Runtime ({error})')
            return False
        return True


def _handle(stream: Any) -> None:
    if type(stream) is not int:
        raise TypeError('incompatible function arguments: stream_handle is not an int')


BEHAVIOURS: dict[str, type] = {
    each.__name__: each
    for each in (ILogger, Runtime, ICudaEngine, EngineInspector, IExecutionContext)
}
"""What the fake can do, by class; the build part adds its own."""


def _make(machine: Machine, name: str, *arguments: Any) -> Any:
    made: Callable[..., Any] = machine.enums['classes'][name]
    return made(machine, *arguments)


def make_tensorrt(gpu: FakeGpu, version: str, *, compute_capability: str = '8.7') -> ModuleType:
    """Make the module ``tensorrt`` as it is in one version.

    Args:
        gpu: where it runs.
        version: one of the contract's.
        compute_capability: of the GPU.
    """
    machine = Machine(gpu, version, compute_capability)
    module = ModuleType('tensorrt')
    module.__version__ = version  # type: ignore[attr-defined]
    module.init_libnvinfer_plugins = machine.register_plugins  # type: ignore[attr-defined]
    classes: dict[str, type] = {}
    for name, has in members(version).items():
        if has and all(isinstance(kind, int) for kind in has.values()):
            machine.enums[name] = enum.Enum(name, has)  # type: ignore[misc]
            setattr(module, name, machine.enums[name])
        elif name in BEHAVIOURS:
            classes[name] = _cut(BEHAVIOURS[name], set(has), machine)
            setattr(module, name, classes[name])
    machine.enums['classes'] = classes
    module.__dict__['_machine'] = machine
    return module


def _cut(behaviour: type, allowed: set[str], machine: Machine) -> type:
    """Copy a class with only the allowed public members; no attribute can be invented."""
    space: dict[str, Any] = {'_machine_of_class': machine}
    for base in reversed(behaviour.__mro__[:-1]):
        for name, member in vars(base).items():
            private = name.startswith('_') and name not in ('__dict__', '__weakref__')
            if private or name in allowed:
                space[name] = member

    def refuse(self: Any, name: str, value: Any) -> None:
        if not name.startswith('_') and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f'{behaviour.__name__!r} object has no attribute {name!r}')
        object.__setattr__(self, name, value)

    space['__setattr__'] = refuse
    return type(behaviour.__name__, (), space)
