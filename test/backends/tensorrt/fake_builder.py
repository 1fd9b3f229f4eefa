"""The building half of the fake TensorRT: reads real ONNX files, writes engines that compute.

Only what the contract lists is there, as in ``fake_tensorrt``. Types are checked as TensorRT does:
a weakly typed network computes in fp32 unless a flag permits less.
"""

from collections.abc import Callable
from dataclasses import asdict
import enum
import json
import os
from pathlib import Path
import threading
from typing import Any

from contract import members
from fake_gpu import FakeGpu
from fake_plan import FakePlan, plan_header
from fake_tensorrt import _make, _Owned, BEHAVIOURS, Machine, make_tensorrt, PRIVATE_BASE
import onnx
import pytest

ELEMENTS = {1: 'FLOAT', 2: 'UINT8', 6: 'INT32', 7: 'INT64', 9: 'BOOL', 10: 'HALF'}
LAYER_WORDS = {'fp32': 'Float', 'fp16': 'Half', 'int8': 'Int8'}
PLUGINS = {'InstanceNormalization': 'InstanceNormalization_TRT', 'RoiAlign': 'ROIAlign_TRT'}
"""Operators that the parser turns into plugins, in some version at least."""
PHASES = (('Building Engine', None, 3), ('Tactic selection', 'Building Engine', 4))


class NoRank:
    """NVIDIA's Dims of a tensor whose rank TensorRT does not know."""

    def __len__(self) -> int:
        return -1

    def __getitem__(self, index: int) -> int:
        raise IndexError(index)


class DeviceType(enum.Enum):
    """What ``default_device_type`` gives."""

    GPU = 0
    DLA = 1


class Builder(_Owned):
    """Makes networks, configurations and engines."""

    def __init__(self, logger: Any) -> None:
        machine: Machine = type(self)._machine_of_class  # type: ignore[attr-defined]
        if not getattr(logger, PRIVATE_BASE, False):
            raise TypeError('ILogger.__init__() must be called when overriding __init__')
        machine.logger = logger
        _Owned.__init__(self, machine)
        if machine.failing('Builder'):
            raise TypeError('pybind11::init(): factory function returned nullptr')

    def create_network(self, flags: int = 0) -> Any:
        names = self._machine.enums['NetworkDefinitionCreationFlag']
        known = sum(1 << each.value for each in names)
        if type(flags) is not int or flags & ~known:
            raise TypeError(f'create_network(): incompatible function arguments: {flags}')
        if self._machine.failing('create_network'):
            return None
        explicit = getattr(names, 'EXPLICIT_BATCH', None)
        if self._machine.version.startswith('8.') and not flags >> explicit.value & 1:
            self._machine.error('implicit batch networks are not supported by the parser')
            return None
        strong = getattr(names, 'STRONGLY_TYPED', None)
        typed = explicit is None or (strong is not None and bool(flags >> strong.value & 1))
        return _make(self._machine, 'INetworkDefinition', typed)

    def create_builder_config(self) -> Any:
        if self._machine.failing('create_builder_config'):
            return None
        return _make(self._machine, 'IBuilderConfig')

    def create_optimization_profile(self) -> Any:
        if self._machine.failing('create_optimization_profile'):
            return None
        return _make(self._machine, 'IOptimizationProfile')

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        if self._machine.failing('build_serialized_network'):
            return None
        gate = os.environ.get('FAKE_TENSORRT_GATE', '')
        while gate and Path(gate).exists():  # a build that takes as long as a test wants
            threading.Event().wait(0.02)
        if not _follow(config._values.get('progress_monitor')):
            return None
        config._kept_timings = b'timings of ' + self._machine.version.encode()
        blob = _plan(self._machine, network, config)
        return None if blob is None else _make(self._machine, 'IHostMemory', blob)


class IProgressMonitor:
    """The base of monitors; a subclass that does not call __init__ is refused."""

    def __init__(self) -> None:
        object.__setattr__(self, PRIVATE_BASE, True)

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class INetworkDefinition(_Owned):
    """What the parser fills."""

    def __init__(self, machine: Machine, typed: bool) -> None:
        _Owned.__init__(self, machine)
        self._typed = typed
        self._proto: Any = None
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        return self._outputs[index]


class ITensor(_Owned):
    """An input or output of a network, read-only here."""

    def __init__(self, machine: Machine, name: str, shape: list[int], dtype: str) -> None:
        _Owned.__init__(self, machine)
        self._said = (name, shape, dtype)


