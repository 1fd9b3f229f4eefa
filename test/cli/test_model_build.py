"""``edge_seg model build-engine`` where TensorRT is a fake, in the child process too."""

from dataclasses import replace
import hashlib
import json
from pathlib import Path
import stat
from typing import cast

from command_line import Result, Run
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import EngineBuilding
from edge_seg.backends.tensorrt.files.engine import read_engine
from edge_seg.backends.tensorrt.files.key import read_record
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import PrebuiltUnusable
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import verify_artifacts
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.engine_builds import EngineBuilds
import numpy as np
import pytest

HERE = Path(__file__).parent
BACKENDS = HERE.parent / 'backends'


@pytest.fixture(params=['10.3.0', '11.4.0'])
def machine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> object:
    """Put a fake TensorRT into this process and its children; the store holds tiny@1."""
    pytest.importorskip('onnx', reason='onnx makes the models of these tests')
    for folder in (BACKENDS, BACKENDS / 'tensorrt'):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv('PYTHONPATH', str(HERE / 'tensorrt_fakes'))
    monkeypatch.setenv('FAKE_TENSORRT', request.param)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    tmp_path.chmod(0o700)
    from able_machine import install

    return install(request.param, monkeypatch)


@pytest.fixture
def tiny(machine: object, store_root: Path, tmp_path: Path) -> ModelStore:
    from tiny_models import TinyModel

    folder = tmp_path / 'tiny'
    folder.mkdir()
    path = TinyModel().save(folder / 'net.onnx')
    content = path.read_bytes()
    file = ArtifactFile('net.onnx', hashlib.sha256(content).hexdigest(), len(content))
    manifest = Manifest(TinyModel().spec, (Artifact(ArtifactFormat.ONNX, (file,)),), 'MIT')
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(manifest))
    store = ModelStore(store_root)
    store.publish(folder)
    return store


def built(result: Result) -> dict[str, object]:
    assert result.code == 0, result.err
    document: dict[str, object] = json.loads(result.out)
    return document


def test_an_engine_lands_where_a_node_with_the_same_settings_looks(
    run: Run, tiny: ModelStore, tmp_path: Path
) -> None:
    import threading

    from edge_seg.backends.registry import create

    document = built(run('model', 'build-engine', 'tiny', '--json'))
    cache = BuildCache(tmp_path / 'cache' / 'edge_seg', limit_bytes=1 << 20)
    node = EngineBuilds(cache, CompileOptions(), 'never', threading.Event())
    package = tiny.resolve('tiny')
    backend = cast(EngineBuilding, create('tensorrt'))
    engine = node.engine(package, backend, package.path / 'net.onnx')
    assert str(engine.file) == document['engine']
    assert document['precision'] == 'fp32'
    assert str(document['trtexec_11']).startswith('trtexec --onnx=')


def test_an_engine_goes_to_a_file_with_its_record(
    run: Run, tiny: ModelStore, tmp_path: Path
) -> None:
    out = tmp_path / 'tiny.plan'
    result = run('model', 'build-engine', 'tiny', '--out', out, '--opt-level', '1')
    assert result.code == 0, result.err
    assert 'TensorRT 10: trtexec' in result.out
    assert '--builderOptimizationLevel=1' in result.out
    assert 'precision  fp32' in ' '.join(result.out.split()).replace(' fp32', '  fp32')
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    record = read_record(out)
    assert record is not None
    assert record.key.optimisation_level == 1
    assert not (tmp_path / 'cache').exists()


def test_a_published_engine_serves_without_a_build(
    run: Run, tiny: ModelStore, machine: object
) -> None:
    from tiny_models import TinyModel

    document = built(run('model', 'build-engine', 'tiny', '--publish-as', '2', '--json'))
    assert document['published'] == 'tiny@2'
    package = tiny.resolve('tiny@2')
    formats = [a.format for a in package.manifest.artifacts]
    assert ('engine_precision', 'fp32') in package.manifest.provenance.fields
    assert formats == [ArtifactFormat.ONNX, ArtifactFormat.TENSORRT_ENGINE]
    engine = package.artifact_for([ArtifactFormat.TENSORRT_ENGINE])
    record = read_record(engine)
    assert record is not None
    assert record.plan_sha256 == document['sha256']
    served = machine.backend.compile_model(  # type: ignore[attr-defined]
        engine, package.manifest.spec, CompileOptions()
    )
    model = TinyModel()
    image = np.ascontiguousarray(model.normalised(model.pixels()).transpose(0, 3, 1, 2))
    assert np.allclose(served.infer([image])[0], model.expected(model.pixels()), atol=1e-4)
    served.close()


def test_a_published_engine_is_refused_on_another_gpu_by_its_record(
    run: Run, tiny: ModelStore, machine: object
) -> None:
    from dataclasses import replace

    from fake_machine import ORIN

    built(run('model', 'build-engine', 'tiny', '--publish-as', '2', '--json'))
    package = tiny.resolve('tiny@2')
    verify_artifacts(package)
    machine.devices(replace(ORIN, sm_count=8))  # type: ignore[attr-defined]
    engine = package.artifact_for([ArtifactFormat.TENSORRT_ENGINE])
    with pytest.raises(PrebuiltUnusable, match='multiprocessors 16, here is 8'):
        machine.backend.compile_model(  # type: ignore[attr-defined]
            engine, package.manifest.spec, CompileOptions()
        )


def test_an_engine_is_published_anew_with_its_record_and_without_the_older_one(
    run: Run, tiny: ModelStore, tmp_path: Path
) -> None:
    built(run('model', 'build-engine', 'tiny', '--publish-as', '2', '--json'))
    built(run('model', 'build-engine', 'tiny@2', '--publish-as', '3', '--json'))
    package = tiny.resolve('tiny@3')
    names = sorted(file.path for file in package.manifest.files())
    assert names == ['net.onnx', 'tiny.plan', 'tiny.plan.json']


