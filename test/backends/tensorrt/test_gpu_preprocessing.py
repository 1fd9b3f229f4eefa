"""Camera images are preprocessed on the (fake) GPU: kernel, both CUDA layers, frame path."""

from collections.abc import Callable
import gc
import logging
import os
from pathlib import Path
import threading

import cuda_checks
from edge_seg.backends.base import CompileOptions, TakesImages
from edge_seg.backends.tensorrt.cuda.opening import open_cuda
from edge_seg.backends.tensorrt.files.engine import EngineFile
from edge_seg.backends.tensorrt.preprocessing import compiling
from edge_seg.backends.tensorrt.preprocessing.compiling import compile_kernel
from edge_seg.backends.tensorrt.preprocessing.kernel import kernel_program
from edge_seg.backends.tensorrt.serving.compiled import IMAGE_SIZES_KEPT, TensorRtModel
from edge_seg.core.geometry import GeometryPlan, plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import DecodedImage, ResizeMode, ResizeRule, Size, TensorSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, EdgeSegError, InferenceFailed
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
from fake_machine import FakeMachine
from kernel_on_host import fake_nvcc
import numpy as np
import pytest
from tiny_models import TinyModel

MODEL = TinyModel()
CAMERA = Size(40, 30)
LAYERS = ('pycuda', 'cuda-bindings')
WAIT_S = 30.0


