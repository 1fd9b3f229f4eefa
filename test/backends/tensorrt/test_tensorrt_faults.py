"""Every call fails in turn: a readable error, nothing left over, nothing on a wrong thread."""

from collections.abc import Callable
import threading
from typing import Any

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.engine.fitting import EngineTensor, fit_input
from edge_seg.backends.tensorrt.serving import compiled as compiled_module
from edge_seg.errors import (
    BackendUnavailable,
    CompileFailed,
    EdgeSegError,
    IncompatibleModel,
    InferenceFailed,
    PrebuiltUnusable,
)
from fake_machine import FakeMachine
from fake_plan import plan_of
import numpy as np
import pytest
from tiny_models import TinyModel

MODEL = TinyModel()
TENSOR = np.zeros((1, 3, 8, 12), np.float32)
WAYS = [
    {'cuda': 'pycuda'},
    {'cuda': 'cuda-bindings'},
    {'cuda': 'pycuda', 'memory': 'mapped'},
    {'cuda': 'cuda-bindings', 'memory': 'mapped'},
    {'cuda': 'cuda-bindings', 'cuda_graph': 'true'},
]
ALWAYS_CONTINUING = ('create_engine_inspector', 'get_engine_information')
CONTINUING = (
    *ALWAYS_CONTINUING, 'begin_capture', 'end_capture', 'instantiate', 'h2d', 'd2h', 'kernel',
    'execute_async_v3', 'graph_launch',
)  # fmt: skip
"""Failures after which a model goes on in another way, without the graph."""


def options(**extra: str) -> CompileOptions:
    return CompileOptions(extra=tuple(extra.items()))


def bare(core: int) -> CompileOptions:
    """Ask for a DLA core and for engines that have no record."""
    return options(dla_core=str(core), unrecorded='true')


def load_and_run(machine: FakeMachine, way: dict[str, str]) -> None:
    """Load, run three frames and close, as a node does; the model is closed in any case."""
    artifact = machine.folder / 'net.plan'
    served = machine.backend.compile_model(artifact, MODEL.spec, options(**way))
    try:
        for _ in range(3):
            served.infer([TENSOR])
    finally:
        served.close()


@pytest.mark.parametrize('way', WAYS, ids=lambda way: '-'.join(way.values()))
def test_each_call_may_fail(machine: FakeMachine, way: dict[str, str]) -> None:
    machine.engine(MODEL, dynamic=True)
    machine.gpu.calls.clear()
    load_and_run(machine, way)
    names = list(machine.gpu.calls)
    assert len(names) > 15
    told: list[str] = []
    for number, name in enumerate(names):
        machine.gpu.calls.clear()
        machine.gpu.fail_at = number
        try:
            load_and_run(machine, way)
        except EdgeSegError as error:
            told.append(error.met)
        else:
            # Only what has another way, and the waiting for rest before everything is freed.
            survivable = CONTINUING if 'cuda_graph' in way else ALWAYS_CONTINUING
            assert name in survivable or number == len(names) - 1, (number, name)
        machine.gpu.fail_at = -1
        assert machine.settled() == [], (number, name)
    assert all(told)
    assert len(told) > 10


@pytest.mark.parametrize(
    'call',
    [
        'Runtime', 'deserialize_cuda_engine', 'create_execution_context', 'set_input_shape',
        'set_optimization_profile_async', 'infer_shapes', 'set_tensor_address',
    ],
)  # fmt: skip
def test_what_tensorrt_logged_stands_in_the_refusal(machine: FakeMachine, call: str) -> None:
    engine = machine.engine(MODEL, dynamic=True)
    machine.gpu.fail_always = {call}
    with pytest.raises(EdgeSegError) as refusal:
        machine.backend.compile_model(engine, MODEL.spec, options())
    assert f'[{call}] Error Code 1: injected' in refusal.value.met
    assert refusal.value.remedy
    assert isinstance(refusal.value, BackendUnavailable if call == 'Runtime' else CompileFailed)


