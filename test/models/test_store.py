"""The store: what it finds, what it lists but never picks, what may be taken out."""

from collections.abc import Callable
import os
from pathlib import Path
import shutil

from edge_seg.errors import IntegrityError, ManifestInvalid, ModelError, ModelNotFound, StoreError
from edge_seg.models.store import default_store_root, ModelStore
import pytest

MakeModel = Callable[..., Path]
Publish = Callable[..., None]


@pytest.mark.parametrize(
    ('published', 'latest'),
    [
        (['1', '2', '10'], '10'),
        (['1.2.0', '1.10.0'], '1.10.0'),
        (['1.10.0', '2'], '2'),
        (['2', '3', '10.0.0'], '10.0.0'),
        (['1', '1.0.0'], '1.0.0'),
    ],
)
def test_latest_is_the_highest_version(
    store: ModelStore, publish: Publish, published: list[str], latest: str
) -> None:
    publish(*(f'floor@{version}' for version in reversed(published)))
    assert store.resolve('floor@latest').identity == f'floor@{latest}'
    assert [entry.version for entry in store.entries()] == published


def test_a_bare_name_means_latest_until_something_is_stable(
    store: ModelStore, publish: Publish
) -> None:
    publish('floor@1', 'floor@2')
    assert store.resolve('floor').identity == 'floor@2'
    store.set_label('floor', 'stable', '1')
    assert store.resolve('floor').identity == 'floor@1'
    assert store.resolve('floor@stable').identity == 'floor@1'
    assert store.resolve('floor@latest').identity == 'floor@2'


def test_a_label_can_be_moved_and_dropped(store: ModelStore, publish: Publish) -> None:
    publish('floor@1', 'floor@2')
    store.set_label('floor', 'canary', '1')
    store.set_label('floor', 'canary', '2')
    assert [entry.labels for entry in store.entries()] == [(), ('canary',)]
    store.drop_label('floor', 'canary')
    with pytest.raises(ModelNotFound, match="no label 'canary'; expected one of latest"):
        store.resolve('floor@canary')


@pytest.mark.parametrize('label', ['latest', '1', 'Stable', '', 'a/b', '../x'])
def test_a_label_that_could_be_mistaken_is_refused(
    store: ModelStore, publish: Publish, label: str
) -> None:
    publish('floor@1')
    with pytest.raises(StoreError, match='is no label'):
        store.set_label('floor', label, '1')