@pytest.fixture(autouse=True)
def nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a compiler for the host in the place of nvcc."""
    folder = fake_nvcc(tmp_path)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    return folder / 'nvcc'


def plan_for(camera: Size = CAMERA) -> GeometryPlan:
    return plan_geometry(camera, MODEL.spec.input.size, MODEL.spec.input.resize)


def picture(camera: Size = CAMERA, order: str = 'bgr', seed: int = 3) -> DecodedImage:
    """Give noise whose rows lie apart, as those of a message may."""
    rows = np.random.default_rng(seed).integers(
        0, 256, (camera.height, camera.width + 5, len(order)), np.uint8
    )
    return DecodedImage(rows[:, : camera.width], order)  # type: ignore[arg-type]


def load(
    machine: FakeMachine, how: dict[str, object] | None = None, **extra: str
) -> TensorRtModel:
    made = machine.backend.compile_model(
        machine.engine(MODEL, **(how or {})),
        MODEL.spec,
        CompileOptions(extra=tuple(extra.items())),
    )
    assert isinstance(made, TensorRtModel)
    assert isinstance(made, TakesImages)
    return made


def on_both(model: TensorRtModel, image: DecodedImage) -> tuple[np.ndarray, np.ndarray]:
    """Give the scores after preprocessing on the CPU, and on the GPU."""
    plan = plan_for(image.size)
    tensor = Preprocessor(MODEL.spec.input, model.inputs[0])(image, plan)
    expected = model.infer([tensor])[0].copy()
    return expected, model.infer_image(image, plan)[0].copy()


def one_level(model: TinyModel) -> float:
    """Give how far scores move when every channel moves by one grey level."""
    kernel, _ = model.weights
    return float(np.abs(kernel / np.array(model.std)).sum(1).max() / model.scale) * 1.01


@pytest.mark.parametrize('memory', ['pinned', 'mapped'])
@pytest.mark.parametrize('layer', LAYERS)
def test_scores_are_those_of_the_cpu_within_one_grey_level(
    machine: FakeMachine, layer: str, memory: str
) -> None:
    model = load(machine, cuda=layer, memory=memory)
    model.prepare_images(plan_for(), 'bgr')
    for seed in range(3):
        expected, found = on_both(model, picture(seed=seed))
        assert np.abs(found - expected).max() <= one_level(MODEL)
        assert found.std() > 0.1
    model.close()


def test_a_border_that_the_kernel_wrote_over_is_painted_again(machine: FakeMachine) -> None:
    model = load(machine, memory='mapped')
    model.prepare_images(plan_for(), 'bgr')
    tall = DecodedImage(picture().pixels[:, :11].copy(), 'bgr')
    plan = plan_geometry(tall.size, MODEL.spec.input.size, ResizeRule(ResizeMode.LETTERBOX))
    assert plan.network_roi.width < MODEL.spec.input.size.width
    preprocess = Preprocessor(MODEL.spec.input, model.inputs[0])
    expected = model.infer([preprocess(tall, plan)])[0].copy()
    for _ in range(2):
        found = model.infer_written(lambda tensor: preprocess.fill(tensor, tall, plan))[0]
        assert np.array_equal(found, expected)
        model.infer_image(picture(), plan_for())
    model.close()


@pytest.mark.parametrize(
    ('memory', 'painted'), [('pinned', [True, False]), ('mapped', [True] * 2)]
)
def test_a_border_is_painted_again_only_where_the_kernel_wrote(
    machine: FakeMachine, memory: str, painted: list[bool]
) -> None:
    model = load(machine, memory=memory)
    model.prepare_images(plan_for(), 'bgr')
    seen: list[np.ndarray] = []
    told: list[bool] = []
    for _ in range(2):
        model.infer_written(lambda array: told.append(not seen or array is not seen[-1]))
        model.infer_written(seen.append)
        model.infer_image(picture(), plan_for())
    assert told == painted
    model.close()


@pytest.mark.parametrize('how', [{'uint8': True}, {'dynamic': True}])
def test_fused_and_open_engines_take_images_too(
    machine: FakeMachine, how: dict[str, object]
) -> None:
    model = load(machine, how)
    model.prepare_images(plan_for(), 'bgr')
    expected, found = on_both(model, picture())
    assert np.abs(found - expected).max() <= one_level(MODEL)
    model.close()


def test_a_frame_is_one_copy_there_one_kernel_one_copy_back_and_no_allocation(
    machine: FakeMachine,
) -> None:
    model = load(machine)
    model.prepare_images(plan_for(), 'bgr')
    machine.gpu.calls.clear()
    model.infer_image(picture(), plan_for())
    assert machine.gpu.calls == [
        'h2d', 'kernel_launch', 'execute_async_v3', 'kernel', 'd2h', 'event_record', 'event_sync'
    ]  # fmt: skip
    model.close()


@pytest.mark.parametrize('layer', LAYERS)
def test_each_call_may_fail(machine: FakeMachine, layer: str) -> None:
    def use() -> None:
        model = load(machine, cuda=layer)
        try:
            model.prepare_images(plan_for(), 'bgr')
            model.infer_image(picture(), plan_for())
        finally:
            model.close()

    use()
    names = list(machine.gpu.calls)
    first = names.index('module_load')
    told = []
    for number in range(first, len(names) - 1):
        machine.gpu.calls.clear()
        machine.gpu.fail_at = number
        with pytest.raises(EdgeSegError) as failure:
            use()
        told.append(failure.value.met)
        machine.gpu.fail_at = -1
        assert machine.settled() == [], (number, names[number])
    assert len(told) > 8


@pytest.mark.parametrize('layer', LAYERS)
def test_a_camera_size_that_fails_halfway_holds_nothing(machine: FakeMachine, layer: str) -> None:
    gpu, model = machine.gpu, load(machine, cuda=layer)
    gpu.calls.clear()
    model.prepare_images(plan_for(), 'bgr')
    calls = list(gpu.calls)
    held = set(gpu.blocks), set(gpu.modules), gpu.free
    for number in range(len(calls)):
        gpu.calls.clear()
        gpu.fail_at = number
        with pytest.raises(CompileFailed, match='does not load'):
            model.prepare_images(plan_for(Size(50, 30)), 'bgr')
        gpu.fail_at = -1
        assert (set(gpu.blocks), set(gpu.modules), gpu.free) == held, calls[number]
    model.prepare_images(plan_for(Size(50, 30)), 'bgr')
    expected, found = on_both(model, picture(Size(50, 30)))
    assert np.abs(found - expected).max() <= one_level(MODEL)
    model.close()


def test_sizes_are_prepared_once_and_only_so_many(machine: FakeMachine) -> None:
    model = load(machine)
    for _ in range(2):
        model.prepare_images(plan_for(), 'bgr')
    assert machine.gpu.calls.count('module_load') == 1
    for number in range(1, IMAGE_SIZES_KEPT):
        model.prepare_images(plan_for(Size(40, 30 + number)), 'bgr')
    with pytest.raises(CompileFailed, match='camera sizes are preprocessed on the GPU already'):
        model.prepare_images(plan_for(Size(50, 30)), 'bgr')
    assert not model.takes_images(plan_for(Size(50, 30)), 'bgr')
    model.close()


def test_a_camera_image_must_fit_into_the_memory_of_the_gpu(machine: FakeMachine) -> None:
    model = load(machine)
    machine.gpu.free = 1 << 20
    with pytest.raises(CompileFailed, match='camera image'):
        model.prepare_images(plan_for(), 'bgr')
    model.close()


def test_a_closed_model_says_so(machine: FakeMachine) -> None:
    model = load(machine)
    model.close()
    with pytest.raises(CompileFailed, match='it was stopped'):
        model.prepare_images(plan_for(), 'bgr')
    with pytest.raises(InferenceFailed, match='closed'):
        model.infer_image(picture(), plan_for())


def test_the_file_of_an_engine_is_let_go_once_it_is_loaded(machine: FakeMachine) -> None:
    model = load(machine)
    gc.collect()
    assert [each for each in gc.get_objects() if isinstance(each, EngineFile)] == []
    model.close()


# The compiler ---------------------------------------------------------------------------------


def test_without_nvcc_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', '/nonexistent')
    monkeypatch.setattr(compiling, 'ELSEWHERE', Path('/nonexistent/nvcc'))
    with pytest.raises(BackendUnavailable, match=r'no nvcc.*cuda-nvcc'):
        compile_kernel('', (8, 7))


def test_nvcc_is_found_where_jetpack_puts_it(nvcc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, 'ELSEWHERE', nvcc)
    monkeypatch.setattr('shutil.which', lambda name: None)
    with pytest.raises(CompileFailed, match=r'does not compile.*error'):
        compile_kernel('this is no C++', (8, 7))


def test_an_nvcc_that_does_not_end_or_start_is_given_up(
    nvcc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, 'COMPILE_TIMEOUT_S', 0.1)
    nvcc.write_text('#!/bin/sh\nexec sleep 60\n')
    with pytest.raises(CompileFailed, match='timed out'):
        compile_kernel('', (8, 7))
    nvcc.write_text('#!/nonexistent\n')
    with pytest.raises(CompileFailed, match='nvcc does not run'):
        compile_kernel('', (8, 7))


# The frame path -------------------------------------------------------------------------------


def served(model: TensorRtModel, image: DecodedImage, mode: str) -> ServingModel:
    return ServingModel(MODEL.spec, model, sha256='', preprocess=mode)  # type: ignore[arg-type]


def segment(model: ServingModel, image: DecodedImage) -> np.ndarray:
    return model.segment(image, confidence=False, watch=Stopwatch()).labels


def test_a_node_preprocesses_on_the_gpu_once_the_kernel_is_there(machine: FakeMachine) -> None:
    compiled = load(machine)
    model = served(compiled, picture(), 'gpu')
    model.settle(picture())
    machine.gpu.calls.clear()
    on_gpu = segment(model, picture()).copy()
    assert 'kernel_launch' in machine.gpu.calls
    on_cpu = segment(served(compiled, picture(), 'cpu'), picture())
    assert np.mean(on_gpu == on_cpu) > 0.9
    model.close()


def test_another_camera_size_is_prepared_beside_the_frames(machine: FakeMachine) -> None:
    compiled = load(machine)
    model = served(compiled, picture(), 'gpu')
    model.settle(picture())
    machine.gpu.calls.clear()
    other = Size(50, 40)
    segment(model, picture(other))
    assert 'kernel_launch' not in machine.gpu.calls
    for thread in threading.enumerate():
        if thread.name == 'preprocess':
            thread.join(WAIT_S)
    segment(model, picture(other))
    assert 'kernel_launch' in machine.gpu.calls
    model.close()


def test_auto_measures_and_says_what_it_found(
    any_machine: Callable[..., FakeMachine], caplog: pytest.LogCaptureFixture
) -> None:
    machine = any_machine()
    caplog.set_level(logging.INFO)
    model = served(load(machine), picture(), 'auto')
    model.settle(picture())
    assert 'images of 40x30 are preprocessed on the' in caplog.text
    assert machine.gpu.calls.count('kernel_launch') == 9
    model.close()


def test_gpu_by_name_is_refused_where_nothing_compiles(
    any_machine: Callable[..., FakeMachine], nvcc: Path
) -> None:
    machine = any_machine()
    nvcc.write_text('#!/bin/sh\necho "no such architecture" >&2\nexit 1\n')
    model = served(load(machine), picture(), 'gpu')
    with pytest.raises(CompileFailed, match='no such architecture'):
        model.settle(picture())
    model.close()


@pytest.mark.parametrize('layer', LAYERS)
def test_the_kernel_can_be_part_of_a_cuda_graph(
    any_machine: Callable[..., FakeMachine], layer: str
) -> None:
    any_machine()
    target = TensorSpec('image', (1, 3, 8, 12), 'float32', 'NCHW')
    image, plan = picture(), plan_for()
    program = kernel_program(MODEL.spec.input, target, plan, 'bgr', CAMERA.width * 3)
    binary = compile_kernel(program.source, (8, 7))
    cuda = open_cuda(layer, 0)
    nbytes = 4 * int(np.prod(target.shape))
    recorded = cuda_checks.kernel_in_a_graph(cuda, program, binary, image.pixels, nbytes)
    cuda.close()
    assert (recorded is None) is (layer == 'pycuda')
    if recorded is not None:
        found = recorded.view(np.float32).reshape(target.shape)
        expected = Preprocessor(MODEL.spec.input, target)(image, plan)
        assert np.abs(found - expected).max() <= 1.01 / MODEL.scale / min(MODEL.std)
