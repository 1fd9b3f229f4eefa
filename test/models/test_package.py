"""A model's files: all there, none a link, each the one that the manifest declares."""

from collections.abc import Callable
import hashlib
import os
from pathlib import Path
from typing import Any

from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import IncompatibleModel, IntegrityError, ModelError, ModelNotFound
from edge_seg.models.package import open_package, verify_artifacts
import pytest

MakeModel = Callable[..., Path]


def test_a_package_says_who_it_is(make_model: MakeModel) -> None:
    folder = make_model('floor', '1.2.0')
    package = open_package(folder)
    digest = hashlib.sha256((folder / 'manifest.yaml').read_bytes()).hexdigest()
    assert (package.identity, package.manifest_sha256) == ('floor@1.2.0', digest)
    assert package.artifact_for([ArtifactFormat.TFLITE, ArtifactFormat.ONNX]) == (
        folder / 'floor.onnx'
    )


def test_a_format_that_the_model_lacks_is_named(make_model: MakeModel) -> None:
    with pytest.raises(IncompatibleModel, match='comes as onnx; expected tflite'):
        open_package(make_model()).artifact_for([ArtifactFormat.TFLITE])


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b'')


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def link_out(path: Path) -> None:
    path.rename(path.parents[1] / 'outside.onnx')
    path.symlink_to('../outside.onnx')


def link_in(path: Path) -> None:
    path.rename(path.with_name('real.onnx'))
    path.symlink_to('real.onnx')


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (remove, 'floor.onnx is missing'),
        (empty, 'has 0 bytes; expected 24'),
        (cut, 'has 23 bytes; expected 24'),
        (link_out, 'is a symbolic link'),
        (link_in, 'is a symbolic link'),
        (pipe, 'is no regular file'),
        (folder_instead, 'is no regular file'),
    ],
)
def test_damage_that_shows_without_reading_is_found_at_once(
    make_model: MakeModel, damage: Callable[[Path], None], message: str
) -> None:
    folder = make_model()
    damage(folder / 'floor.onnx')
    with pytest.raises(IntegrityError, match=message):
        open_package(folder)


def test_a_linked_subfolder_is_not_followed(
    make_model: MakeModel, document: dict[str, Any], tmp_path: Path
) -> None:
    artifacts = document['artifacts']
    artifacts[0]['files'][0]['path'] = 'weights/floor.onnx'
    folder = make_model(artifacts=artifacts)
    (tmp_path / 'outside').mkdir()
    (folder / 'floor.onnx').rename(tmp_path / 'outside' / 'floor.onnx')
    (folder / 'weights').symlink_to(tmp_path / 'outside')
    with pytest.raises(IntegrityError, match='behind one'):
        open_package(folder)


def test_a_folder_without_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match='has no manifest.yaml'):
        open_package(tmp_path)


def test_untouched_files_pass_and_progress_ends_at_the_total(make_model: MakeModel) -> None:
    steps: list[tuple[int, int]] = []
    verify_artifacts(open_package(make_model()), lambda done, total: steps.append((done, total)))
    assert steps[-1] == (24, 24)


def test_one_changed_bit_is_found(make_model: MakeModel) -> None:
    folder = make_model()
    package = open_package(folder)
    content = bytearray((folder / 'floor.onnx').read_bytes())
    content[3] ^= 1
    (folder / 'floor.onnx').write_bytes(content)
    with pytest.raises(IntegrityError, match='floor.onnx has sha256 .* expected [0-9a-f]{64}'):
        verify_artifacts(package)


def test_a_manifest_changed_after_it_was_read_is_found(make_model: MakeModel) -> None:
    folder = make_model()
    package = open_package(folder)
    with (folder / 'manifest.yaml').open('a') as stream:
        stream.write('# more\n')
    with pytest.raises(IntegrityError, match='changed while it was loaded'):
        verify_artifacts(package)


def test_files_that_vanish_after_the_package_was_opened_are_reported(
    make_model: MakeModel,
) -> None:
    package = open_package(make_model())
    (package.path / 'floor.onnx').unlink()
    with pytest.raises(ModelError, match='is missing'):
        verify_artifacts(package)


@pytest.mark.parametrize('name', ['weights.bin', 'floor.onnx.data', 'lib/custom_op.so'])
def test_a_file_that_nobody_vouched_for_is_refused(make_model: MakeModel, name: str) -> None:
    package = open_package(make_model())
    (package.path / name).parent.mkdir(exist_ok=True)
    (package.path / name).write_bytes(b'x')
    with pytest.raises(IntegrityError, match=f'{name} is not named in the manifest'):
        verify_artifacts(package)


def test_a_model_card_is_no_stranger(make_model: MakeModel) -> None:
    package = open_package(make_model())
    (package.path / 'README.md').write_text('# floor')
    verify_artifacts(package)


def test_big_files_are_read_in_chunks(make_model: MakeModel, document: dict[str, Any]) -> None:
    size = 200 << 20
    zeros = hashlib.sha256()
    for _ in range(200):
        zeros.update(bytes(1 << 20))
    entry = document['artifacts'][0]['files'][0]
    entry |= {'sha256': zeros.hexdigest(), 'size': size}
    folder = make_model(artifacts=document['artifacts'])
    os.truncate(folder / 'floor.onnx', 0)
    os.truncate(folder / 'floor.onnx', size)
    steps: list[int] = []
    verify_artifacts(open_package(folder), lambda done, total: steps.append(done))
    assert max(b - a for a, b in zip(steps, steps[1:], strict=False)) <= 1 << 20
    assert steps[-1] == size