class OnnxParser(_Owned):
    """Reads ONNX with the onnx package."""

    def __init__(self, network: Any, logger: Any) -> None:
        _Owned.__init__(self, network._machine)
        self._network = network
        self._logger = logger
        self._errors: list[Any] = []

    def parse_from_file(self, path: str) -> bool:
        machine = self._machine
        if type(path) is not str:
            raise TypeError('parse_from_file(): incompatible function arguments')
        if machine.failing('parse_from_file'):
            return False
        machine.register_plugins(self._logger, '')  # as onnx-tensorrt's importModel
        proto = onnx.load(path)
        for node in proto.graph.node:
            if node.op_type.startswith('Unknown'):
                said = (node.name, node.op_type, f'No importer registered for {node.op_type}')
                self._errors.append(_make(machine, 'ParserError', *said))
        if self._errors:
            machine.error('the parser failed')
            return False
        self._network._proto = proto
        weights = {tensor.name for tensor in proto.graph.initializer}
        self._network._inputs = [
            self._tensor(v) for v in proto.graph.input if v.name not in weights
        ]
        self._network._outputs = [self._tensor(v) for v in proto.graph.output]
        return True

    def _tensor(self, value: Any) -> Any:
        kind = value.type.tensor_type
        shape: Any = [d.dim_value if d.HasField('dim_value') else -1 for d in kind.shape.dim]
        if not kind.HasField('shape'):
            shape = NoRank()
        return _make(self._machine, 'ITensor', value.name, shape, ELEMENTS[kind.elem_type])

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]


class ParserError(_Owned):
    """One error; its members are methods."""

    def __init__(self, machine: Machine, name: str, operator: str, desc: str) -> None:
        _Owned.__init__(self, machine)
        self._said = (name, operator, desc)

    def desc(self) -> str:
        return self._said[2]

    def node(self) -> int:
        return 0

    def node_name(self) -> str:
        return self._said[0]

    def node_operator(self) -> str:
        return self._said[1]


class IOptimizationProfile(_Owned):
    """The range of the shapes of inputs."""

    def __init__(self, machine: Machine) -> None:
        _Owned.__init__(self, machine)
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
        if self._machine.failing('set_shape'):
            raise ValueError('the shape provided is not consistent')
        for shape in (low, best, high):
            _whole(shape)
        self._shapes[name] = [list(low), list(best), list(high)]


class ITimingCache(_Owned):
    """What a build measured."""

    def __init__(self, machine: Machine, blob: bytes) -> None:
        _Owned.__init__(self, machine)
        self._blob = blob

    def serialize(self) -> Any:
        if self._machine.failing('ITimingCache.serialize'):
            return None
        return _make(self._machine, 'IHostMemory', self._blob)


class IHostMemory(_Owned):
    """Bytes; NVIDIA's has the buffer protocol, which Python classes have from 3.12 on."""

    def __init__(self, machine: Machine, blob: bytes) -> None:
        _Owned.__init__(self, machine)
        self._blob = blob

    @property
    def nbytes(self) -> int:
        return len(self._blob)

    def __bytes__(self) -> bytes:
        return self._blob


def _whole(shape: Any) -> None:
    if type(shape) not in (tuple, list) or any(type(axis) is not int for axis in shape):
        raise TypeError(f'incompatible function arguments: {shape!r} is no Dims')


def _stored(
    name: str, kind: type | str, fits: Callable[[Machine, Any], bool] = lambda m, value: True
) -> property:
    """Make a property that takes one type only, as pybind11's do; an enum goes by its name.

    A value that does not fit is only logged: TensorRT's setters give nothing back.
    """

    def get(self: Any) -> Any:
        return self._values.get(name)

    def put(self: Any, value: Any) -> None:
        if name == 'progress_monitor' and not getattr(value, PRIVATE_BASE, False):
            raise TypeError('IProgressMonitor.__init__() must be called')
        wanted = self._machine.enums[kind] if isinstance(kind, str) else kind
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise TypeError(f'{name}: incompatible function arguments: {value!r}')
        if fits(self._machine, value):
            self._values[name] = value
        else:
            self._machine.error(f'IBuilderConfig: {name} is not available here')

    return property(get, put)


