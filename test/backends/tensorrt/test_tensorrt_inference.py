"""Engines run end to end on every version: real numbers, both CUDA layers, all memory modes."""

from collections.abc import Callable
import gc
import itertools
import threading

from edge_seg.backends.base import CompiledModel, CompileOptions, LendsInput
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.core.values import OutputKind
from edge_seg.errors import InferenceFailed
from fake_machine import FakeMachine
import numpy as np
import pytest
from tiny_models import TinyModel

LAYERS = ('pycuda', 'cuda-bindings')
Run = Callable[..., np.ndarray]


def options(**extra: str) -> CompileOptions:
    return CompileOptions(extra=tuple(extra.items()))


def compiled(machine: FakeMachine, model: TinyModel, **extra: str) -> CompiledModel:
    return machine.backend.compile_model(machine.engine(model), model.spec, options(**extra))


@pytest.mark.parametrize('layer', LAYERS)
@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
def test_scores_are_those_of_the_network(
    machine: FakeMachine, run: Run, layout: str, layer: str
) -> None:
    model = TinyModel(input_layout=layout, output_layout=layout)
    served = compiled(machine, model, cuda=layer)
    for seed in range(3):
        pixels = model.pixels(seed)
        assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    served.close()


@pytest.mark.parametrize('labels', ['UINT8', 'INT32', 'INT64'])
def test_a_fused_engine_takes_pixels_and_gives_labels(
    machine: FakeMachine, run: Run, labels: str
) -> None:
    if labels == 'INT64' and machine.version.startswith('8'):
        labels = 'INT32'
    model = TinyModel()
    served = machine.backend.compile_model(
        machine.engine(model, uint8=True, labels=labels), model.spec, options()
    )
    assert (served.inputs[0].dtype, served.inputs[0].layout) == ('uint8', 'NCHW')
    assert served.output_kind is OutputKind.LABELS
    assert served.outputs[0].dtype == labels.lower()
    assert served.report.fused == ('uint8_input', 'normalise', 'argmax')
    pixels = model.pixels()
    assert np.array_equal(run(served, model, pixels), model.expected(pixels).argmax(1)[:, None])
    served.close()


def test_a_fused_engine_may_have_another_layout_than_its_manifest(
    any_machine: Callable[..., FakeMachine], run: Run
) -> None:
    machine = any_machine()
    engine = machine.engine(TinyModel(input_layout='NHWC'), uint8=True)
    model = TinyModel()
    served = machine.backend.compile_model(engine, model.spec, options())
    assert served.inputs[0].layout == 'NHWC'
    pixels = model.pixels()
    assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    served.close()


def test_open_axes_are_fixed_in_the_profile_that_takes_them(
    machine: FakeMachine, run: Run
) -> None:
    model = TinyModel()
    served = machine.backend.compile_model(
        machine.engine(model, dynamic=True), model.spec, options()
    )
    pixels = model.pixels()
    assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert 'set_optimization_profile_async' in machine.gpu.calls
    served.close()


@pytest.mark.parametrize('layer', LAYERS)
def test_mapped_memory_is_copied_nowhere(machine: FakeMachine, run: Run, layer: str) -> None:
    model = TinyModel()
    served = compiled(machine, model, memory='auto', cuda=layer)
    pixels = model.pixels()
    assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert not {'h2d', 'd2h', 'device_alloc'} & set(machine.gpu.calls)
    served.close()