def test_a_label_on_nothing_is_refused(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    with pytest.raises(ModelNotFound, match='no version 2 .*expected one of 1'):
        store.set_label('floor', 'stable', '2')


def test_a_label_whose_version_is_gone_picks_nothing_else(
    store: ModelStore, publish: Publish
) -> None:
    publish('floor@1', 'floor@2')
    store.set_label('floor', 'stable', '1')
    shutil.rmtree(store.root / 'floor' / '1')
    with pytest.raises(ModelNotFound, match='no version 1'):
        store.resolve('floor')


@pytest.mark.parametrize('text', ['{', '[]', '{"stable": 1}', '{"stable": "../x"}', '\xff', '"x"'])
def test_unreadable_labels_are_refused_and_versions_still_found(
    store: ModelStore, publish: Publish, text: str
) -> None:
    publish('floor@1')
    (store.root / 'floor' / 'labels.json').write_text(text, 'latin-1')
    with pytest.raises(StoreError, match='labels.json cannot be used'):
        store.resolve('floor')
    assert store.resolve('floor@1').identity == 'floor@1'
    assert store.resolve('floor@latest').identity == 'floor@1'


@pytest.mark.parametrize(
    ('request_text', 'message'),
    [
        ('wall', "no model 'wall' in .* expected one of floor"),
        ('floor@2', 'no version 2 in .* expected one of 1'),
        ('floor@canary', "no label 'canary'"),
        ('floor@', 'names no model'),
        ('../floor', 'is no folder'),
        ('/nowhere/floor', 'is no folder'),
        ('', 'names no model'),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    store: ModelStore, publish: Publish, request_text: str, message: str
) -> None:
    publish('floor@1')
    with pytest.raises(ModelNotFound, match=message):
        store.resolve(request_text)


def test_an_empty_or_absent_store_has_nothing(store: ModelStore) -> None:
    assert store.entries() == ()
    with pytest.raises(ModelNotFound, match="no model 'floor'"):
        store.resolve('floor')
    assert not store.root.exists()


def test_a_path_is_found_without_the_store(
    store: ModelStore, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model('floor', 7)
    assert store.resolve(str(folder)).identity == 'floor@7'
    assert store.resolve(str(folder / 'manifest.yaml')).path == folder
    monkeypatch.chdir(folder)
    assert store.resolve('.').path == folder


def broken_manifest(folder: Path) -> None:
    (folder / 'manifest.yaml').write_text('name: floor')


def no_manifest(folder: Path) -> None:
    (folder / 'manifest.yaml').unlink()


def missing_artifact(folder: Path) -> None:
    (folder / 'floor.onnx').unlink()


def half_copied(folder: Path) -> None:
    (folder / 'floor.onnx').write_bytes(b'the weig')


def another_version(folder: Path) -> None:
    text = (folder / 'manifest.yaml').read_text()
    (folder / 'manifest.yaml').write_text(text.replace('version: 9', 'version: 8'))


def linked_out(folder: Path) -> None:
    outside = folder.parents[2] / 'outside'
    folder.rename(outside)
    folder.symlink_to(outside)


def linked_artifact(folder: Path) -> None:
    (folder / 'floor.onnx').rename(folder.parents[2] / 'outside.onnx')
    (folder / 'floor.onnx').symlink_to(folder.parents[2] / 'outside.onnx')


def linked_manifest(folder: Path) -> None:
    (folder / 'manifest.yaml').rename(folder.parents[2] / 'outside.yaml')
    (folder / 'manifest.yaml').symlink_to(folder.parents[2] / 'outside.yaml')


def a_file_instead(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text('not a folder')


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (broken_manifest, 'schema: found nothing'),
        (no_manifest, 'has no manifest.yaml'),
        (missing_artifact, 'is missing'),
        (half_copied, 'has 8 bytes; expected 24'),
        (another_version, 'holds the manifest of floor@8'),
        (linked_out, 'symbolic link'),
        (linked_artifact, 'symbolic link'),
        (linked_manifest, 'symbolic link'),
        (a_file_instead, 'is no folder'),
    ],
)
def test_a_bad_entry_is_listed_with_the_reason_and_never_picked(
    store: ModelStore, publish: Publish, damage: Callable[[Path], None], reason: str
) -> None:
    publish('floor@1', 'floor@9')
    damage(store.root / 'floor' / '9')
    good, bad = store.entries()
    assert (good.version, good.reason) == ('1', '')
    assert bad.package is None
    assert bad.version == '9'
    assert reason in bad.reason
    assert store.resolve('floor').identity == 'floor@1'
    with pytest.raises(ModelError, match=reason):
        store.resolve('floor@9')
    with pytest.raises(ModelError, match=reason):
        store.set_label('floor', 'stable', '9')


def test_foreign_things_are_listed_and_left_alone(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    (store.root / 'floor' / 'backup').mkdir()
    (store.root / 'notes.txt').write_text('x')
    (store.root / 'wall').symlink_to(store.root / 'floor')
    (store.root / 'README.md').write_text('ignored')
    listed = {str(entry.path.relative_to(store.root)): entry.reason for entry in store.entries()}
    assert listed['floor/1'] == ''
    assert 'its name is no version' in listed['floor/backup']
    assert listed['notes.txt'] == 'it is no folder'
    assert 'symbolic link' in listed['wall']
    assert len(listed) == 4
    with pytest.raises(ModelError, match='symbolic link'):
        store.resolve('wall')
    with pytest.raises(IntegrityError, match='symbolic link'):
        store.resolve('wall@1')
    store.prune(keep=1)
    assert len(store.entries()) == 4


def test_a_model_whose_every_version_is_bad_says_why(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    half_copied(store.root / 'floor' / '1')
    with pytest.raises(ModelNotFound, match='no version that can be used: .* has 8 bytes'):
        store.resolve('floor')


def test_a_bad_manifest_is_refused_with_its_field(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    broken_manifest(store.root / 'floor' / '1')
    with pytest.raises(ManifestInvalid) as caught:
        store.resolve('floor@1')
    assert caught.value.field == 'schema'


def test_a_read_only_store_can_be_read(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    before = sorted(str(path) for path in store.root.rglob('*'))
    store.entries()
    with store.in_use(store.resolve('floor')):
        assert sorted(str(path) for path in store.root.rglob('*')) == before


def test_removing_takes_a_version_out(store: ModelStore, publish: Publish) -> None:
    publish('floor@1', 'floor@2')
    store.remove('floor@2')
    assert store.resolve('floor').identity == 'floor@1'
    store.remove('floor@1')
    assert not (store.root / 'floor').exists()
    assert store.leftovers() == ()


def test_a_bad_entry_can_be_removed(store: ModelStore, publish: Publish) -> None:
    publish('floor@1', 'floor@2')
    linked_out(store.root / 'floor' / '1')
    half_copied(store.root / 'floor' / '2')
    outside = (store.root / 'floor' / '1').resolve()
    store.remove('floor@1')
    store.remove('floor@2')
    assert store.entries() == ()
    assert (outside / 'manifest.yaml').exists()


def test_a_labelled_version_is_removed_only_by_force(store: ModelStore, publish: Publish) -> None:
    publish('floor@1', 'floor@2')
    store.set_label('floor', 'stable', '1')
    with pytest.raises(StoreError, match='has the label stable'):
        store.remove('floor@1')
    store.remove('floor@1', force=True)
    assert store.resolve('floor').identity == 'floor@2'


def test_a_version_in_use_is_removed_only_by_force(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    with store.in_use(store.resolve('floor')), store.in_use(store.resolve('floor')):
        with pytest.raises(StoreError, match='is in use by a running node'):
            store.remove('floor@1')
        store.remove('floor@1', force=True)
    assert store.entries() == ()


def test_what_was_removed_cannot_be_put_to_use(store: ModelStore, publish: Publish) -> None:
    publish('floor@1')
    package = store.resolve('floor')
    store.remove('floor@1')
    with pytest.raises(StoreError, match='floor/1'), store.in_use(package):
        pass


@pytest.mark.parametrize('reference', ['floor', 'floor@latest', 'floor@stable'])
def test_removing_wants_one_version(store: ModelStore, publish: Publish, reference: str) -> None:
    publish('floor@1')
    with pytest.raises(StoreError, match='names no single version'):
        store.remove(reference)


def test_pruning_keeps_the_newest_the_labelled_and_the_used(
    store: ModelStore, publish: Publish
) -> None:
    publish(*(f'floor@{number}' for number in range(1, 7)), 'wall@1')
    store.set_label('floor', 'stable', '2')
    half_copied(store.root / 'floor' / '6')
    with store.in_use(store.resolve('floor@3')):
        report = store.prune(keep=1)
    assert report.removed == ('floor@1', 'floor@4')
    assert [identity for identity, _ in report.kept] == ['floor@2', 'floor@3']
    assert [entry.identity for entry in store.entries()] == [
        'floor@2', 'floor@3', 'floor@5', 'floor@6', 'wall@1',
    ]  # fmt: skip


def test_pruning_everything_is_refused(store: ModelStore) -> None:
    with pytest.raises(StoreError, match='expected 1 or more'):
        store.prune(keep=0)


def test_a_store_that_is_a_file_is_reported(tmp_path: Path, make_model: MakeModel) -> None:
    (tmp_path / 'file').write_text('x')
    store = ModelStore(tmp_path / 'file')
    with pytest.raises(StoreError, match='Not a directory'):
        store.entries()
    with pytest.raises(StoreError, match='exists|Not a directory'):
        store.publish(make_model())


@pytest.mark.parametrize(
    ('environment', 'root'),
    [
        ({'EDGE_SEG_STORE': '/srv/models'}, '/srv/models'),
        ({'XDG_DATA_HOME': '/data'}, '/data/edge_seg/models'),
        (
            {'XDG_DATA_HOME': 'relative', 'HOME': '/home/me'},
            '/home/me/.local/share/edge_seg/models',
        ),
        ({'HOME': '/home/me'}, '/home/me/.local/share/edge_seg/models'),
    ],
)
def test_the_default_store_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], root: str
) -> None:
    for name in ('EDGE_SEG_STORE', 'XDG_DATA_HOME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_store_root() == Path(root)


def test_reading_leaves_no_descriptor_open(store: ModelStore, publish: Publish) -> None:
    publish('floor@1', 'floor@2')
    half_copied(store.root / 'floor' / '2')
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(20):
        store.entries()
        store.resolve('floor')
        store.leftovers()
    assert len(os.listdir('/proc/self/fd')) == before
