"""Engines built from real ONNX files on every version, loaded again and compared with NumPy."""

from collections.abc import Callable
import hashlib
from pathlib import Path
import stat

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import BuildProgress, EngineBuilding
from edge_seg.backends.tensorrt.building.ahead import BuildsEngines
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.files.key import read_record
from edge_seg.core.values import Size
from edge_seg.errors import BackendUnavailable, CompileFailed, IncompatibleModel
from edge_seg.models.fusing import fuse
from fake_builder import save_proto, told, use_builder
from fake_machine import FakeMachine
import numpy as np
import onnx
import pytest
from tiny_models import quantised, TinyModel

Build = Callable[..., Path]


class Builds(BuildsEngines):
    """The backend's building half by itself."""

    name = 'tensorrt'


@pytest.fixture
def building(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Give a machine of each version that can build."""
    return able(machine, monkeypatch)


def able(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    use_builder(machine, monkeypatch)
    machine.folder.chmod(0o700)
    return machine


def options(precision: str = 'auto', **extra: object) -> CompileOptions:
    pairs = tuple((name, str(value)) for name, value in extra.items())
    return CompileOptions(precision=precision, extra=pairs)  # type: ignore[arg-type]


def build(
    machine: FakeMachine, model: TinyModel, wanted: CompileOptions | None = None, **how: object
) -> Path:
    onnx_file = model.save(machine.folder / 'net.onnx')
    out = machine.folder / 'net.plan'
    Builds().build_engine(
        onnx_file, model.spec, wanted or options(), out, on_progress=how.get('on_progress')
    )
    return out


def scores(
    machine: FakeMachine, model: TinyModel, engine: Path, precision: str = 'auto'
) -> object:
    served = machine.backend.compile_model(engine, model.spec, options(precision))
    dtype = served.inputs[0].dtype
    image = model.normalised(model.pixels()).transpose(0, 3, 1, 2).astype(dtype)
    answer = np.array(served.infer([np.ascontiguousarray(image)])[0])
    served.close()
    return answer


def test_the_building_half_fits_its_protocol() -> None:
    assert isinstance(Builds(), EngineBuilding)


@pytest.mark.parametrize('layer', ['pycuda', 'cuda-bindings'])
def test_a_built_engine_computes_what_the_network_computes(
    building: FakeMachine, layer: str
) -> None:
    model = TinyModel()
    engine = build(building, model, options(cuda=layer))
    assert np.allclose(scores(building, model, engine), model.expected(model.pixels()), atol=1e-4)


def test_an_engine_with_a_plugin_loads_in_a_process_that_never_parsed(
    building: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TinyModel()
    proto = model.proto()
    node = onnx.helper.make_node('InstanceNormalization', ['image', 'bias', 'bias'], ['unused'])
    proto.graph.node.append(node)
    network = save_proto(proto, building.folder / 'plugin.onnx')
    engine = building.folder / 'plugin.plan'
    Builds().build(network, model.spec, options(), engine)
    able(building, monkeypatch)  # a process of its own, which knows no plugins yet
    assert np.allclose(scores(building, model, engine), model.expected(model.pixels()), atol=1e-4)


def test_an_open_input_is_pinned_to_the_size_of_the_manifest(building: FakeMachine) -> None:
    model = TinyModel(dynamic=True)
    engine = build(building, model)
    assert np.allclose(scores(building, model, engine), model.expected(model.pixels()), atol=1e-4)
    record = read_record(engine)
    assert record is not None
    assert record.key.profiles == ('image:(1, 3, 8, 12)',)


def test_a_fused_network_gives_an_engine_from_pixels_to_mask(building: FakeMachine) -> None:
    model = TinyModel()
    source = model.save(building.folder / 'plain.onnx')
    fused = building.folder / 'fused.onnx'
    spec = fuse(source, fused, model.spec, keep_scores=False)
    engine = building.folder / 'fused.plan'
    report = Builds().build_engine(fused, spec, options(), engine, on_progress=None)
    assert report.precision == 'fp32'
    served = building.backend.compile_model(engine, spec, options())
    pixels = model.pixels()
    mask = np.array(served.infer([pixels])[0])
    served.close()
    assert mask.dtype == np.uint8
    assert np.array_equal(mask.ravel(), model.expected(pixels).argmax(1).ravel())


def test_engine_and_record_belong_together_and_to_their_owner(building: FakeMachine) -> None:
    engine = build(building, TinyModel(), options(optimisation_level=5, workspace_mib=77))
    record = read_record(engine)
    assert record is not None
    assert record.plan_sha256 == hashlib.sha256(engine.read_bytes()).hexdigest()
    assert (record.key.optimisation_level, record.key.workspace_bytes) == (5, 77 << 20)
    assert record.key.machine.tensorrt == building.version
    assert stat.S_IMODE(engine.stat().st_mode) == 0o600
    assert sorted(path.name for path in building.folder.iterdir()) == [
        'net.onnx', 'net.plan', 'net.plan.json'
    ]  # fmt: skip


def test_the_builder_is_told_level_and_limits(building: FakeMachine) -> None:
    build(building, TinyModel(), options('fp32', optimisation_level=1))
    values, flags = told(building)['values'], told(building)['flags']
    assert values['builder_optimization_level'] == 1
    assert values['workspace'] == 1024 << 20  # integrated: bounded, not all memory of the robot
    assert values['profiling_verbosity'].name == 'DETAILED'
    assert flags == set()  # fp32 by name is fp32: TF32 is cleared


def test_auto_takes_the_types_of_the_file(building: FakeMachine) -> None:
    half = TinyModel(input_dtype='float16')
    network = save_proto(half.proto(), building.folder / 'half.onnx')
    out = building.folder / 'half.plan'
    report = Builds().build_engine(network, half.spec, options(), out, on_progress=None)
    assert report.precision == 'fp16'
    out.unlink()
    plain = TinyModel()
    network = plain.save(building.folder / 'plain.onnx')
    report = Builds().build_engine(network, plain.spec, options(), out, on_progress=None)
    assert report.precision == 'fp32'


def test_fp16_is_a_flag_where_there_is_one_and_a_refusal_where_there_is_none(
    building: FakeMachine,
) -> None:
    model = TinyModel()
    if building.version.startswith('11'):
        with pytest.raises(CompileFailed, match=r'modelopt\.onnx\.autocast --onnx_path net\.onnx'):
            build(building, model, options('fp16'))
        assert not (building.folder / 'net.plan').exists()
        return
    engine = build(building, model, options('fp16'))
    assert told(building)['flags'] >= {'FP16'}
    scores(building, model, engine, 'fp16')
    with pytest.raises(CompileFailed, match='computes in fp16'):
        scores(building, model, engine, 'fp32')


def test_int8_needs_a_quantised_file(building: FakeMachine) -> None:
    model = TinyModel()
    with pytest.raises(CompileFailed, match='Q/DQ'):
        build(building, model, options('int8'))
    network = save_proto(quantised(model), building.folder / 'q.onnx')
    out = building.folder / 'q.plan'
    report = Builds().build_engine(network, model.spec, options('int8'), out, on_progress=None)
    assert report.precision == 'int8'


def test_an_engine_that_came_out_in_another_precision_is_not_written(
    building: FakeMachine,
) -> None:
    building.trt._machine.faults['precision'] = 'fp32'
    half = TinyModel(input_dtype='float16')
    network = save_proto(half.proto(), building.folder / 'half.onnx')
    out = building.folder / 'half.plan'
    wanted = options('fp16')
    with pytest.raises(CompileFailed, match='computes in fp32'):
        Builds().build_engine(network, half.spec, wanted, out, on_progress=None)
    assert not out.exists()


def test_a_place_that_cannot_be_looked_at_is_refused_before_the_build(
    building: FakeMachine,
) -> None:
    model = TinyModel()
    network = model.save(building.folder / 'net.onnx')
    building.gpu.calls.clear()
    out = building.folder / f'{"n" * 300}.plan'
    with pytest.raises(CompileFailed, match='cannot be read: File name too long'):
        Builds().build_engine(network, model.spec, options(), out, on_progress=None)
    assert building.gpu.calls == []


def test_progress_rises_to_the_end(building: FakeMachine) -> None:
    seen: list[BuildProgress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('edge_seg.backends.tensorrt.building.monitor.MIN_PERIOD_S', 0.0)
        build(building, TinyModel(), on_progress=lambda p: seen.append(p) is None)
    assert [each.phase for each in seen][:2] == ['reading the network', 'building']
    shares = [each.share for each in seen if each.share is not None]
    assert shares == sorted(shares)
    assert all(each.elapsed_s >= 0 for each in seen)
    has_monitor = not building.version.startswith('8.')
    assert (max(shares, default=0.0) == 1.0) is has_monitor


def test_a_build_is_cancelled_from_its_progress(building: FakeMachine) -> None:
    def stop(progress: BuildProgress) -> bool:
        return progress.phase == 'reading the network'

    with pytest.raises(CompileFailed, match='cancelled'):
        build(building, TinyModel(), on_progress=stop)
    assert not (building.folder / 'net.plan').exists()


def test_a_network_that_changes_before_it_is_read_gives_no_engine(
    building: FakeMachine,
) -> None:
    def exchange(progress: BuildProgress) -> bool:
        # Its digest, after which the engine is named, is taken by now.
        if progress.phase == 'reading the network':
            TinyModel(dynamic=True).save(building.folder / 'net.onnx')
        return True

    with pytest.raises(CompileFailed, match=r'net\.onnx was changed while it was read'):
        build(building, TinyModel(), on_progress=exchange)
    assert not (building.folder / 'net.plan').exists()


def test_timings_are_kept_and_those_of_another_version_are_not_used(
    building: FakeMachine,
) -> None:
    cache = building.folder / 'timings'
    build(building, TinyModel(), options(timing_cache=cache))
    own = cache.read_bytes()
    assert own == b'timings of ' + building.version.encode()
    build(building, TinyModel(), options(timing_cache=cache))
    assert told(building)['values']['timings'] == own
    cache.write_bytes(b'timings of another GPU')
    build(building, TinyModel(), options(timing_cache=cache))
    assert told(building)['values']['timings'] == b''
    assert cache.read_bytes() == own


def test_an_accelerator_computes_in_fp16_with_the_gpu_to_fall_back_on(
    building: FakeMachine,
) -> None:
    with pytest.raises(CompileFailed, match='expected fp16 or int8'):
        build(building, TinyModel(), options(dla_core=0))
    half = TinyModel(input_dtype='float16')
    network = save_proto(half.proto(), building.folder / 'half.onnx')
    out = building.folder / 'half.plan'
    Builds().build_engine(network, half.spec, options('fp16', dla_core=1), out, on_progress=None)
    assert told(building)['values']['default_device_type'].name == 'DLA'
    assert told(building)['values']['DLA_core'] == 1
    assert 'GPU_FALLBACK' in told(building)['flags']
    out.unlink()
    for cores, core, said in ((2, 2, '2 DLA cores; expected 0 to 1'), (0, 0, 'no dla_core')):
        building.trt._machine.dla_cores = cores
        building.gpu.calls.clear()
        with pytest.raises(BackendUnavailable, match=said):
            Builds().build(network, half.spec, options('fp16', dla_core=core), out)
        # Counted before minutes are spent: the builder would only log it and take the GPU.
        assert 'build_serialized_network' not in building.gpu.calls


@pytest.mark.parametrize('precision', ['auto', 'fp16', 'int8'])
def test_an_accelerator_that_does_not_tell_its_precision_has_the_one_asked_for(
    building: FakeMachine, precision: str
) -> None:
    model = TinyModel(input_dtype='float32' if precision == 'int8' else 'float16')
    proto = quantised(model) if precision == 'int8' else model.proto()
    network = save_proto(proto, building.folder / 'net.onnx')
    out = building.folder / 'net.plan'
    wanted = options(precision, dla_core=0)
    report = Builds().build_engine(network, model.spec, wanted, out, on_progress=None)
    expected = 'int8' if precision == 'int8' else 'fp16'
    assert report.precision == expected
    served = building.backend.compile_model(out, model.spec, wanted)
    assert served.report.precision == expected
    served.close()


def test_an_accelerator_named_for_an_fp32_file_lowers_it_where_there_are_flags(
    building: FakeMachine,
) -> None:
    if building.version.startswith('11'):
        with pytest.raises(CompileFailed, match='cannot lower it to fp16'):
            build(building, TinyModel(), options('fp16', dla_core=0))
        return
    build(building, TinyModel(), options('fp16', dla_core=0))
    # What fell back to the GPU tells for itself.
    building.trt._machine.faults.update(gpu_fallback='yes', precision='fp32')
    with pytest.raises(CompileFailed, match='computes in fp32') as refusal:
        build(building, TinyModel(), options('fp16', dla_core=0))
    assert 'leave --dla-core out' in refusal.value.remedy


def test_a_block_of_the_gpu_that_does_not_tell_its_precision_is_refused_with_a_way_out(
    building: FakeMachine,
) -> None:
    building.trt._machine.faults['myelin'] = 'yes'
    half = TinyModel(input_dtype='float16')
    if not building.version.startswith('11'):
        with pytest.raises(CompileFailed, match='does not say in which precision') as refusal:
            build(building, TinyModel(), options('fp16'))
        assert 'modelopt.onnx.autocast' in refusal.value.remedy
    if building.version.startswith('8.'):
        return  # no network keeps its types there
    network = save_proto(half.proto(), building.folder / 'half.onnx')
    out = building.folder / 'half.plan'
    report = Builds().build_engine(network, half.spec, options('fp16'), out, on_progress=None)
    assert report.precision == 'fp16'


def test_all_errors_of_the_parser_are_told_with_their_nodes(building: FakeMachine) -> None:
    model = TinyModel()
    proto = model.proto()
    proto.graph.node.extend(
        onnx.helper.make_node(f'Unknown{index}', ['image'], [f'u{index}'], f'node_{index}')
        for index in range(10)
    )
    network = save_proto(proto, building.folder / 'odd.onnx')
    with pytest.raises(CompileFailed) as caught:
        Builds().build(network, model.spec, options(), building.folder / 'odd.plan')
    assert 'Unknown7' in caught.value.met
    assert 'and 2 more' in caught.value.met
    assert caught.value.remedy


def test_a_file_that_is_not_what_the_manifest_says_is_refused(building: FakeMachine) -> None:
    network = TinyModel().save(building.folder / 'net.onnx')
    other = TinyModel(size=Size(16, 8)).spec
    with pytest.raises(IncompatibleModel, match='1,3,8,12'):
        Builds().build(network, other, options(), building.folder / 'net.plan')


def test_the_key_follows_everything_that_changes_the_engine(building: FakeMachine) -> None:
    model = TinyModel()
    network = model.save(building.folder / 'net.onnx')

    def key(wanted: CompileOptions) -> tuple[str, ...]:
        return Builds().build_key_parts(network, model.spec, wanted)

    same = key(options())
    assert key(CompileOptions(device='GPU.0')) == same  # another name for the same GPU
    assert key(options(memory='mapped', timing_cache='/tmp/t')) == same
    others = {
        key(options('fp32')), key(options(optimisation_level=5)), key(options(workspace_mib=9))
    }  # fmt: skip
    smaller = DeviceInfo(0, 'Orin', (8, 7), 8, True, '12.6')
    building.devices(smaller)
    others.add(key(options()))
    TinyModel(classes=4).save(network)
    others.add(key(options()))
    assert len(others | {same}) == 6


def test_a_command_is_given_that_builds_the_same(building: FakeMachine) -> None:
    wanted = CompileOptions(
        device='GPU.1',
        precision='fp16',
        extra=(('workspace_mib', '512'), ('optimisation_level', '4'), ('dla_core', '0')),
    )
    assert Builds().build_command('floor@2', wanted) == (
        'edge_seg model build-engine floor@2 --precision fp16 --workspace 512 --opt-level 4 '
        '--dla-core 0 --device 1'
    )
    named = Builds().build_command('floor@2', options(cuda='cuda-bindings'))
    assert named == 'edge_seg model build-engine floor@2 --cuda cuda-bindings'
    assert Builds().build_command('floor@2', options()) == 'edge_seg model build-engine floor@2'


@pytest.mark.parametrize(
    ('name', 'value'),
    [('optimisation_level', '6'), ('workspace_mib', '-1'), ('workspace_mib', 'much')],
)
def test_a_wrong_setting_is_refused(building: FakeMachine, name: str, value: str) -> None:
    with pytest.raises(CompileFailed, match=f'{name}: {value}'):
        build(building, TinyModel(), options(**{name: value}))
