"""Publishing: whole or not at all, whoever dies or competes on the way."""

from collections.abc import Callable
import errno
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from edge_seg.errors import IntegrityError, ManifestInvalid, StoreError
from edge_seg.models.package import verify_artifacts
from edge_seg.models.publication import Submission
from edge_seg.models.store import ModelStore
from edge_seg.models.workspace import Workspace
import pytest

MakeModel = Callable[..., Path]
SCRIPT = Path(__file__).with_name('publish_processes.py')


def in_processes(play: str, folder: Path, root: Path) -> Any:
    root.mkdir()
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), play, str(folder), str(root)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=100,
    )
    return json.loads(done.stdout)


def test_a_published_model_is_the_one_that_was_submitted(
    store: ModelStore, make_model: MakeModel
) -> None:
    folder = make_model('floor', '1.2.3')
    (folder / 'README.md').write_text('not part of it')
    (folder / 'manifest.sig').write_bytes(b'{}')
    steps: list[tuple[int, int]] = []
    package = store.publish(folder, progress=lambda done, total: steps.append((done, total)))
    verify_artifacts(package)
    assert package.path == store.root / 'floor' / '1.2.3'
    names = ['floor.onnx', 'manifest.sig', 'manifest.yaml']
    assert sorted(os.listdir(package.path)) == names
    for name in names:
        assert (package.path / name).read_bytes() == (folder / name).read_bytes()
    assert steps[-1] == (24, 24)
    assert store.leftovers() == ()


def test_files_in_subfolders_keep_their_paths(
    store: ModelStore, make_model: MakeModel, document: dict[str, Any]
) -> None:
    document['artifacts'][0]['files'][0]['path'] = 'onnx/fp32/floor.onnx'
    folder = make_model(artifacts=document['artifacts'])
    (folder / 'onnx' / 'fp32').mkdir(parents=True)
    (folder / 'floor.onnx').rename(folder / 'onnx' / 'fp32' / 'floor.onnx')
    verify_artifacts(store.publish(folder))


def test_files_may_come_from_elsewhere(
    store: ModelStore, make_model: MakeModel, tmp_path: Path
) -> None:
    folder = make_model()
    (folder / 'floor.onnx').rename(tmp_path / 'export.onnx')
    manifest = (folder / 'manifest.yaml').read_bytes()
    submission = Submission(manifest, folder, {'floor.onnx': tmp_path / 'export.onnx'})
    verify_artifacts(store.publish(submission))


def test_a_published_version_never_changes(store: ModelStore, make_model: MakeModel) -> None:
    store.publish(make_model())
    with pytest.raises(StoreError, match='floor@1 is in the store already'):
        store.publish(make_model(description='another'))
    assert store.resolve('floor').manifest.description == ''


@pytest.mark.parametrize('kind', ['folder', 'file', 'link'])
def test_whatever_stands_in_the_place_is_not_replaced(
    store: ModelStore, make_model: MakeModel, kind: str
) -> None:
    place = store.root / 'floor' / '1'
    place.parent.mkdir(parents=True)
    if kind == 'folder':
        place.mkdir()
    elif kind == 'file':
        place.write_text('x')
    else:
        place.symlink_to('nowhere')
    with pytest.raises(StoreError, match='in the store already'):
        store.publish(make_model())
    assert os.path.lexists(place)
    assert store.leftovers() == ()


def test_a_name_that_is_a_link_out_of_the_store_is_refused(
    store: ModelStore, make_model: MakeModel, tmp_path: Path
) -> None:
    store.root.mkdir()
    (tmp_path / 'outside').mkdir()
    (store.root / 'floor').symlink_to(tmp_path / 'outside')
    with pytest.raises(StoreError, match='is a symbolic link'):
        store.publish(make_model())
    assert list((tmp_path / 'outside').iterdir()) == []


def test_a_model_that_is_not_what_it_declares_is_refused_and_leaves_nothing(
    store: ModelStore, make_model: MakeModel
) -> None:
    folder = make_model()
    (folder / 'floor.onnx').write_bytes(b'THE weights of a network')
    with pytest.raises(IntegrityError, match='has sha256'):
        store.publish(folder)
    (folder / 'floor.onnx').unlink()
    with pytest.raises(IntegrityError, match='is missing'):
        store.publish(folder)
    (folder / 'floor.onnx').symlink_to('/etc/hostname')
    with pytest.raises(IntegrityError, match='symbolic link'):
        store.publish(folder)
    (folder / 'manifest.yaml').write_text('name: floor')
    with pytest.raises(ManifestInvalid, match='schema'):
        store.publish(folder)
    assert store.entries() == ()
    assert store.leftovers() == ()


def test_a_full_disk_is_reported_and_leaves_nothing(
    store: ModelStore, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(StoreError, match='No space left.*edge_seg model prune'):
            store.publish(make_model())
    assert store.entries() == ()
    assert store.leftovers() == ()


def test_a_kill_at_any_step_leaves_a_valid_store(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model()
    runs = in_processes('killed', folder, tmp_path / 'killed')
    assert runs[-1].get('exit') == 0, 'no publisher got through'
    assert all(run['signal'] == 9 for run in runs[:-1])
    assert len(runs) > 20, 'too few steps were seen for the hook to have worked'
    visible = []
    for run in runs:
        store = ModelStore(Path(run['store']))
        entries = store.entries()
        assert [entry.reason for entry in entries] in ([], [''])
        visible.append(bool(entries))
        for entry in entries:
            assert entry.package is not None
            verify_artifacts(entry.package)
        assert all(leftover.abandoned for leftover in store.leftovers())
        if not entries:
            store.publish(folder)
        assert store.resolve('floor').identity == 'floor@1'
        store.prune(keep=1)
        assert store.leftovers() == ()
    assert visible == sorted(visible), 'a model that was visible must stay so'
    assert visible[-1]


def test_of_several_publishers_of_one_version_one_wins(
    make_model: MakeModel, tmp_path: Path
) -> None:
    outcomes = in_processes('race', make_model(), tmp_path / 'store')
    assert sorted(outcomes) == [0, 1, 1, 1, 1, 1]
    store = ModelStore(tmp_path / 'store')
    verify_artifacts(store.resolve('floor@1'))
    assert store.leftovers() == ()


def test_a_publisher_at_work_is_not_taken_for_a_dead_one(
    store: ModelStore, make_model: MakeModel
) -> None:
    store.publish(make_model('floor', 1))
    with Workspace(store.root).staging('publish-wall-1') as staging:
        (leftover,) = store.leftovers()
        assert (leftover.path, leftover.abandoned) == (staging, False)
        assert store.prune(keep=1).cleared == ()
        assert staging.is_dir()


def test_what_a_dead_publisher_left_is_cleared(store: ModelStore, make_model: MakeModel) -> None:
    store.publish(make_model('floor', 1))
    dead = store.root / '.edge_seg' / 'publish-floor-2.0000'
    (dead / 'deep').mkdir(parents=True)
    (dead / 'deep' / 'half.onnx').write_bytes(b'x')
    assert [leftover.abandoned for leftover in store.leftovers()] == [True]
    assert store.prune(keep=1).cleared == (dead,)
    assert store.leftovers() == ()
