"""A model that comes as ONNX only, through the stages of the loader, on TensorRT."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import hashlib
import os
from pathlib import Path

from able_machine import install
from contract import UNDER_TEST
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import BuildProgress
from edge_seg.backends.registry import choose
from edge_seg.backends.tensorrt.files.key import read_record
from edge_seg.cli.model.engine import publish_engine
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
from edge_seg.runtime.parameters.settings import SegmentationSettings
from fake_machine import FakeMachine, ORIN
from fake_plan import plan_header
from kernel_on_host import fake_nvcc
import model_flow
import onnx
import psutil
import pytest
from tiny_models import TinyModel

WITH_DEFAULTS = CompileOptions()
FAKES = Path(__file__).parents[2] / 'cli' / 'tensorrt_fakes'


# The oldest and the newest that is supported; any other when the tests run on that alone.
VERSIONS = [each for each in ('10.3.0', '11.4.0') if each in UNDER_TEST] or UNDER_TEST[:1]


@pytest.fixture(params=VERSIONS)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Give a machine with a version of TensorRT, in this process and in children."""
    monkeypatch.setenv('PYTHONPATH', str(FAKES))
    monkeypatch.setenv('FAKE_TENSORRT', request.param)
    return install(request.param, monkeypatch)


@pytest.fixture
def store(machine: FakeMachine, tmp_path: Path) -> ModelStore:
    """Give a store with tiny@1."""
    folder = tmp_path / 'tiny'
    folder.mkdir()
    content = TinyModel().save(folder / 'net.onnx').read_bytes()
    file = ArtifactFile('net.onnx', hashlib.sha256(content).hexdigest(), len(content))
    manifest = Manifest(TinyModel().spec, (Artifact(ArtifactFormat.ONNX, (file,)),), 'MIT')
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(manifest))
    made = ModelStore(tmp_path / 'store')
    made.publish(folder)
    return made