def test_auto_memory_is_pinned_on_a_gpu_with_its_own(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    machine.devices(DeviceInfo(0, 'RTX', (8, 7), 40, False, '12.6'))
    model = TinyModel()
    served = compiled(machine, model, memory='auto')
    assert machine.gpu.calls.count('device_alloc') == 2
    served.close()


@pytest.mark.parametrize('layer', LAYERS)
def test_nothing_is_allocated_per_frame_and_each_frame_waits_once(
    machine: FakeMachine, layer: str
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda=layer)
    machine.gpu.calls.clear()
    tensor = np.zeros(served.inputs[0].shape, np.float32)
    first = served.infer([tensor])[0]
    assert machine.gpu.calls == [
        'h2d', 'execute_async_v3', 'kernel', 'd2h', 'event_record', 'event_sync'
    ]  # fmt: skip
    assert served.infer([tensor])[0] is first
    served.close()


@pytest.mark.parametrize('memory', ['pinned', 'mapped'])
@pytest.mark.parametrize('layer', LAYERS)
def test_a_frame_is_written_where_the_gpu_reads_it(
    machine: FakeMachine, layer: str, memory: str
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda=layer, memory=memory)
    assert isinstance(served, LendsInput)
    pinned = [block.memory for block in machine.gpu.blocks.values() if block.kind == 'host']
    seen: list[object] = []
    image = model.normalised(model.pixels(1)).transpose(0, 3, 1, 2)

    def write(array: np.ndarray) -> None:
        assert any(np.shares_memory(array, block) for block in pinned)
        seen.append(array)
        array[...] = image

    found = served.infer_written(write)[0].copy()
    assert np.allclose(found, model.expected(model.pixels(1)), atol=1e-4)
    served.infer_written(write)
    assert seen[0] is seen[1]
    # Whoever remembers what lies there is told that it is something else now.
    served.infer([np.zeros(served.inputs[0].shape, np.float32)])
    assert np.array_equal(served.infer_written(write)[0], found)
    assert seen[2] is not seen[1]
    served.close()
    with pytest.raises(InferenceFailed, match='the model is closed'):
        served.infer_written(write)
    assert len(seen) == 3


def test_a_frame_that_cannot_be_written_is_not_run(machine: FakeMachine) -> None:
    served = compiled(machine, TinyModel())
    assert isinstance(served, LendsInput)
    machine.gpu.calls.clear()

    def refuse(array: np.ndarray) -> None:
        raise ValueError('the image has another size')

    with pytest.raises(ValueError, match='another size'):
        served.infer_written(refuse)
    assert machine.gpu.calls == []
    served.infer([np.zeros(served.inputs[0].shape, np.float32)])
    served.close()


@pytest.mark.parametrize('end', ['close', '_uncollected'], ids=['close', 'end of the interpreter'])
def test_memory_that_is_being_written_to_is_not_freed(
    any_machine: Callable[..., FakeMachine], end: str
) -> None:
    machine = any_machine()
    served = compiled(machine, TinyModel())
    assert isinstance(served, LendsInput)
    closing = threading.Thread(target=getattr(served, end))

    def write(array: np.ndarray) -> None:
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        assert machine.gpu.blocks

    served.infer_written(write)
    closing.join(30.0)
    assert not machine.gpu.blocks
    with pytest.raises(InferenceFailed, match='the model is closed'):
        served.infer_written(write)


def test_whoever_closes_second_waits_for_the_first(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    served = compiled(machine, TinyModel())
    assert isinstance(served, LendsInput)
    closing = [threading.Thread(target=served.close) for _ in range(2)]

    def write(array: np.ndarray) -> None:
        for each in closing:
            each.start()
            each.join(0.1)
        assert [each.is_alive() for each in closing] == [True, True]

    served.infer_written(write)
    for each in closing:
        each.join(30.0)
    assert not machine.gpu.blocks


def test_a_frame_that_does_not_end_keeps_its_memory_and_nobody_waiting(
    any_machine: Callable[..., FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = any_machine()
    served = compiled(machine, TinyModel())
    assert isinstance(served, LendsInput)
    monkeypatch.setattr('edge_seg.backends.tensorrt.serving.compiled.FRAME_END_S', 0.01)

    def write(array: np.ndarray) -> None:
        served.close()
        assert 'a frame of a TensorRT model does not end' in caplog.text
        assert machine.gpu.blocks

    served.infer_written(write)
    with pytest.raises(InferenceFailed, match='the model is closed'):
        served.infer_written(write)
    served.close()
    assert not machine.gpu.blocks


def test_closing_that_was_interrupted_can_be_done_again(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()
    served = compiled(machine, TinyModel())

    def interrupted(*arguments: object, **words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('edge_seg.backends.tensorrt.cuda.owner.OwnerThread.call', interrupted)
        with pytest.raises(KeyboardInterrupt):
            served.close()
    assert machine.gpu.blocks
    served.close()
    assert not machine.gpu.blocks


def test_a_graph_is_recorded_once_and_launched_for_every_further_frame(
    machine: FakeMachine, run: Run
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda='cuda-bindings', cuda_graph='true')
    for seed in range(4):
        pixels = model.pixels(seed)
        assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert machine.gpu.launches == 3
    assert machine.gpu.calls.count('execute_async_v3') == 2
    served.close()


@pytest.mark.parametrize(
    ('layer', 'failing'),
    [
        ('pycuda', ''),
        ('cuda-bindings', 'begin_capture'),
        ('cuda-bindings', 'end_capture'),
        ('cuda-bindings', 'instantiate'),
    ],
)
def test_without_a_graph_frames_go_on_with_a_warning(
    machine: FakeMachine, run: Run, caplog: pytest.LogCaptureFixture, layer: str, failing: str
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda=layer, cuda_graph='true')
    machine.gpu.fail_always = {failing}
    for seed in range(3):
        pixels = model.pixels(seed)
        assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert caplog.text.count('runs without a CUDA graph') == 1
    assert machine.gpu.launches == 0
    served.close()


def test_a_graph_that_does_not_launch_is_given_up_and_no_frame_is_lost(
    machine: FakeMachine, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda='cuda-bindings', cuda_graph='true')
    for seed in range(5):
        if seed == 2:  # after the first launch
            machine.gpu.fail_always = {'graph_launch'}
        pixels = model.pixels(seed)
        assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert caplog.text.count('runs without a CUDA graph: cuGraphLaunch failed') == 1
    assert machine.gpu.calls.count('graph_launch') == 2
    assert machine.gpu.graphs == {}
    served.close()


def test_a_recording_that_fails_within_tensorrt_costs_no_frame(
    machine: FakeMachine, run: Run
) -> None:
    model = TinyModel()
    served = compiled(machine, model, cuda='cuda-bindings', cuda_graph='true')
    failing = machine.gpu.fail_at = len(machine.gpu.calls) + 9
    for seed in range(3):
        pixels = model.pixels(seed)
        assert np.allclose(run(served, model, pixels), model.expected(pixels), atol=1e-4)
    assert machine.gpu.calls[failing - 3 : failing + 1] == [
        'begin_capture', 'h2d', 'execute_async_v3', 'kernel'
    ]  # fmt: skip
    served.close()


def test_the_answer_is_no_pinned_memory(any_machine: Callable[..., FakeMachine]) -> None:
    machine = any_machine()
    model = TinyModel()
    served = compiled(machine, model)
    answer = served.infer([np.zeros(served.inputs[0].shape, np.float32)])[0]
    pinned = [block.memory for block in machine.gpu.blocks.values()]
    assert not any(np.may_share_memory(answer, memory) for memory in pinned)
    served.close()
    assert np.isfinite(answer).all()


@pytest.mark.parametrize('layer', LAYERS)
def test_all_of_cuda_happens_on_one_thread_that_ends(machine: FakeMachine, layer: str) -> None:
    model = TinyModel()
    before = set(threading.enumerate())
    served = compiled(machine, model, cuda=layer)
    (owner,) = set(threading.enumerate()) - before
    assert owner.name == 'tensorrt net.plan'
    served.close()
    served.close()
    assert not owner.is_alive()
    with pytest.raises(InferenceFailed, match='closed'):
        served.infer([np.zeros(served.inputs[0].shape, np.float32)])


@pytest.mark.parametrize('order', list(itertools.permutations(range(3))))
def test_models_may_be_closed_in_any_order(
    any_machine: Callable[..., FakeMachine], order: tuple[int, ...], run: Run
) -> None:
    machine = any_machine()
    model = TinyModel()
    models = [compiled(machine, model) for _ in range(3)]
    for index in order:
        pixels = model.pixels(index)
        assert np.allclose(run(models[index], model, pixels), model.expected(pixels), atol=1e-4)
        models[index].close()


def test_a_thousand_models_leave_nothing(any_machine: Callable[..., FakeMachine]) -> None:
    machine = any_machine()
    model = TinyModel()
    engine = machine.engine(model)
    tensor = np.zeros((1, 3, 8, 12), np.float32)
    free = machine.gpu.free
    for turn in range(1000):
        served = machine.backend.compile_model(engine, model.spec, options(cuda=LAYERS[turn % 2]))
        served.infer([tensor])
        served.close()
    assert machine.gpu.free == free
    assert machine.gpu.blocks == {}


def test_a_wrong_tensor_is_refused_before_it_reaches_the_gpu(machine: FakeMachine) -> None:
    model = TinyModel()
    served = compiled(machine, model)
    machine.gpu.calls.clear()
    with pytest.raises(InferenceFailed, match='was given uint8'):
        served.infer([model.pixels()])
    assert machine.gpu.calls == []
    served.close()


def test_close_waits_for_the_frame_that_runs(any_machine: Callable[..., FakeMachine]) -> None:
    machine = any_machine()
    model = TinyModel()
    served = compiled(machine, model)
    tensor = np.zeros(served.inputs[0].shape, np.float32)
    outcomes: list[str] = []

    def frames() -> None:
        try:
            while True:
                served.infer([tensor])
        except InferenceFailed as failure:
            outcomes.append(str(failure))

    threads = [threading.Thread(target=frames) for _ in range(2)]
    for thread in threads:
        thread.start()
    served.close()
    for thread in threads:
        thread.join(10.0)
    assert [text.partition(';')[0] for text in outcomes] == ['the model is closed'] * 2


def test_a_model_that_nobody_closes_is_closed_when_it_is_collected(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    model = TinyModel()
    served = compiled(machine, model)
    cycle = [served]
    cycle.append(cycle)  # type: ignore[arg-type]
    del served, cycle
    gc.collect()
    assert machine.gpu.left_over() == []