class IBuilderConfig(_Owned):
    """How to build; ``_values`` and ``_flags`` are for the tests to look at."""

    builder_optimization_level = _stored('builder_optimization_level', int)
    profiling_verbosity = _stored('profiling_verbosity', 'ProfilingVerbosity')
    progress_monitor = _stored('progress_monitor', object)
    default_device_type = _stored('default_device_type', DeviceType, lambda m, kind: (
        kind is DeviceType.GPU or m.dla_cores > 0
    ))  # fmt: skip
    DLA_core = _stored('DLA_core', int, lambda m, core: core < m.dla_cores)

    def __init__(self, machine: Machine) -> None:
        _Owned.__init__(self, machine)
        self._values: dict[str, Any] = {'default_device_type': DeviceType.GPU}
        self._flags: set[str] = {'TF32'}
        self._profiles: list[Any] = []
        self._cache: Any = None
        self._kept_timings = b''
        machine.enums['last_config'] = self._told = {'values': self._values, 'flags': self._flags}

    def set_memory_pool_limit(self, pool: Any, limit: int) -> None:
        assert pool is self._machine.enums['MemoryPoolType']['WORKSPACE']
        assert type(limit) is int
        assert limit > 0
        self._values['workspace'] = limit

    def set_flag(self, flag: Any) -> None:
        assert isinstance(flag, self._machine.enums['BuilderFlag'])
        self._flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        assert isinstance(flag, self._machine.enums['BuilderFlag'])
        self._flags.discard(flag.name)

    def create_timing_cache(self, blob: bytes) -> Any:
        assert isinstance(blob, bytes)
        if self._machine.failing('create_timing_cache'):
            return None
        return _make(self._machine, 'ITimingCache', blob)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if ignore_mismatch:
            self._machine.gpu.violations.append('a foreign timing cache was accepted')
        if self._machine.failing('set_timing_cache'):
            return False
        fitting = (b'', b'timings of ' + self._machine.version.encode())
        if cache._blob not in fitting:
            self._machine.error('the timing cache does not match')
            return False
        self._values['timings'] = cache._blob
        return True

    def get_timing_cache(self) -> Any:
        if self._machine.failing('get_timing_cache'):
            return None
        return _make(self._machine, 'ITimingCache', self._kept_timings)

    def add_optimization_profile(self, profile: Any) -> int:
        if self._machine.failing('add_optimization_profile'):
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1


def _follow(monitor: Any) -> bool:
    """Tell a monitor of nested phases; gives False when it cancelled."""
    if monitor is None:
        return True
    (outer, _, outer_steps), (inner, parent, inner_steps) = PHASES
    monitor.phase_start(outer, None, outer_steps)
    for step in range(outer_steps):
        monitor.phase_start(inner, parent, inner_steps)
        for part in range(inner_steps):
            if not monitor.step_complete(inner, part):
                return False
        monitor.phase_finish(inner)
        if not monitor.step_complete(outer, step):
            return False
    monitor.phase_finish(outer)
    return True


def _plan(machine: Machine, network: Any, config: Any) -> bytes | None:
    """Give the engine of a network: its 1x1 convolution and what was fused around it."""
    if any(isinstance(each._said[1], NoRank) for each in network._outputs):
        machine.error('[network.cpp] Error Code 4: shapes of the network are inconsistent')
        return None
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in network._proto.graph.initializer}
    image, result = network._inputs[0], network._outputs[0]
    tensors = [
        _described(each, mode, config._profiles, len(arrays['kernel']))
        for each, mode in ((image, 'INPUT'), (result, 'OUTPUT'))
    ]
    if any(-1 in each['profiles'][0][1] for each in tensors[:1]):
        machine.error('Network has dynamic or shape inputs, but no optimization profile')
        return None
    nodes = network._proto.graph.node
    raw = 'edge_seg_fused_factor' in arrays
    factor = arrays['edge_seg_fused_factor'].ravel() if raw else []
    offset = arrays['edge_seg_fused_offset'].ravel() if raw else []
    layout = 'NHWC' if image.shape[-1] in (1, 3) else 'NCHW'
    plan = FakePlan(
        machine.version,
        tensors,
        arrays['kernel'][:, :, 0, 0].astype('f4').tolist(),
        arrays['bias'].astype('f4').tolist(),
        [float(-o / f) for o, f in zip(offset, factor, strict=True)],
        [float(1 / f) for f in factor],
        1.0,
        layout,
        compute=machine.compute_capability,
        plugin=next((PLUGINS[n.op_type] for n in nodes if n.op_type in PLUGINS), ''),
        layers=_layers(machine, network, config),
    )
    return plan_header(machine.version) + json.dumps(asdict(plan)).encode()


