"""The whole model flow on the fake TensorRT: store, loader, slot, probation, rollback."""

from collections.abc import Collection, Iterator
import hashlib
from pathlib import Path
import threading

from edge_seg.backends.base import Availability
from edge_seg.backends.registry import BackendChoice
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import LoadStage, ModelRejected, NoActiveModel
from edge_seg.models.manifest import load_manifest
from edge_seg.runtime.loading.probation import ProbationRules
from fake_backend import HEIGHT, WIDTH, write_model
from fake_machine import add_record, FakeMachine
from fake_plan import FakePlan
import model_flow
from model_flow import ModelFlow
import pytest

TRIAL = ProbationRules(frames=5, seconds=60.0, shadow_every=1, max_errors_in_a_row=3)
ONE_HOT = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def plan(version: str, wrong: str = '', dtype: str = 'UINT8') -> FakePlan:
    """Make a network whose score of class c is channel c of the image."""
    shape = [1, 3, HEIGHT, WIDTH]
    tensors = [
        {
            'name': 'image', 'mode': 'INPUT', 'shape': shape, 'dtype': dtype,
            'profiles': [[shape] * 3],
        },
        {'name': 'scores', 'mode': 'OUTPUT', 'shape': shape, 'dtype': 'FLOAT'},
    ]  # fmt: skip
    return FakePlan(version, tensors, ONE_HOT, [0.0] * 3, [0.0] * 3, [1.0] * 3, wrong=wrong)


def publish(store: Path, version: str, engine: FakePlan) -> Path:
    """Put an engine into the store as net@version."""
    made = store.parent / f'engine of {version}'
    made.mkdir()
    plan_file = engine.save(made / 'net.plan')
    files = (plan_file, add_record(plan_file, engine.version))
    written = [
        {'path': each.name, 'sha256': hashlib.sha256(each.read_bytes()).hexdigest()}
        for each in files
    ]
    folder = write_model(
        store, 'net', version, artifacts=[{'format': 'tensorrt_engine', 'files': written}]
    )
    (folder / 'net.onnx').unlink()
    folder.chmod(0o700)
    for each in files:
        each.rename(folder / each.name)
    return folder


@pytest.fixture
def node(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelFlow]:
    """Give a node over a store with net@1 and net@2, served by the fake TensorRT."""

    class EngineRegistry:
        def __init__(self, backends: object) -> None:
            pass

        def __call__(
            self, requested: str, formats: Collection[ArtifactFormat], *, without: Collection[str]
        ) -> BackendChoice:
            found: Availability = machine.backend.probe()
            assert found.available
            return BackendChoice(machine.backend, found, ArtifactFormat.TENSORRT_ENGINE)

    monkeypatch.setattr(model_flow, 'FakeRegistry', EngineRegistry)
    store = machine.folder / 'store'
    for version in ('1', '2'):
        publish(store, version, plan(machine.version))
    made = ModelFlow(store, rules=TRIAL)
    yield made
    made.close()
    for thread in threading.enumerate():
        if thread.name == 'model_closer':
            thread.join(10.0)


def serving(node: ModelFlow, request: str) -> None:
    ended = len(node.outcomes)
    node.loader.request(request)
    success, message = node.wait_for_outcomes(ended + 1)
    assert success, message


def test_an_engine_passes_every_stage_and_is_replaced_between_frames(
    node: ModelFlow, machine: FakeMachine
) -> None:
    node.loader.load('net@1')
    assert node.frame()
    serving(node, 'net@2')
    assert node.board.status.stage == 'probation'
    node.frames(TRIAL.frames)
    status = node.board.status
    assert (status.stage, status.model) == ('serving', 'net@2')
    assert status.backend == f'tensorrt {machine.version}'
    assert node.withdrawn == []


@pytest.mark.parametrize(
    ('wrong', 'words'), [('one_class', 'one class only'), ('shifted', 'agree with those')]
)
def test_an_engine_that_answers_badly_is_rolled_back(
    node: ModelFlow, machine: FakeMachine, wrong: str, words: str
) -> None:
    publish(node.store, '3', plan(machine.version, wrong))
    node.loader.load('net@1')
    serving(node, 'net@3')
    node.frames(TRIAL.frames)
    assert words in node.withdrawn[0]
    assert (node.board.status.stage, node.board.status.model) == ('rejected', 'net@1')
    assert node.frame()


def test_an_engine_that_fails_on_probation_is_rolled_back(
    node: ModelFlow, machine: FakeMachine
) -> None:
    node.loader.load('net@1')
    serving(node, 'net@2')
    answering = machine.gpu.calls.count('execute_async_v3')
    assert answering > 0
    machine.gpu.fail_always = {'execute_async_v3'}
    node.frames(3)
    machine.gpu.fail_always = set()
    assert '3 errors in a row: TensorRT refused the frame' in node.withdrawn[0]
    assert node.board.status.model == 'net@1'
    assert node.frame()


