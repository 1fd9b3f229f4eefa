"""Models are compiled in a child process, whose death is a failed load and nothing else."""

from collections.abc import Callable, Iterator
import hashlib
import os
from pathlib import Path
import signal
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import BackendChoice, choose
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import CompileFailed
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, open_package
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.build_worker import BuildAnswer, BuildRequest
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.building.memory import check_fits
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
from fake_backend import HEIGHT, WIDTH, write_model
import numpy as np
import psutil
import pytest

onnx = pytest.importorskip('onnx', reason='onnx makes the models of these tests')
pytest.importorskip('openvino', reason='OpenVINO is what is built ahead here')

Build = Callable[[], Path]


def write_network(folder: Path) -> None:
    """Replace the artifact by a real network: three 1x1 filters."""
    weights = onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32)[..., None, None], 'w')
    shape = [1, 3, HEIGHT, WIDTH]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['image', 'w'], ['scores'])],
        'net',
        [onnx.helper.make_tensor_value_info('image', onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info('scores', onnx.TensorProto.FLOAT, shape)],
        [weights],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, folder / 'net.onnx')


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    folder = write_model(tmp_path / 'store', 'net', '1')
    write_network(folder)
    digest = hashlib.sha256((folder / 'net.onnx').read_bytes()).hexdigest()
    wrong = hashlib.sha256(b'net 1').hexdigest()
    manifest = folder / 'manifest.yaml'
    manifest.write_text(manifest.read_text('utf-8').replace(wrong, digest), 'utf-8')
    return open_package(folder)


@pytest.fixture
def choice() -> BackendChoice:
    return choose('openvino', [ArtifactFormat.ONNX])


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = Builder(BuildCache(tmp_path / 'cache', limit_bytes=1 << 30), CompileOptions())
    yield made
    made.cancel()


def test_the_first_build_makes_an_entry_and_the_second_finds_it(
    builder: Builder, package: ModelPackage, choice: BackendChoice
) -> None:
    entry = builder.prebuilt(package, choice).file
    built = entry.stat().st_ino

    assert builder.prebuilt(package, choice).file == entry
    assert entry.stat().st_ino == built


def test_other_options_have_an_entry_of_their_own(
    tmp_path: Path, package: ModelPackage, choice: BackendChoice
) -> None:
    cache = BuildCache(tmp_path / 'cache', limit_bytes=1 << 30)
    entries = {
        Builder(cache, options).prebuilt(package, choice).file
        for options in (CompileOptions(), CompileOptions(threads=1))
    }

    assert len(entries) == 2


def test_a_build_for_which_memory_is_short_is_refused_before_it_begins(
    builder: Builder,
    package: ModelPackage,
    choice: BackendChoice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nearly_full = psutil.virtual_memory()._replace(available=64 << 20)
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: nearly_full)
    (package.path / 'net.onnx').write_bytes(b'no network')  # as the child would say

    with pytest.raises(CompileFailed, match=r'net@1 needs about .* 64 MiB are available'):
        builder.prebuilt(package, choice)


def test_weights_beside_the_network_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [{'path': name, 'sha256': '0' * 64} for name in ('net.onnx', 'net.weights')]
    folder = write_model(tmp_path, 'net', '1', artifacts=[{'format': 'onnx', 'files': files}])
    with (folder / 'net.weights').open('wb') as weights:
        weights.truncate(200 << 20)  # sparse
    half_full = psutil.virtual_memory()._replace(available=900 << 20)
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: half_full)

    with pytest.raises(CompileFailed, match='needs about 848 MiB, 900 MiB are available'):
        check_fits(folder / 'net.onnx', open_package(folder), remedy='take a smaller one')
    compiled = tmp_path / 'key.blob'
    compiled.write_bytes(b'in one piece')
    check_fits(compiled, open_package(folder), remedy='take a smaller one')


def test_an_entry_larger_than_the_limit_of_the_cache_serves(
    tmp_path: Path, package: ModelPackage, choice: BackendChoice
) -> None:
    builder = Builder(BuildCache(tmp_path / 'cache', limit_bytes=1), CompileOptions())

    assert builder.prebuilt(package, choice).file.is_file()


def test_a_refusal_in_the_child_arrives_as_it_was_said(
    builder: Builder, package: ModelPackage, choice: BackendChoice
) -> None:
    (package.path / 'net.onnx').write_bytes(b'no network')

    with pytest.raises(CompileFailed, match=r'net\.onnx'):
        builder.prebuilt(package, choice)


def test_a_killed_child_is_a_failed_build_and_leaves_no_entry(
    tmp_path: Path, builder: Builder, package: ModelPackage, choice: BackendChoice
) -> None:
    outcome: list[Exception] = []

    def build() -> None:
        try:
            builder.prebuilt(package, choice)
        except CompileFailed as failure:
            outcome.append(failure)

    thread = threading.Thread(target=build)
    thread.start()
    os.kill(wait_for_child(), signal.SIGKILL)
    thread.join(30.0)

    assert len(outcome) == 1
    assert 'died (signal 9)' in str(outcome[0])
    assert list((tmp_path / 'cache').glob('*.ovbuilt')) == []
    assert builder.prebuilt(package, choice).file.exists()


def wait_for_child() -> int:
    """Wait until the build's child runs; gives its process id."""
    pause = threading.Event()
    for _ in range(500):
        for child in psutil.Process().children():
            if 'edge_seg.runtime.building.build_worker' in ' '.join(child.cmdline()):
                return child.pid
        pause.wait(0.01)
    raise AssertionError('no child was started')


def test_a_build_can_be_cancelled(
    builder: Builder, package: ModelPackage, choice: BackendChoice
) -> None:
    builder.cancel()

    with pytest.raises(CompileFailed, match='cancelled'):
        builder.prebuilt(package, choice)


@pytest.mark.parametrize('damage', [b'', b'something else', None])
def test_a_damaged_entry_is_set_aside_and_built_again(
    tmp_path: Path, builder: Builder, package: ModelPackage, damage: bytes | None
) -> None:
    options = CandidateOptions('openvino', CompileOptions(), warmup_runs=1)
    factory = CandidateFactory(LayeredStore(ModelStore(tmp_path / 'store')), options, builder)
    entry = builder.prebuilt(package, choose('openvino', [ArtifactFormat.ONNX])).file
    whole = entry.read_bytes()
    prepared = factory.prepare(package, on_stage=lambda stage: None)
    entry.write_bytes(whole[:-20] if damage is None else damage)

    loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)

    loaded.model.close()
    assert loaded.model.report.from_cache
    assert entry.read_bytes()[:20] == whole[:20]
    assert entry.with_name(entry.name + '.bad').exists()


def test_a_request_survives_the_way_to_the_child(tmp_path: Path) -> None:
    options = CompileOptions(device='CPU', threads=2, precision='fp32', extra=(('A', 'b'),))
    request = BuildRequest('openvino', tmp_path, tmp_path / 'a', tmp_path / 'b', options)

    assert BuildRequest.from_json(request.to_json()) == request


def test_an_answer_survives_the_way_back() -> None:
    answer = BuildAnswer('met "this"', 'that', 'do so\nand so')

    assert BuildAnswer.from_json(answer.to_json()) == answer
    assert '\n' not in answer.to_json()