def _layers(machine: Machine, network: Any, config: Any) -> list[dict[str, Any]]:
    """Give what the inspector tells; of DLA and Myelin, nothing of what is inside (#3143)."""
    plain = [{'Format/Datatype': 'Row major linear FP32'}]
    block = {'Name': '{ForeignNode[conv...conv]}', 'Inputs': plain}
    on_dla = config._values['default_device_type'] is DeviceType.DLA
    if machine.faults.get('myelin'):
        return [{**block, 'LayerType': 'Myelin'}]
    if on_dla and not machine.faults.get('gpu_fallback'):
        copied = {'Name': 'image to nvm', 'LayerType': 'Reformat', 'Inputs': plain}
        return [copied, {**block, 'LayerType': 'ForeignNode'}]
    word = LAYER_WORDS[_computes(machine, network, config)]
    return [{'LayerType': 'CaskConvolution', 'Inputs': [{'Format/Datatype': word}]}]


def _computes(machine: Machine, network: Any, config: Any) -> str:
    """Give the precision that TensorRT would take."""
    if machine.faults.get('precision'):
        return machine.faults['precision']
    nodes = {node.op_type for node in network._proto.graph.node}
    kernel = next(t for t in network._proto.graph.initializer if t.name == 'kernel')
    typed = 'int8' if 'QuantizeLinear' in nodes else {1: 'fp32', 10: 'fp16'}[kernel.data_type]
    if network._typed:
        return typed
    if typed == 'int8' and 'INT8' in config._flags:
        return 'int8'
    return 'fp16' if 'FP16' in config._flags else 'fp32'


def _described(tensor: Any, mode: str, profiles: list[Any], classes: int) -> dict[str, Any]:
    name, shape, dtype = tensor._said
    pinned = [each._shapes[name] for each in profiles if name in each._shapes]
    described = {'name': name, 'mode': mode, 'shape': shape, 'dtype': dtype}
    if mode == 'INPUT':
        described['profiles'] = pinned or [[shape, shape, shape]]
    elif (
        len(shape) == 4 and shape[1] == -1
    ):  # NVIDIA's parser knows how many classes a convolution gives
        described['shape'] = [1, classes, *shape[2:]]
    return described


def _tensor_class(version: str) -> type:
    """ITensor with a dtype that may be set only where the version permits it."""

    def reading(index: int) -> Callable[[Any], Any]:
        def get(self: Any) -> Any:
            said = self._said[index]
            return self._machine.enums['DataType'][said] if index == 2 else said

        return get

    def put(self: Any, value: Any) -> None:
        raise AssertionError('tensors are not changed')

    space: dict[str, Any] = {}
    for index, name in enumerate(('name', 'shape', 'dtype')):
        setter = put if members(version)['ITensor'][name] == 'rw' else None
        space[name] = property(reading(index), setter)
    return type('ITensor', (ITensor,), space)


CLASSES = (
    Builder, IProgressMonitor, INetworkDefinition, OnnxParser, ParserError,
    IOptimizationProfile, ITimingCache, IHostMemory, IBuilderConfig,
)  # fmt: skip


def make_building_tensorrt(gpu: FakeGpu, version: str, patch: pytest.MonkeyPatch) -> Any:
    """Make the module ``tensorrt`` of a version with its builder."""
    with patch.context() as adding:
        for each in (*CLASSES, _tensor_class(version)):
            adding.setitem(BEHAVIOURS, each.__name__, each)
        module = make_tensorrt(gpu, version)
    # int() of these enums is what NVIDIA documents; pybind11's enums have it.
    name = 'NetworkDefinitionCreationFlag'
    numbers = enum.IntEnum(name, members(version)[name])  # type: ignore[misc]
    module.__dict__[name] = module.__dict__['_machine'].enums[name] = numbers
    return module


def use_builder(machine: Any, patch: pytest.MonkeyPatch) -> None:
    """Give a FakeMachine a TensorRT that can build."""
    machine.trt = make_building_tensorrt(machine.gpu, machine.version, patch)
    patch.setitem(__import__('sys').modules, 'tensorrt', machine.trt)


def told(machine: Any) -> dict[str, Any]:
    """Give what the last builder configuration was told."""
    found: dict[str, Any] = machine.trt._machine.enums['last_config']
    return found


def save_proto(proto: Any, path: Path) -> Path:
    """Write a network."""
    onnx.save(proto, str(path))
    return path