def test_plugins_that_do_not_register_are_told_of_and_named_when_one_is_needed(
    machine: FakeMachine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.trt._machine.faults['plugins'] = 'broken'
    engine = plan_of(MODEL, machine.version)
    machine.backend.compile_model(machine.engine(engine), MODEL.spec, options()).close()
    assert 'does not register its plugins: the plugin library is broken' in caplog.text
    engine.plugin = 'InstanceNormalization_TRT'
    with pytest.raises(CompileFailed, match='uses a plugin') as refusal:
        machine.backend.compile_model(machine.engine(engine), MODEL.spec, options())
    assert 'edge_seg model build-engine' in refusal.value.remedy


@pytest.mark.parametrize(
    'error', [RuntimeError('no library'), TypeError('no such signature'), None]
)
def test_a_registration_of_plugins_that_is_missing_or_raises_costs_no_model(
    machine: FakeMachine, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    def refuse(logger: object, namespace: str) -> bool:
        assert error is not None
        raise error

    if error is None:
        del machine.trt.init_libnvinfer_plugins
    else:
        machine.trt.init_libnvinfer_plugins = refuse
    machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options()).close()
    assert ('does not register its plugins' in caplog.text) == (error is not None)
    assert str(error or '') in caplog.text


def test_shapes_that_stay_open_are_named(machine: FakeMachine) -> None:
    machine.trt._machine.faults['open_shapes'] = 'yes'
    with pytest.raises(CompileFailed, match='leaves the shapes of image open'):
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())


@pytest.mark.parametrize('call', ['execute_async_v3', 'h2d', 'd2h', 'event_record', 'event_sync'])
def test_a_failed_frame_says_why_and_the_next_one_works(machine: FakeMachine, call: str) -> None:
    served = machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    machine.gpu.fail_always = {call}
    with pytest.raises(InferenceFailed) as failure:
        served.infer([TENSOR])
    assert call in failure.value.met or 'GPU' in failure.value.met
    machine.gpu.fail_always = set()
    answer = served.infer([TENSOR])[0]
    pixels = np.zeros_like(TENSOR)
    kernel, bias = MODEL.weights
    assert np.allclose(answer, np.einsum('nchw,oc->nohw', pixels, kernel) + bias[:, None, None])
    served.close()


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
@pytest.mark.parametrize('call', ['h2d', 'kernel', 'event_sync'])
def test_an_error_that_stays_says_that_only_a_restart_helps(
    machine: FakeMachine, layer: str, call: str
) -> None:
    engine = machine.engine(MODEL)
    served = machine.backend.compile_model(engine, MODEL.spec, options(cuda=layer))
    served.infer([TENSOR])
    machine.gpu.sticky = {call}
    for _ in range(2):  # the next frame fails as well
        with pytest.raises(InferenceFailed, match='does nothing more for this process') as failure:
            served.infer([TENSOR])
        assert failure.value.remedy.startswith('restart the node')
    # A good engine is not to blame: PrebuiltUnusable would have it thrown away and built again.
    with pytest.raises(EdgeSegError) as refusal:
        machine.backend.compile_model(engine, MODEL.spec, options(cuda=layer))
    assert not isinstance(refusal.value, PrebuiltUnusable)
    assert 'Xid' in refusal.value.remedy
    served.close()


def test_any_other_failure_of_cuda_has_a_remedy_too(machine: FakeMachine) -> None:
    served = machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    machine.gpu.fail_always = {'event_record'}
    with pytest.raises(InferenceFailed) as failure:
        served.infer([TENSOR])
    assert failure.value.remedy.startswith('restart the node')
    served.close()


def test_a_gpu_that_never_comes_to_rest_does_not_stop_the_close(
    machine: FakeMachine, caplog: pytest.LogCaptureFixture
) -> None:
    served = machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    machine.gpu.fail_always = {'stream_sync'}
    served.close()
    assert 'does not come to rest' in caplog.text


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_a_lost_gpu_refuses_frees_too_and_the_close_goes_on(
    any_machine: Callable[..., FakeMachine],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    layer: str,
) -> None:
    machine = any_machine()
    served = machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options(cuda=layer))
    release, refused = machine.gpu.release_memory, []

    def refuse_once(address: int) -> None:
        release(address)
        if not refused:
            refused.append(address)
            raise machine.lost_gpu(layer)

    monkeypatch.setattr(machine.gpu, 'release_memory', refuse_once)
    served.close()
    assert 'CUDA refused to free something' in caplog.text


