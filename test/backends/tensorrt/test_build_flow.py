"""A model that comes as ONNX only, through the stages of the loader, on TensorRT."""

import hashlib
from pathlib import Path

from able_machine import install
from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import LoadStage, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.store import ModelStore
from edge_seg.runtime.build_cache import BuildCache
from edge_seg.runtime.builder import Builder
from edge_seg.runtime.candidate import CandidateFactory, CandidateOptions
import pytest
from tiny_models import TinyModel

FAKES = Path(__file__).parents[2] / 'cli' / 'tensorrt_fakes'


@pytest.fixture(params=['10.3.0', '11.4.0'])
def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ModelStore:
    """Give a store with tiny@1, on a machine with a version of TensorRT."""
    monkeypatch.setenv('PYTHONPATH', str(FAKES))
    monkeypatch.setenv('FAKE_TENSORRT', request.param)
    install(request.param, monkeypatch)
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
    for builder in (permitted, forbidden):  # built once, then found
        factory = CandidateFactory(LayeredStore(store), options, builder)
        prepared = factory.prepare(package, on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
        assert loaded.model.report.backend == 'tensorrt'
        loaded.model.close()
    assert told[0] == 'reading the network'
