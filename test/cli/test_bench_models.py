"""The model stores that benchmarks make: good versions load, bad ones fail where they should."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.cli.bench.network import MODEL, network_store
from edge_seg.cli.bench.store import bad_models, copy_as, FIRST, good_store, nudge, SECOND
from edge_seg.errors import ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import verify_artifacts
from edge_seg.models.store import ModelStore
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
import pytest

pytest.importorskip('onnx', reason='onnx makes the broken models')
pytest.importorskip('openvino', reason='OpenVINO is the backend of the benchmarks')

BEFORE_SWAP = ('resolve', 'verify', 'build', 'warm')


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return good_store(tmp_path_factory.mktemp('bench') / 'store')


def bring_up(store: ModelStore, request: str) -> str:
    """Take a model through the stages before the swap; the stage that refused it, or ''."""
    options = CandidateOptions('openvino', CompileOptions(threads=1), warmup_runs=1)
    factory = CandidateFactory(LayeredStore(store), options)
    try:
        prepared = factory.prepare(factory.resolve(request), on_stage=lambda stage: None)
        loaded = factory.bring_up(prepared, camera=None, on_stage=lambda stage: None)
    except ModelRejected as refusal:
        return refusal.stage.value
    loaded.model.close()
    return ''


@pytest.mark.parametrize('request_text', [FIRST, SECOND])
def test_both_good_versions_serve(store: ModelStore, request_text: str) -> None:
    assert bring_up(store, request_text) == ''


def test_a_model_with_nudged_weights_serves_and_is_another_one(store: ModelStore) -> None:
    copy_as(store.resolve(FIRST), store.root, '120', change=nudge, golden=True)

    assert bring_up(store, 'floor@120') == ''
    first, nudged = store.resolve(FIRST), store.resolve('floor@120')
    assert first.manifest.artifacts[0].main.sha256 != nudged.manifest.artifacts[0].main.sha256


def test_bad_models_cover_the_stages_and_fail_at_theirs(store: ModelStore) -> None:
    bad = bad_models(store)

    assert {model.stage for model in bad} == {*BEFORE_SWAP, 'probation'}
    # Without a build in a child process, what the build would find is found at load.
    expected = [{'build': 'load', 'probation': ''}.get(model.stage, model.stage) for model in bad]
    assert [bring_up(store, model.request) for model in bad] == expected


def test_the_installed_models_are_not_touched(store: ModelStore, tmp_path: Path) -> None:
    again = good_store(tmp_path / 'again')

    assert [entry.identity for entry in again.entries()] == [FIRST, SECOND]


def test_the_network_of_640x480_is_the_same_each_time_and_fits_its_manifest(
    tmp_path: Path,
) -> None:
    store = network_store(tmp_path / 'one')
    again = network_store(tmp_path / 'two')

    package = store.resolve(MODEL)
    (file,) = package.manifest.artifacts[0].files
    assert file.sha256 == again.resolve(MODEL).manifest.artifacts[0].files[0].sha256
    verify_artifacts(package)
    model = create('openvino').compile_model(
        package.path_of(file), package.manifest.spec, CompileOptions(threads=1)
    )
    try:
        assert [spec.shape for spec in model.inputs] == [(1, 480, 640, 3)]
        assert [spec.shape for spec in model.outputs] == [(1, 8, 480, 640)]
    finally:
        model.close()
