"""What every registry does: folders, memory and a real MLflow server are treated alike."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
import secrets
import shutil
from typing import Any

from edge_seg.errors import IntegrityError, ModelNotFound, StoreError
from edge_seg.models.keys import generate_pair
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.registry.interface import RegisteredVersion, Registry
from edge_seg.offline.registry.opening import open_registry
from edge_seg.offline.registry.transfer import pull, push
import pytest
from registry_parts import add_version


@pytest.fixture(params=['file', 'memory', 'mlflow'])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a registry of each kind, the MLflow server being one for all tests."""
    if request.param == 'mlflow':
        yield f'mlflow+{request.getfixturevalue("mlflow_address")}'
        return
    pytest.importorskip('fsspec', reason='fsspec is not installed: tools/setup_env --tests')
    if request.param == 'file':
        yield f'file://{tmp_path}/registry'
        return
    yield f'memory://{secrets.token_hex(4)}/models'


@pytest.fixture
def registry(address: str) -> Registry:
    return open_registry(address)


@pytest.fixture
def name() -> str:
    """Give a name that no other test uses: they share the server."""
    return f'road-{secrets.token_hex(4)}'


@pytest.fixture
def models(tmp_path: Path, name: str) -> ModelStore:
    """Give a store with two versions, the first of them stable."""
    store = ModelStore(tmp_path / 'models')
    for version in (1, 2):
        add_version(store, tmp_path / 'sources', name=name, version=version)
    store.set_label(name, 'stable', '1')
    return store


def test_what_is_pushed_can_be_listed_and_pulled(
    registry: Registry, models: ModelStore, robot: ModelStore, name: str
) -> None:
    pushed = push(models.resolve(f'{name}@1'), registry, labels=['stable'])
    assert pushed.new
    push(models.resolve(f'{name}@2'), registry)
    assert name in registry.names()
    first, second = registry.versions(name)
    assert first == pushed.version
    assert (first.version, first.labels, first.signed) == ('1', ('stable',), False)
    assert (second.version, second.labels) == ('2', ())

    stable = pull(registry, name, robot)
    assert stable.installed.package.manifest_sha256 == models.resolve(name).manifest_sha256
    latest = pull(registry, f'{name}@latest', robot)
    assert latest.installed.package.identity == f'{name}@2'
    assert [entry.labels for entry in robot.entries()] == [(), ()]
    again = pull(registry, f'{name}@stable', robot, with_labels=True)
    assert (again.installed.new, again.labels) == (False, ('stable',))
    assert robot.resolve(f'{name}@stable').identity == f'{name}@1'

    # A label moves, a version stays.
    repeated = push(models.resolve(f'{name}@2'), registry, labels=['stable'])
    assert not repeated.new
    assert [each.labels for each in registry.versions(name)] == [(), ('stable',)]

    for request in (f'{name}@3', f'{name}@canary', 'nobody-knows-it'):
        with pytest.raises(ModelNotFound, match='the registry has no'):
            pull(registry, request, robot)


def test_each_step_of_a_transfer_is_told(
    registry: Registry, models: ModelStore, robot: ModelStore, name: str
) -> None:
    told: list[tuple[str, int, int]] = []

    def on_step(*progress: Any) -> None:
        told.append(progress)

    push(models.resolve(f'{name}@1'), registry, on_step=on_step)
    assert list(dict.fromkeys(step for step, *_ in told)) == ['packing', 'uploading']
    told.clear()
    pull(registry, name, robot, on_step=on_step)
    assert list(dict.fromkeys(step for step, *_ in told)) == ['downloading', 'installing']
    assert all(0 <= done <= total for _, done, total in told if total)
    _, done, total = told[-1]
    assert 0 < done == total


def test_another_model_of_a_version_is_refused(
    registry: Registry, models: ModelStore, tmp_path: Path, name: str
) -> None:
    push(models.resolve(f'{name}@1'), registry)
    other = tmp_path / 'other'
    shutil.copytree(models.resolve(f'{name}@1').path, other)
    text = (other / 'manifest.yaml').read_text('utf-8').replace('MIT', 'Apache-2.0')
    (other / 'manifest.yaml').write_text(text, 'utf-8')
    with pytest.raises(StoreError, match='in the registry already, and is another model'):
        push(ModelStore(tmp_path / 'empty').resolve(f'{other}/'), registry)
    (only,) = registry.versions(name)
    assert only.model_sha256 == models.resolve(f'{name}@1').manifest_sha256


def test_a_signature_travels_along(
    registry: Registry, models: ModelStore, robot: ModelStore, tmp_path: Path, name: str
) -> None:
    private, public = generate_pair(tmp_path / 'site')
    policy = SignaturePolicy(require=True, trusted_keys=(public,))
    push(models.resolve(f'{name}@1'), registry)
    push(models.resolve(f'{name}@2'), registry, key=private)
    assert [each.signed for each in registry.versions(name)] == [False, True]
    assert pull(registry, f'{name}@2', robot, policy=policy).installed.signature.state == 'good'
    with pytest.raises(IntegrityError, match=f'{name}@1 is not signed'):
        pull(registry, f'{name}@1', robot, policy=policy)
    assert [entry.version for entry in robot.entries()] == ['2']


class Lying:
    """A registry that gives another archive than it describes."""

    def __init__(self, honest: Registry, version: RegisteredVersion) -> None:
        self._honest, self._version = honest, version

    def names(self) -> tuple[str, ...]:
        return self._honest.names()

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        return (self._version,)

    def fetch(self, version: RegisteredVersion, folder: Path, **_: object) -> Path:
        return self._honest.fetch(self._honest.versions(version.name)[0], folder)

    add = set_labels = None


def test_another_archive_than_described_is_refused(
    models: ModelStore, robot: ModelStore, tmp_path: Path, name: str
) -> None:
    registry = open_registry(f'file://{tmp_path}/registry')
    push(models.resolve(f'{name}@1'), registry)
    (honest,) = registry.versions(name)
    for lie, reason in (
        (replace(honest, archive_sha256='0' * 64), 'came with .* bytes and sha256'),
        (replace(honest, size_bytes=honest.size_bytes + 1), 'came with .* bytes and sha256'),
        (replace(honest, version='7'), f'it holds {name}@1; expected {name}@7'),
    ):
        with pytest.raises(IntegrityError, match=reason):
            pull(Lying(registry, lie), name, robot)  # type: ignore[arg-type]
    assert robot.entries() == ()