def test_a_hung_gpu_is_given_up(
    any_machine: Callable[..., FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = any_machine()
    monkeypatch.setattr(compiled_module, 'INFER_TIMEOUT_S', 0.05)
    monkeypatch.setattr(compiled_module, 'CLOSE_TIMEOUT_S', 0.05)
    served = machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    back = threading.Event()
    wait = machine.gpu.wait

    def hang(handle: int, name: str) -> None:
        assert back.wait(10.0)
        wait(handle, name)

    monkeypatch.setattr(machine.gpu, 'wait', hang)
    before = [t for t in threading.enumerate() if t.name == 'tensorrt net.plan']
    for _ in range(2):
        with pytest.raises(InferenceFailed, match='the GPU hangs'):
            served.infer([TENSOR])
    served.close()
    assert 'GPU memory is not freed' in caplog.text
    assert 'does not end' in caplog.text
    back.set()
    for thread in before:
        thread.join(10.0)
    # It was only slow: nothing is left, and no thread ended with a context pushed.
    assert machine.settled() == []


def test_a_load_that_hangs_is_given_up_and_closed_when_it_ends_after_all(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()
    monkeypatch.setattr(compiled_module, 'LOAD_TIMEOUT_S', 0.05)
    monkeypatch.setattr(compiled_module, 'CLOSE_TIMEOUT_S', 0.05)
    back, load = threading.Event(), machine.trt.Runtime.deserialize_cuda_engine

    def hang(runtime: Any, blob: bytes) -> Any:
        assert back.wait(30.0)
        return load(runtime, blob)

    monkeypatch.setattr(machine.trt.Runtime, 'deserialize_cuda_engine', hang)
    with pytest.raises(CompileFailed, match=r'net\.plan cannot be loaded, the GPU hangs'):
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    back.set()
    machine.settle()
    assert machine.settled() == []


def test_two_models_must_fit_together(machine: FakeMachine) -> None:
    plan = plan_of(MODEL, machine.version)
    plan.activation = 900 << 20
    first = machine.backend.compile_model(machine.engine(plan), MODEL.spec, options())
    machine.engine(plan, 'second.plan')
    with pytest.raises(CompileFailed) as refusal:
        machine.backend.compile_model(machine.folder / 'second.plan', MODEL.spec, options())
    assert 'second.plan needs 900 MiB of GPU memory (activations 900)' in refusal.value.met
    assert 'of 1024 MiB are free' in refusal.value.met
    assert 'swap: exclusive' in refusal.value.remedy
    first.close()
    machine.backend.compile_model(machine.folder / 'second.plan', MODEL.spec, options()).close()


def test_an_engine_larger_than_the_gpu_is_refused_before_it_is_loaded(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    machine.gpu.free = 1 << 20
    with pytest.raises(CompileFailed, match='weights 1'):
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    assert 'deserialize_cuda_engine' not in machine.gpu.calls


def test_another_version_is_refused_with_both_versions(machine: FakeMachine) -> None:
    plan = plan_of(MODEL, '9.9.9')
    with pytest.raises(CompileFailed) as refusal:
        machine.backend.compile_model(machine.engine(plan), MODEL.spec, options())
    assert f'net.plan was built by TensorRT 9.9.9, here is {machine.version}' in refusal.value.met
    assert 'Version tag does not match' in refusal.value.met
    assert 'edge_seg model build-engine tiny@1' in refusal.value.remedy


def test_another_gpu_is_refused_with_both_capabilities(machine: FakeMachine) -> None:
    plan = plan_of(MODEL, machine.version)
    plan.compute = '7.5'
    with pytest.raises(CompileFailed) as refusal:
        machine.backend.compile_model(machine.engine(plan), MODEL.spec, options())
    assert 'compute capability' in refusal.value.met
    assert '7.5' in refusal.value.met
    assert 'edge_seg model build-engine tiny@1' in refusal.value.remedy


def _changed(version: str, index: int, **changes: Any) -> Any:
    plan = plan_of(MODEL, version)
    plan.tensors[index].update(changes)
    return plan


@pytest.mark.parametrize(
    ('index', 'changes', 'words'),
    [
        (0, {'name': 'data'}, "an input 'image'"),
        (0, {'shape': [1, 3, 9, 12]}, 'correct input.size'),
        (0, {'dtype': 'HALF'}, 'float32 as declared'),
        (0, {'dtype': 'UINT8', 'shape': [1, 3, 9, 12]}, 'correct input.size'),
        (0, {'format': 'HWC'}, 'vectorised format'),
        (0, {'location': 'HOST'}, 'host memory'),
        (0, {'shape': [1, 3, -1, -1], 'profiles': [[[1, 3, 16, 16]] * 3]}, 'was built for'),
        (1, {'name': 'other'}, "an output 'scores'"),
        (1, {'shape': [1, 4, 8, 12]}, 'logits with 3 channels'),
        (1, {'dtype': 'FP8'}, 'a type that NumPy has'),
        (1, {'shape': [1, 3, -2, 12]}, 'depends on the data'),
    ],
)
def test_an_engine_that_is_not_what_the_manifest_says_is_refused(
    machine: FakeMachine, index: int, changes: dict[str, Any], words: str
) -> None:
    plan = _changed(machine.version, index, **changes)
    with pytest.raises(IncompatibleModel, match=words):
        machine.backend.compile_model(machine.engine(plan), MODEL.spec, options())


def test_a_second_output_gets_a_place_and_is_not_copied(machine: FakeMachine) -> None:
    plan = plan_of(MODEL, machine.version)
    plan.tensors.append({**plan.tensors[1], 'name': 'auxiliary'})
    served = machine.backend.compile_model(machine.engine(plan), MODEL.spec, options())
    machine.gpu.calls.clear()
    served.infer([TENSOR])
    assert machine.gpu.calls.count('d2h') == 1
    assert [output.name for output in served.outputs] == ['scores']
    served.close()


@pytest.mark.parametrize(
    ('extra', 'words'),
    [
        ({'memry': 'pinned'}, "no option 'memry'; expected memory"),
        ({'memory': 'fast'}, 'expected pinned or auto or mapped'),
        ({'cuda_graph': 'maybe'}, 'expected false or true'),
        ({'dla_core': 'two'}, 'dla_core: two'),
        ({'dla_core': '-7'}, 'or -1 for the GPU'),
    ],
)
def test_options_that_do_not_exist_are_refused(
    any_machine: Callable[..., FakeMachine], extra: dict[str, str], words: str
) -> None:
    machine = any_machine()
    with pytest.raises(CompileFailed, match=words):
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options(**extra))


def test_mapped_memory_is_refused_on_a_gpu_with_its_own(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    machine.devices(DeviceInfo(0, 'RTX', (8, 7), 40, False, '12.6'))
    with pytest.raises(CompileFailed, match='memory of its own'):
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options(memory='mapped'))


def test_a_device_that_is_not_there_is_refused(any_machine: Callable[..., FakeMachine]) -> None:
    machine = any_machine()
    with pytest.raises(BackendUnavailable, match=r'GPU\.0 \(Orin, compute 8\.7\)'):
        machine.backend.compile_model(
            machine.engine(MODEL), MODEL.spec, CompileOptions(device='GPU.3')
        )


@pytest.mark.parametrize('device', ['auto', 'GPU', 'gpu.0'])
def test_a_device_answers_to_its_names(machine: FakeMachine, device: str) -> None:
    served = machine.backend.compile_model(
        machine.engine(MODEL), MODEL.spec, CompileOptions(device=device)
    )
    assert served.report.device == 'GPU.0 (Orin, compute 8.7)'
    assert served.report.backend_version == machine.version
    served.close()


def test_a_dla_core_is_used_or_refused(machine: FakeMachine) -> None:
    engine = machine.engine(MODEL, dla_core=1)
    served = machine.backend.compile_model(engine, MODEL.spec, options(dla_core='1'))
    assert served.report.device.endswith('with DLA core 1')
    served.close()
    engine = machine.engine(MODEL, recorded=False)
    served = machine.backend.compile_model(engine, MODEL.spec, bare(1))
    assert served.report.device.endswith('with DLA core 1, if the engine was built for one')
    served.close()
    with pytest.raises(BackendUnavailable, match='this device has 2 DLA cores'):
        machine.backend.compile_model(engine, MODEL.spec, bare(2))
    machine.trt._machine.dla_cores = 0
    with pytest.raises(BackendUnavailable, match='no dla_core'):
        machine.backend.compile_model(engine, MODEL.spec, bare(0))


def test_an_onnx_file_is_refused_with_the_command(machine: FakeMachine) -> None:
    with pytest.raises(CompileFailed, match='edge_seg model build-engine tiny@1'):
        machine.backend.compile_model(
            MODEL.save(machine.folder / 'net.onnx'), MODEL.spec, options()
        )


@pytest.mark.parametrize(
    ('owner', 'call'),
    [('Runtime', 'deserialize_cuda_engine'), ('ICudaEngine', 'create_execution_context')],
)
def test_what_the_bindings_raise_is_a_refusal_too(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, owner: str, call: str
) -> None:
    def raising(self: object, *arguments: object) -> None:
        raise RuntimeError('out of memory')

    monkeypatch.setattr(getattr(machine.trt, owner), call, raising)
    with pytest.raises(CompileFailed, match='the GPU is out of memory') as refusal:
        machine.backend.compile_model(machine.engine(MODEL), MODEL.spec, options())
    assert 'swap: exclusive' in refusal.value.remedy


def test_an_engine_without_profiles_is_run_as_it_is(machine: FakeMachine) -> None:
    tensors = [
        EngineTensor(FoundTensor('image', (1, 3, 8, 12), 'float32'), is_input=True),
    ]
    assert fit_input(tensors, MODEL.spec, file='net.plan').profile == 0
