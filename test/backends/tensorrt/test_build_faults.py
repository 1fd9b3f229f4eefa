"""Every call of a build fails in turn: a readable error, no engine, nothing left on the GPU."""

from collections.abc import Callable
from dataclasses import replace
import enum
import os
from pathlib import Path
import tracemalloc

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.building.ahead import BuildsEngines
from edge_seg.backends.tensorrt.building.network import read_network
from edge_seg.backends.tensorrt.cuda.driver import DriverRefused
from edge_seg.backends.tensorrt.files.key import record_path
from edge_seg.errors import BackendUnavailable, CompileFailed, PrebuiltUnusable
import fake_builder
from fake_builder import save_proto, use_builder
from fake_machine import FakeMachine, ORIN
from onnx import helper, numpy_helper
import pytest
from tiny_models import TinyModel

MODEL = TinyModel(dynamic=True)
CONTINUING = (
    'create_timing_cache', 'set_timing_cache', 'get_timing_cache', 'ITimingCache.serialize',
    'create_engine_inspector', 'get_engine_information',
)  # fmt: skip
"""Failures that cost time or a word in the report, not the engine."""


@pytest.fixture
def building(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    use_builder(machine, monkeypatch)
    return machine


def build(machine: FakeMachine, layer: str = 'pycuda') -> None:
    network = machine.folder / 'net.onnx'
    if not network.exists():
        MODEL.save(network)
    extra = (('cuda', layer), ('timing_cache', str(machine.folder / 'timings')))
    BuildsEngines().build(
        network, MODEL.spec, CompileOptions(extra=extra), machine.folder / 'net.plan'
    )


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_each_call_may_fail(building: FakeMachine, layer: str) -> None:
    build(building, layer)
    names = list(building.gpu.calls)
    assert len(names) >= 14
    engine = building.folder / 'net.plan'
    for number, name in enumerate(names):
        engine.unlink(missing_ok=True)
        building.gpu.calls.clear()
        building.gpu.fail_at = number
        if name in CONTINUING:
            build(building, layer)
            assert engine.exists(), name
        else:
            with pytest.raises((CompileFailed, BackendUnavailable)) as caught:
                build(building, layer)
            assert caught.value.met, name
            assert not engine.exists(), name
        building.gpu.fail_at = -1
        assert building.settled() == [], name


@pytest.mark.parametrize('name', ['Builder', 'build_serialized_network', 'parse_from_file'])
def test_a_failure_carries_what_tensorrt_logged(building: FakeMachine, name: str) -> None:
    building.gpu.fail_always = {name}
    with pytest.raises((CompileFailed, BackendUnavailable), match=rf'\[{name}\] Error Code 1'):
        build(building)


def test_an_output_without_a_rank_is_an_error_and_not_a_traceback(building: FakeMachine) -> None:
    proto = MODEL.proto()
    proto.graph.output[0].type.tensor_type.ClearField('shape')
    save_proto(proto, building.folder / 'net.onnx')
    with pytest.raises(CompileFailed, match='shapes of the network are inconsistent'):
        build(building)


def test_an_engine_that_does_not_load_is_not_written(building: FakeMachine) -> None:
    building.gpu.fail_always = {'deserialize_cuda_engine'}
    with pytest.raises(CompileFailed, match='cannot be loaded'):
        build(building)
    assert not (building.folder / 'net.plan').exists()


def test_a_folder_that_is_gone_is_an_error_and_not_a_traceback(
    building: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('edge_seg.backends.tensorrt.files.writing.os.fsync', full)
    with pytest.raises(CompileFailed, match='No space left'):
        build(building)
    assert sorted(path.name for path in building.folder.iterdir()) == ['net.onnx']


def test_a_listener_that_went_away_cancels_the_build(
    any_machine: Callable[[str], FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()
    use_builder(machine, monkeypatch)
    network = MODEL.save(machine.folder / 'net.onnx')

    def gone(_: object) -> bool:
        raise BrokenPipeError(32, 'Broken pipe')

    with pytest.raises(CompileFailed, match='cancelled'):
        BuildsEngines().build_engine(
            network, MODEL.spec, CompileOptions(), machine.folder / 'net.plan', on_progress=gone
        )


def test_a_tensorrt_without_accelerators_refuses_one(
    building: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_builder, 'DeviceType', enum.Enum('DeviceType', ['GPU']))
    model = TinyModel(input_dtype='float16')
    network = model.save(building.folder / 'half.onnx')
    on_dla = CompileOptions(extra=(('dla_core', '0'),))
    if building.version.startswith('8'):
        on_dla = CompileOptions(precision='fp16', extra=on_dla.extra)
    with pytest.raises(CompileFailed, match='knows no deep learning accelerator'):
        BuildsEngines().build(network, model.spec, on_dla, building.folder / 'net.plan')


def test_without_any_timing_cache_the_engine_is_built_all_the_same(building: FakeMachine) -> None:
    building.gpu.fail_always = {'create_timing_cache'}
    build(building)
    building.gpu.fail_always = set()
    assert (building.folder / 'net.plan').exists()


def test_without_a_device_nothing_is_planned(
    building: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise DriverRefused('no CUDA device was found')

    monkeypatch.setattr('edge_seg.backends.tensorrt.library.device.read_devices', refuse)
    with pytest.raises(BackendUnavailable, match='no CUDA device'):
        build(building)


def test_command_lines_fit_what_is_built(building: FakeMachine) -> None:
    network = MODEL.save(building.folder / 'net.onnx')
    wanted = CompileOptions(precision='fp32')
    plan = BuildsEngines().build_plan(network, MODEL.spec, wanted)
    lines = plan.trtexec(building.folder / 'net.plan')
    assert '--noTF32' in lines.tensorrt_10
    assert f'--onnx={network}' in lines.tensorrt_11


def test_an_engine_is_known_by_its_record(building: FakeMachine) -> None:
    engine, builder = building.folder / 'net.plan', BuildsEngines()
    building.folder.chmod(0o700)
    assert 'cannot be read' in builder.entry_problem(engine, ('any',))
    build(building)
    network, wanted = building.folder / 'net.onnx', CompileOptions()
    timings = (('timing_cache', str(building.folder / 'timings')),)
    parts = builder.build_key_parts(network, MODEL.spec, CompileOptions(extra=timings))
    assert builder.entry_problem(engine, parts) == ''
    assert 'another network' in builder.entry_problem(engine, ('any',))
    assert builder.mismatch(engine, network, wanted) == ''
    building.devices(replace(ORIN, name='Xavier'))
    said = 'net.plan was built for GPU Orin, here is Xavier'
    assert builder.mismatch(engine, network, wanted) == said
    record_path(engine).unlink()
    assert 'has no record' in builder.mismatch(engine, network, wanted)
    assert 'has no record' in builder.entry_problem(engine, parts)


def test_a_large_engine_is_read_once_and_only_to_be_loaded(building: FakeMachine) -> None:
    engine, builder = building.folder / 'net.plan', BuildsEngines()
    building.folder.chmod(0o700)
    build(building)
    parts = builder.build_key_parts(building.folder / 'net.onnx', MODEL.spec, CompileOptions())
    os.truncate(engine, 64 << 20)
    tracemalloc.start()
    try:
        assert builder.entry_problem(engine, parts) == ''
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(PrebuiltUnusable, match='is not the engine that'):
        building.backend.compile_model(engine, MODEL.spec, CompileOptions())


def test_a_network_of_two_types_stays_one(building: FakeMachine) -> None:
    proto = TinyModel(input_dtype='float16').proto()
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name == 'bias')
    bias.CopyFrom(numpy_helper.from_array(TinyModel().weights[1], 'bias'))
    network = save_proto(proto, building.folder / 'mixed.onnx')
    report = BuildsEngines().build(
        network,
        TinyModel(input_dtype='float16').spec,
        CompileOptions(),
        building.folder / 'net.plan',
    )
    assert report.precision == 'mixed'


def test_a_network_without_weights_is_one_of_fp32(tmp_path: Path) -> None:
    proto = TinyModel().proto()
    del proto.graph.initializer[:], proto.graph.node[:]
    network = save_proto(proto, tmp_path / 'empty.onnx')
    # A number among the fields of the graph, as a later version of ONNX may put one there.
    graph = proto.graph.SerializeToString() + b'\xf8\x01\x01'
    later = helper.make_model(helper.make_graph([], 'g', [], [])).SerializeToString()
    assert read_network(network).precision == 'fp32'
    network.write_bytes(
        later + b'\x3a' + bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7]) + graph
    )
    assert read_network(network).precision == 'fp32'


def test_a_build_is_cancelled_in_its_middle_where_tensorrt_asks(
    building: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('edge_seg.backends.tensorrt.building.monitor.MIN_PERIOD_S', 0.0)
    network, engine = MODEL.save(building.folder / 'net.onnx'), building.folder / 'net.plan'

    def build_on() -> None:
        BuildsEngines().build_engine(
            network,
            MODEL.spec,
            CompileOptions(),
            engine,
            on_progress=lambda progress: progress.phase != 'Tactic selection',
        )

    if building.version.startswith('8.'):  # it has no progress monitor, and is asked nothing
        build_on()
        assert engine.exists()
        return
    with pytest.raises(CompileFailed, match='was cancelled'):
        build_on()
    assert not engine.exists()


def test_what_an_engine_does_not_tell_is_unknown_where_a_flag_left_the_choice(
    building: FakeMachine,
) -> None:
    building.gpu.fail_always = {'create_engine_inspector'}
    plain, out = TinyModel(), building.folder / 'net.plan'
    network = plain.save(building.folder / 'net.onnx')
    half = CompileOptions(precision='fp16')
    if not building.version.startswith('11'):
        with pytest.raises(CompileFailed, match='does not say in which precision') as caught:
            BuildsEngines().build(network, plain.spec, half, out)
        assert 'modelopt.onnx.autocast --onnx_path net.onnx' in caught.value.remedy
        assert not out.exists()
    # A network whose types TensorRT keeps computes in them, whether the engine tells or not.
    typed = TinyModel(input_dtype='float16')
    network = typed.save(building.folder / 'half.onnx')
    report = BuildsEngines().build(network, typed.spec, CompileOptions(), out)
    keeps = building.version.split('.')[0] != '8'
    assert report.precision == ('fp16' if keeps else 'unknown')
    served = building.backend.compile_model(out, typed.spec, CompileOptions())
    assert served.report.precision == report.precision
    served.close()


def test_a_place_that_others_can_write_to_is_refused_before_the_build(
    building: FakeMachine,
) -> None:
    building.folder.chmod(0o777)
    with pytest.raises(CompileFailed, match='writable by others') as caught:
        build(building)
    assert 'chmod go-w' in caught.value.remedy
    assert building.gpu.calls == []
    building.folder.chmod(0o700)