def test_engines_are_published_so_that_they_load_whatever_the_umask_is(
    run: Run, tiny: ModelStore
) -> None:
    import os

    before = os.umask(0o002)
    try:
        built(run('model', 'build-engine', 'tiny', '--publish-as', '2', '--json'))
    finally:
        os.umask(before)
    engine = tiny.resolve('tiny@2').artifact_for([ArtifactFormat.TENSORRT_ENGINE])
    assert read_engine(engine).record is not None


def test_fp16_is_met_or_refused_with_the_way_to_it(
    run: Run, tiny: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    out = tmp_path / 'half.plan'
    result = run('model', 'build-engine', 'tiny', '--precision', 'fp16', '--out', out)
    if os.environ['FAKE_TENSORRT'].startswith('11'):
        assert result.code == 1
        assert 'modelopt.onnx.autocast' in result.err
        assert not out.exists()
    else:
        assert result.code == 0, result.err
        assert 'TensorRT 11: needs a file in fp16' in result.out
        record = read_record(out)
        assert record is not None
        assert record.key.precision == 'fp16'


def test_wrong_words_are_refused_before_anything_is_built(run: Run, tiny: ModelStore) -> None:
    assert run('model', 'build-engine', 'tiny', '--publish-as', 'new').code == 2
    assert run('model', 'build-engine', 'tiny', '--opt-level', '9').code == 2
    none = run('model', 'build-engine', 'tiny', '--cache-dir', 'none')
    assert (none.code, '--out or --publish-as' in none.err) == (2, True)
    gone = run('model', 'build-engine', 'tiny', '--device', '3')
    assert (gone.code, "no device 'GPU.3'" in gone.err) == (5, True)
    assert run('model', 'build-engine', 'other').code == 3
    missing = run('model', 'build-engine', 'tiny', '--out', '/missing/tiny.plan')
    assert (missing.code, '/missing is no folder' in missing.err) == (2, True)
    there = run('model', 'build-engine', 'tiny', '--publish-as', '1')
    assert (there.code, 'tiny@1 is in the store already' in there.err) == (1, True)
    assert not any('reading the network' in each.err for each in (missing, there))


def test_the_layer_for_cuda_is_named(run: Run, tiny: ModelStore) -> None:
    built(run('model', 'build-engine', 'tiny', '--cuda', 'cuda-bindings', '--json'))
    assert run('model', 'build-engine', 'tiny', '--cuda', 'other').code == 2


def test_progress_is_told_line_by_line_without_a_terminal(run: Run, tiny: ModelStore) -> None:
    result = run('model', 'build-engine', 'tiny', '--json')
    assert 'reading the network, 0 s' in result.err


def test_without_tensorrt_the_hint_is_given(run: Run, onnx_file: Path, add: object) -> None:
    add()  # type: ignore[operator]
    result = run('model', 'build-engine', 'floor')
    assert result.code == 5
    assert 'install the NVIDIA driver' in result.err


def test_a_built_engine_is_measured(run: Run, tiny: ModelStore) -> None:
    on_tensorrt = ('--backend', 'tensorrt', '--frames', '2', '--size', '64x48', '--json')
    missing = run('model', 'profile', 'tiny', *on_tensorrt)
    assert missing.code == 1
    assert 'edge_seg model build-engine tiny@1' in missing.err
    engine = built(run('model', 'build-engine', 'tiny', '--json'))
    ran = json.loads(run('model', 'profile', 'tiny', *on_tensorrt).out)
    assert ran['run']['backend'] == 'tensorrt'
    assert ran['run']['format'] == 'tensorrt_engine'
    assert ran['run']['size_bytes'] == engine['size']
    assert ran['layers_note'] != ''


def test_an_engine_of_trtexec_is_measured_where_that_is_said(
    run: Run, tiny: ModelStore, tmp_path: Path
) -> None:
    engine = str(built(run('model', 'build-engine', 'tiny', '--json'))['engine'])
    content = Path(engine).read_bytes()
    folder = tmp_path / 'bare'
    folder.mkdir()
    (folder / 'tiny.plan').write_bytes(content)
    file = ArtifactFile('tiny.plan', hashlib.sha256(content).hexdigest(), len(content))
    manifest = tiny.resolve('tiny').manifest
    artifacts = (Artifact(ArtifactFormat.TENSORRT_ENGINE, (file,)),)
    bare = replace(manifest, spec=replace(manifest.spec, version='2'), artifacts=artifacts)
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(bare))
    tiny.publish(folder)
    words = ('tiny@2', '--backend', 'tensorrt', '--frames', '2', '--size', '64x48', '--json')
    refused = run('model', 'profile', *words)
    assert (refused.code, 'has no record' in refused.err) == (1, True)
    ran = json.loads(run('model', 'profile', *words, '--unrecorded').out)
    assert ran['run']['backend'] == 'tensorrt'
    refused = run('model', 'profile', *words, '--unrecorded', '--dla-core', '9')
    assert (refused.code, 'DLA core' in refused.err) == (1, True)


def test_a_model_is_fused_on_a_machine_that_has_tensorrt_too(run: Run, tiny: ModelStore) -> None:
    pytest.importorskip('openvino', reason='OpenVINO compares fused and original')
    result = run('model', 'fuse', 'tiny', '--as', '2')
    assert (result.code, result.err) == (0, '')
    engine = built(run('model', 'build-engine', 'tiny@2', '--json'))
    assert engine['model'] == 'tiny@2'