def test_an_engine_is_built_only_when_it_may_be_and_found_afterwards(
    store: ModelStore, tmp_path: Path
) -> None:
    options = CandidateOptions('tensorrt', CompileOptions(), warmup_runs=1)
    cache = BuildCache(tmp_path / 'cache', limit_bytes=1 << 20)
    told: list[str] = []
    forbidden = Builder(cache, options.compile)
    permitted = Builder(
        cache, options.compile, engines='on_demand', on_build=lambda p: told.append(p.phase)
    )
    package = store.resolve('tiny')
    with pytest.raises(ModelRejected, match='edge_seg model build-engine tiny@1') as caught:
        CandidateFactory(LayeredStore(store), options, forbidden).prepare(
            package, on_stage=lambda stage: None
        )
    assert caught.value.stage is LoadStage.BUILD
    places = f'--cache-dir {tmp_path / "cache"} --store {tmp_path / "store"}'
    assert f'build-engine tiny@1 {places}' in str(caught.value)
    with pytest.raises(ModelRejected) as caught:
        CandidateFactory(LayeredStore(store), options, forbidden).prepare(
            store.resolve(str(tmp_path / 'tiny')), on_stage=lambda stage: None
        )
    assert f'build-engine {tmp_path / "tiny"} --cache-dir' in str(caught.value)
    for builder in (permitted, forbidden):  # built once, then found
        factory = CandidateFactory(LayeredStore(store), options, builder)
        prepared = factory.prepare(package, on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
        assert loaded.model.report.backend == 'tensorrt'
        loaded.model.close()
    assert told[0] == 'reading the network'


@dataclass
class Node:
    """What a node loads models with."""

    store: ModelStore
    root: Path
    builds: list[str] = field(default_factory=list)
    took: str = ''
    on_phase: Callable[[str], None] = lambda phase: None

    def load(
        self,
        model: str = 'tiny',
        *,
        wanted: CompileOptions = WITH_DEFAULTS,
        mode: str = 'never',
        preprocess: str = 'cpu',
        backend: str = 'tensorrt',
        cached: bool = True,
    ) -> str:
        """Take a model through every stage and let it go; gives its precision."""
        options = CandidateOptions(
            backend,
            wanted,
            warmup_runs=1,
            preprocess=preprocess,  # type: ignore[arg-type]
        )
        builder = self.builder(wanted, mode) if cached else None
        factory = CandidateFactory(LayeredStore(self.store), options, builder)
        prepared = factory.prepare(self.store.resolve(model), on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
        loaded.model.close()
        self.took = loaded.model.report.backend
        return loaded.model.report.precision

    def builder(self, wanted: CompileOptions, mode: str) -> Builder:
        """Give what builds into the cache."""
        return Builder(
            BuildCache(self.root, limit_bytes=1 << 20),
            wanted,
            engines=mode,  # type: ignore[arg-type]
            on_build=self._note,
        )

    def _note(self, progress: BuildProgress) -> None:
        self.builds.append(progress.phase)
        self.on_phase(progress.phase)

    @property
    def entries(self) -> list[Path]:
        """The engines in the cache."""
        return sorted(self.root.glob('*.plan'))


BUILT: dict[str, dict[str, bytes]] = {}
"""Files of the cache after the first build, by version: a child process for each test is slow."""


@pytest.fixture
def node(store: ModelStore, machine: FakeMachine, tmp_path: Path) -> Node:
    """Give a node whose cache has the engine of tiny@1."""
    made = Node(store, tmp_path / 'cache')
    made.root.mkdir(mode=0o700)
    for name, content in BUILT.get(machine.version, {}).items():
        (made.root / name).write_bytes(content)
    made.load(mode='on_demand')
    kept = [path for path in made.root.iterdir() if path.suffix in ('.plan', '.json')]
    BUILT[machine.version] = {path.name: path.read_bytes() for path in kept}
    made.builds.clear()
    return made


def test_an_engine_that_does_not_fit_now_is_kept_and_loads_later(
    node: Node, machine: FakeMachine
) -> None:
    free, machine.gpu.free = machine.gpu.free, 1 << 20
    with pytest.raises(ModelRejected, match='of GPU memory'):
        node.load(mode='on_demand')
    assert node.builds == []
    machine.gpu.free = free
    assert node.load()


def test_an_engine_that_is_refused_while_memory_is_scarce_is_kept_and_loads_later(
    node: Node, machine: FakeMachine
) -> None:
    free, machine.gpu.free = machine.gpu.free, 300 << 20
    machine.gpu.fail_always = {'deserialize_cuda_engine'}
    with pytest.raises(ModelRejected, match='while little memory is free') as caught:
        node.load(mode='on_demand')
    assert 'edge_seg model build-engine tiny@1' in str(caught.value)
    assert node.builds == []
    machine.gpu.fail_always = set()
    machine.gpu.free = free
    assert node.load()
    assert not list(node.root.glob('*.bad'))


def test_a_wish_that_cannot_be_met_costs_no_engine(node: Node, machine: FakeMachine) -> None:
    machine.devices(replace(ORIN, integrated=False))
    # The limit by default is another one where the GPU has memory of its own.
    mapped = CompileOptions(extra=(('memory', 'mapped'), ('workspace_mib', '1024')))
    with pytest.raises(ModelRejected, match='memory of its own'):
        node.load(wanted=mapped, mode='on_demand')
    assert len(node.entries) == 1
    assert node.builds == []


def test_an_engine_of_another_model_under_this_ones_name_is_not_served(
    node: Node, tmp_path: Path
) -> None:
    (own,) = node.entries
    level = CompileOptions(extra=(('optimisation_level', '5'),))
    node.load(wanted=level, mode='on_demand')
    node.builds.clear()
    (other,) = (entry for entry in node.entries if entry != own)
    for suffix in ('', '.json'):  # with its record, so that the two agree
        own.with_name(own.name + suffix).write_bytes(
            other.with_name(other.name + suffix).read_bytes()
        )
    with pytest.raises(ModelRejected, match='built for another network') as caught:
        node.load()
    assert 'edge_seg model build-engine tiny@1' in str(caught.value)
    assert node.load(mode='on_demand')
    assert 'building' in node.builds


def test_an_engine_in_the_cache_without_its_record_is_not_served(node: Node) -> None:
    (own,) = node.entries
    own.with_name(f'{own.name}.json').unlink()
    with pytest.raises(ModelRejected, match='has no record'):
        node.load()
    assert node.load(mode='on_demand')
    assert 'building' in node.builds


def test_an_engine_that_tensorrt_refuses_is_named_and_built_again(
    node: Node, machine: FakeMachine
) -> None:
    machine.gpu.fail_always = {'deserialize_cuda_engine'}
    with pytest.raises(ModelRejected, match='cannot be loaded') as caught:
        node.load()
    assert 'run once: edge_seg model build-engine tiny@1' in str(caught.value)
    machine.gpu.fail_always = set()
    assert node.load(mode='on_demand')
    assert 'building' in node.builds


def test_parameters_of_the_node_reach_builder_key_command_and_run_time(
    node: Node, machine: FakeMachine
) -> None:
    settings = SegmentationSettings.from_values(
        {
            'tensorrt_workspace_mib': 256,
            'tensorrt_optimisation_level': 1,
            'tensorrt_dla_core': 1,
            'precision': 'auto' if machine.version.startswith('11') else 'fp16',
            'tensorrt_memory': 'mapped',
            'tensorrt_cuda': 'cuda-bindings',
        }
    )
    wanted = settings.compile_options()
    if machine.version.startswith('11'):  # fp32 is nothing for a DLA core, and 11 has no flags
        with pytest.raises(ModelRejected, match='deep learning accelerator'):
            node.load(wanted=wanted)
        return
    with pytest.raises(ModelRejected) as caught:
        node.load(wanted=wanted)
    said = '--precision fp16 --workspace 256 --opt-level 1 --dla-core 1'
    assert f'edge_seg model build-engine tiny@1 {said}' in str(caught.value)
    assert node.load(wanted=wanted, mode='on_demand') == 'fp16'
    (record,) = (
        found.key
        for found in map(read_record, node.entries)
        if found is not None and found.key.dla_core == 1
    )
    assert (record.workspace_bytes, record.optimisation_level) == (256 << 20, 1)
    machine.gpu.calls.clear()
    node.load(wanted=wanted)
    assert 'execute_async_v3' in machine.gpu.calls
    assert 'h2d' not in machine.gpu.calls  # mapped memory


def test_what_changes_the_run_only_needs_no_other_engine(node: Node) -> None:
    graph = CompileOptions(extra=(('tensorrt.cuda', 'cuda-bindings'),))
    assert node.load(wanted=graph)
    assert len(node.entries) == 1


def test_parameters_of_tensorrt_are_no_concern_of_openvino(node: Node, tmp_path: Path) -> None:
    pytest.importorskip('openvino', reason='OpenVINO is what takes no notice')
    wanted = CompileOptions(extra=(('tensorrt.memory', 'mapped'),))
    for builder in (None, Builder(BuildCache(tmp_path / 'other', limit_bytes=1 << 24), wanted)):
        options = CandidateOptions('openvino', wanted, warmup_runs=1)
        factory = CandidateFactory(LayeredStore(node.store), options, builder)
        prepared = factory.prepare(node.store.resolve('tiny'), on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
        assert loaded.model.report.backend == 'openvino'
        loaded.model.close()


def test_images_are_preprocessed_on_the_gpu_from_the_warm_up_on(
    node: Node, machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PATH', f'{fake_nvcc(tmp_path)}:{os.environ["PATH"]}')
    machine.gpu.calls.clear()
    assert node.load(preprocess='gpu')
    assert 'kernel_launch' in machine.gpu.calls
    monkeypatch.setattr('shutil.which', lambda name: None)
    monkeypatch.setattr(
        'edge_seg.backends.tensorrt.preprocessing.compiling.ELSEWHERE', tmp_path / 'none'
    )
    with pytest.raises(ModelRejected, match='there is no nvcc') as caught:
        node.load(preprocess='gpu')
    assert caught.value.stage is LoadStage.WARM
    assert node.load(preprocess='auto')


def published_engine(node: Node) -> Path:
    """Publish tiny@2, which has the engine of tiny@1 beside its network; gives its folder."""
    package = node.store.resolve('tiny@1')
    (entry,) = node.entries
    return publish_engine(node.store, package, entry, '2').path


def test_an_engine_from_the_store_serves_on_the_machine_that_it_is_for(node: Node) -> None:
    published_engine(node)
    assert node.load('tiny@2')
    assert len(node.entries) == 1


def test_another_machine_builds_its_own_engine_from_the_network_beside_it(
    node: Node, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = published_engine(node)
    record = folder / 'tiny.plan.json'
    republish(record, record.read_bytes().replace(b'"Orin"', b'"Nano"'))
    with pytest.raises(ModelRejected, match='edge_seg model build-engine tiny@2'):
        node.load('tiny@2')
    assert node.load('tiny@2', mode='on_demand')
    assert 'building' in node.builds


@pytest.mark.parametrize(
    ('wanted', 'said'),
    [
        (CompileOptions(extra=(('optimisation_level', '5'),)), 'level 3, asked for is 5'),
        (CompileOptions(extra=(('workspace_mib', '77'),)), 'workspace MiB 1024, asked for is 77'),
        (CompileOptions(precision='fp32'), 'TF32 on, asked for is off'),
    ],
)
def test_a_published_engine_that_is_not_as_asked_for_is_passed_over(
    node: Node, wanted: CompileOptions, said: str
) -> None:
    published_engine(node)
    with pytest.raises(ModelRejected, match='edge_seg model build-engine tiny@2') as caught:
        node.load('tiny@2', wanted=wanted)
    assert said in str(caught.value)
    assert node.load('tiny@2', wanted=wanted, mode='on_demand')
    assert 'building' in node.builds
    assert node.load('tiny@2', wanted=wanted)  # the refusal is not met again


def test_a_precision_that_a_published_engine_lacks_is_built(
    node: Node, machine: FakeMachine
) -> None:
    published_engine(node)
    half = CompileOptions(precision='fp16')
    if machine.version.startswith('11'):
        with pytest.raises(ModelRejected, match='cannot lower it to fp16'):
            node.load('tiny@2', wanted=half, mode='on_demand')
        return
    with pytest.raises(ModelRejected, match='precision fp32, asked for is fp16') as caught:
        node.load('tiny@2', wanted=half)
    assert 'build-engine tiny@2 --precision fp16' in str(caught.value)
    assert node.load('tiny@2', wanted=half, mode='on_demand') == 'fp16'
    assert node.load('tiny@2', wanted=half) == 'fp16'
    assert node.load('tiny@2') == 'fp32'


def test_a_published_engine_of_another_network_is_passed_over(node: Node) -> None:
    folder = published_engine(node)
    network = folder / 'net.onnx'
    proto = onnx.load(network)
    proto.graph.name = '?' * len(proto.graph.name)
    republish(network, proto.SerializeToString())
    for cached in (True, False):
        with pytest.raises(ModelRejected, match=r'built from another network than net\.onnx'):
            node.load('tiny@2', cached=cached)


def test_without_a_cache_an_engine_serves_only_as_the_one_of_its_network(node: Node) -> None:
    published_engine(node)
    (entry,) = node.entries
    publish_bare(node, '3', entry.read_bytes())
    assert node.load('tiny@2', cached=False)
    settings = SegmentationSettings.from_values({'tensorrt_unrecorded': True})
    unrecorded = settings.compile_options()
    with pytest.raises(ModelRejected, match=r'has no record of what it was built for') as caught:
        node.load('tiny@3', wanted=unrecorded, cached=False)
    assert 'set cache_dir, or publish one: edge_seg model build-engine tiny@3' in str(caught.value)
    with pytest.raises(ModelRejected, match=r'no tensorrt engine .*net\.onnx is none') as caught:
        node.load('tiny@1', cached=False)
    assert caught.value.stage is LoadStage.BUILD


@pytest.mark.parametrize('model', ['tiny@1', 'tiny@3'])
def test_without_a_cache_a_free_choice_runs_the_network(node: Node, model: str) -> None:
    pytest.importorskip('openvino', reason='it runs the network')
    (entry,) = node.entries
    publish_bare(node, '3', entry.read_bytes())
    assert node.load(model, backend='auto', cached=False)
    assert node.took == 'openvino'


def publish_bare(node: Node, version: str, engine: bytes, *, with_network: bool = True) -> None:
    """Publish an engine without a record, as from trtexec."""
    package = node.store.resolve('tiny@1')
    bare = node.root.parent / f'bare {version}'
    bare.mkdir()
    manifest = package.manifest
    (bare / 'tiny.plan').write_bytes(engine)
    file = ArtifactFile('tiny.plan', hashlib.sha256(engine).hexdigest(), len(engine))
    artifacts = [Artifact(ArtifactFormat.TENSORRT_ENGINE, (file,))]
    if with_network:
        (bare / 'net.onnx').write_bytes((package.path / 'net.onnx').read_bytes())
        artifacts = [*manifest.artifacts, *artifacts]
    spec = replace(manifest.spec, version=version)
    made = replace(manifest, spec=spec, artifacts=tuple(artifacts))
    (bare / MANIFEST_NAME).write_bytes(dump_manifest(made))
    node.store.publish(bare)


def test_a_published_engine_without_a_record_does_not_serve_beside_a_network(node: Node) -> None:
    (entry,) = node.entries
    publish_bare(node, '3', entry.read_bytes())
    with pytest.raises(ModelRejected, match=r'tiny\.plan has no record of what it was built for'):
        node.load('tiny@3')
    assert node.load('tiny@3', mode='on_demand') == 'fp32'
    assert 'building' in node.builds
    assert node.load('tiny@3') == 'fp32'


def test_an_engine_without_a_record_or_network_serves_only_where_that_is_set(node: Node) -> None:
    (entry,) = node.entries
    publish_bare(node, '3', entry.read_bytes(), with_network=False)
    with pytest.raises(ModelRejected, match='set tensorrt_unrecorded: true') as caught:
        node.load('tiny@3', mode='on_demand')
    assert caught.value.stage is LoadStage.LOAD
    settings = SegmentationSettings.from_values({'tensorrt_unrecorded': True})
    assert node.load('tiny@3', wanted=settings.compile_options()) == 'fp32'
    assert node.builds == []


def test_a_published_engine_with_a_damaged_record_does_not_stand_in_the_way(node: Node) -> None:
    folder = published_engine(node)
    republish(folder / 'tiny.plan.json', b'{"key": {}}')
    with pytest.raises(ModelRejected, match=r'tiny\.plan\.json is damaged') as caught:
        node.load('tiny@2')
    assert 'run once: edge_seg model build-engine tiny@2' in str(caught.value)
    assert node.load('tiny@2', mode='on_demand')
    assert node.load('tiny@2')


def published_foreign(node: Node) -> None:
    """Publish tiny@2 with an engine whose record fits, and which TensorRT refuses."""
    folder = published_engine(node)
    engine, record = folder / 'tiny.plan', folder / 'tiny.plan.json'
    old = hashlib.sha256(engine.read_bytes()).hexdigest()
    blob = plan_header('9.9.9') + engine.read_bytes()[28:]
    republish(engine, blob)
    new = hashlib.sha256(blob).hexdigest()
    republish(record, record.read_text().replace(old, new).encode())


def test_a_published_engine_that_tensorrt_refuses_does_not_stand_in_the_way(node: Node) -> None:
    published_foreign(node)
    with pytest.raises(ModelRejected, match=r'was built by TensorRT 9\.9\.9, here is') as caught:
        node.load('tiny@2')
    assert 'run once: edge_seg model build-engine tiny@2' in str(caught.value)
    assert node.load('tiny@2', mode='on_demand')
    assert 'building' in node.builds
    assert node.load('tiny@2')  # the one built here; the other is refused first, every time


def test_a_free_choice_passes_over_an_engine_that_tensorrt_refuses(node: Node) -> None:
    pytest.importorskip('openvino', reason='it runs the network')
    published_foreign(node)
    assert node.load('tiny@2', backend='auto')
    assert node.took == 'openvino'
    assert node.builds == []


@pytest.mark.parametrize('model', ['tiny@1', 'tiny@2'])
def test_an_engine_that_is_refused_just_built_is_not_built_again(
    node: Node, machine: FakeMachine, model: str
) -> None:
    published_engine(node)
    machine.gpu.fail_always = {'deserialize_cuda_engine'}
    with pytest.raises(ModelRejected, match='cannot be loaded'):
        node.load(model, mode='on_demand')
    assert node.builds.count('reading the network') == 1
    machine.gpu.fail_always = set()
    assert node.load(model)  # what was built is kept


def test_no_engine_is_built_while_nothing_serves(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_flow, 'FakeRegistry', lambda backends: choose)
    published_foreign(node)
    flow = model_flow.ModelFlow(
        node.store.root,
        backend='tensorrt',
        exclusive=True,
        keep_previous=False,
        builder=node.builder(WITH_DEFAULTS, 'on_demand'),
    )
    try:
        flow.loader.load('tiny@1')
        with pytest.raises(ModelRejected, match=r'TensorRT 9\.9\.9') as caught:
            flow.loader.load('tiny@2')
        assert 'run once: edge_seg model build-engine tiny@2' in caught.value.remedy
        assert 'on_demand' not in caught.value.remedy  # it is set
        assert node.builds == []
        assert flow.board.status.model == 'tiny@1'
        node.load('tiny@2', mode='on_demand')  # as the command does
        node.builds.clear()
        flow.loader.load('tiny@2')
        assert flow.board.status.model == 'tiny@2'
        assert node.builds == []
    finally:
        flow.close()


def republish(file: Path, content: bytes) -> None:
    """Change a published file and its digest; of JSON the length is kept by blanks."""
    old = file.read_bytes()
    manifest = file.with_name(MANIFEST_NAME)
    file.write_bytes(content.ljust(len(old)))
    before, after = (hashlib.sha256(each).hexdigest() for each in (old, file.read_bytes()))
    manifest.write_text(manifest.read_text().replace(before, after))


def test_a_killed_builder_is_a_refusal_and_the_next_one_works(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = tmp_path / 'gate'
    gate.touch()
    monkeypatch.setenv('FAKE_TENSORRT_GATE', str(gate))
    node.on_phase = lambda phase: kill_builder() if phase == 'building' else None
    other = CompileOptions(extra=(('optimisation_level', '5'),))
    with pytest.raises(ModelRejected, match='signal 9') as caught:
        node.load(wanted=other, mode='on_demand')
    assert caught.value.stage is LoadStage.BUILD
    assert node.load()  # what is there serves on
    gate.unlink()
    node.on_phase = lambda phase: None
    assert node.load(wanted=other, mode='on_demand')
    assert len(node.entries) == 2


def kill_builder() -> None:
    (child,) = (
        child
        for child in psutil.Process().children()
        if 'edge_seg.runtime.building.engine_worker' in child.cmdline()
    )
    child.kill()