@pytest.mark.parametrize(('wrong', 'words'), [('nan', 'NaN'), ('constant', 'for every class')])
def test_an_engine_with_broken_numbers_is_refused_while_warming(
    node: ModelFlow, machine: FakeMachine, wrong: str, words: str
) -> None:
    publish(node.store, '3', plan(machine.version, wrong))
    node.loader.load('net@1')
    with pytest.raises(ModelRejected, match=words) as refusal:
        node.loader.load('net@3')
    assert refusal.value.stage is LoadStage.WARM
    assert node.board.status.model == 'net@1'
    assert node.frame()


def test_a_foreign_engine_is_refused_and_the_old_one_serves_on(
    node: ModelFlow, machine: FakeMachine
) -> None:
    foreign = plan('9.9.9')
    publish(node.store, '3', foreign)
    node.loader.load('net@1')
    with pytest.raises(ModelRejected, match=r'was built for TensorRT 9\.9\.9') as refusal:
        node.loader.load('net@3')
    assert refusal.value.stage is LoadStage.LOAD
    assert 'edge_seg model build-engine' in refusal.value.remedy
    assert node.frame()


def test_an_engine_that_others_can_write_is_refused(node: ModelFlow) -> None:
    folder = publish(node.store, '3', plan('10.3.0'))
    (folder / 'net.plan').chmod(0o666)
    with pytest.raises(ModelRejected, match='writable by others') as refusal:
        node.loader.load('net@3')
    assert 'chmod go-w' in refusal.value.remedy


def test_errors_after_probation_bring_the_kept_engine_back(
    node: ModelFlow, machine: FakeMachine
) -> None:
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.frames(TRIAL.frames)
    assert node.board.status.stage == 'serving'
    machine.gpu.fail_always = {'execute_async_v3'}
    node.frames(TRIAL.max_errors_in_a_row)
    machine.gpu.fail_always = set()
    assert node.board.status.model == 'net@1'
    assert node.frame()


def large(version: str) -> FakePlan:
    """Make a network of which the GPU holds one at a time."""
    made = plan(version)
    made.activation = 900 << 20
    return made


def test_engines_that_do_not_fit_together_are_refused_or_swapped_with_a_gap(
    node: ModelFlow, machine: FakeMachine
) -> None:
    for version in ('3', '4'):
        publish(node.store, version, large(machine.version))
    node.loader.load('net@3')
    with pytest.raises(ModelRejected, match='needs 900 MiB of GPU memory') as refusal:
        node.loader.load('net@4')
    assert 'swap: exclusive' in refusal.value.remedy
    assert node.frame()
    node.close()
    exclusive = ModelFlow(node.store, rules=TRIAL, exclusive=True, keep_previous=False)
    try:
        exclusive.loader.load('net@3')
        serving(exclusive, 'net@4')
        assert exclusive.frame()
        publish(node.store, '5', plan('9.9.9'))
        with pytest.raises(ModelRejected, match=r'TensorRT 9\.9\.9'):
            exclusive.loader.load('net@5')
        assert exclusive.board.status.model == 'net@4'
        assert exclusive.frame()  # it was loaded again
    finally:
        exclusive.close()


def test_good_and_refused_reloads_leave_gpu_and_threads_flat(
    node: ModelFlow, machine: FakeMachine
) -> None:
    publish(node.store, '3', plan(machine.version, 'nan'))
    publish(node.store, '4', plan('9.9.9'))
    node.loader.load('net@1')
    seen = []
    for turn in range(12):
        serving(node, f'net@{2 - turn % 2}')
        node.frames(TRIAL.frames)
        with pytest.raises(ModelRejected):
            node.loader.load(f'net@{3 + turn % 2}')
        for thread in threading.enumerate():
            if thread.name == 'model_closer':
                thread.join(30.0)
        threads = [t.name for t in threading.enumerate() if t.name.startswith('tensorrt')]
        seen.append((len(threads), machine.gpu.free, len(machine.gpu.left_over())))
    assert len(set(seen[1:])) == 1, seen


def test_rollback_brings_the_kept_engine_back(node: ModelFlow, machine: FakeMachine) -> None:
    node.loader.load('net@1')
    serving(node, 'net@2')
    loads = machine.gpu.calls.count('deserialize_cuda_engine')
    assert node.loader.roll_back() == 'net@1'
    assert node.frame()
    assert machine.gpu.calls.count('deserialize_cuda_engine') == loads


def test_many_reloads_under_frames_leave_nothing(node: ModelFlow, machine: FakeMachine) -> None:
    node.loader.load('net@1')
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            node.frame()

    thread = threading.Thread(target=stream)
    thread.start()
    for turn in range(10):
        serving(node, f'net@{2 - turn % 2}')
    stop.set()
    thread.join(10.0)
    assert node.withdrawn == []
    node.close()
    with pytest.raises(NoActiveModel), node.slot.lease():
        pass


def test_a_manifest_before_fusing_serves_a_fused_engine(
    node: ModelFlow, machine: FakeMachine
) -> None:
    spec: ModelSpec = load_manifest(node.store / 'net' / '1' / 'manifest.yaml').spec
    assert spec.input.dtype == 'float32'
    node.loader.load('net@1')
    with node.slot.lease() as model:
        assert model._compiled.inputs[0].dtype == 'uint8'
