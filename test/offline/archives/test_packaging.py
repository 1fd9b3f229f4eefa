"""Packaging: the same bytes from the same model, what is in them, and what is refused."""

from pathlib import Path
import subprocess
import tarfile

from archive_parts import published
from edge_seg.errors import IntegrityError, ModelNotFound, StoreError
from edge_seg.models.keys import generate_pair
from edge_seg.models.signature import check_signature, SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.archives.installing import install
from edge_seg.offline.archives.packaging import digest_of, package_model
import pytest

SUFFIXES = ('.tar.gz', '.tar.zst')


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_what_was_packaged_can_be_installed(tmp_path: Path, suffix: str) -> None:
    package = published(tmp_path).resolve('road@1')
    made = package_model(package, tmp_path / f'road{suffix}')
    installed = install(made.path, ModelStore(tmp_path / 'robot'))
    assert installed.new
    assert installed.package.manifest_sha256 == package.manifest_sha256 == made.model_sha256
    assert installed.signature.state == 'unsigned'
    assert (made.signed, made.report, made.size_bytes) == (
        False,
        False,
        made.path.stat().st_size,
    )


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_the_same_model_gives_the_same_bytes_elsewhere(tmp_path: Path, suffix: str) -> None:
    first = published(tmp_path / 'a').resolve('road')
    second = published(tmp_path / 'b').resolve('road')
    (second.path / 'road.tflite').chmod(0o600)
    one = package_model(first, tmp_path / f'one{suffix}')
    two = package_model(second, tmp_path / f'two{suffix}')
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sha256 == two.sha256 == digest_of(one.path)[0]


def test_nothing_of_the_machine_is_in_an_archive(tmp_path: Path) -> None:
    made = package_model(published(tmp_path).resolve('road'), tmp_path / 'road.tar.gz')
    with tarfile.open(made.path) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ['manifest.yaml', 'road.tflite']
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, '', '', 0o644)
    }
    assert made.path.read_bytes()[:10] == b'\x1f\x8b\x08' + bytes(5) + b'\x02\x03'


def test_tar_of_the_system_reads_it(tmp_path: Path) -> None:
    made = package_model(published(tmp_path).resolve('road'), tmp_path / 'road.tar.gz')
    listed = subprocess.run(['tar', '-tzf', made.path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ['manifest.yaml', 'road.tflite']


def test_signing_at_packaging_leaves_the_store_as_it_is(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    private, public = generate_pair(tmp_path / 'site')
    made = package_model(package, tmp_path / 'road.tar.gz', key=private)
    assert made.signed
    assert not (package.path / 'manifest.sig').exists()
    policy = SignaturePolicy(require=True, trusted_keys=(public,))
    installed = install(made.path, ModelStore(tmp_path / 'robot'), policy=policy)
    assert installed.signature.state == 'good'
    assert (installed.package.path / 'manifest.sig').exists()


def test_a_report_travels_along_but_not_into_the_store(tmp_path: Path) -> None:
    report = tmp_path / 'road.html'
    report.write_text('<p>good</p>', 'utf-8')
    package = published(tmp_path).resolve('road')
    made = package_model(package, tmp_path / 'road.tar.gz', report=report)
    installed = install(made.path, ModelStore(tmp_path / 'robot'))
    assert installed.report == b'<p>good</p>'
    names = {path.name for path in installed.package.path.iterdir()}
    assert names == {'manifest.yaml', 'road.tflite'}


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    with pytest.raises(ModelNotFound, match=r'none\.html cannot be read'):
        package_model(package, tmp_path / 'road.tar.gz', report=tmp_path / 'none.html')


def test_a_model_that_was_changed_is_not_packaged(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    content = bytearray((package.path / 'road.tflite').read_bytes())
    content[0] ^= 1
    (package.path / 'road.tflite').write_bytes(content)
    target = tmp_path / 'road.tar.gz'
    target.write_bytes(b'the archive of before')
    with pytest.raises(IntegrityError, match=r'road\.tflite has sha256'):
        package_model(package, target)
    assert target.read_bytes() == b'the archive of before'


def test_a_name_that_says_no_format_is_refused(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    with pytest.raises(StoreError, match=r'road\.zip says no format'):
        package_model(package, tmp_path / 'road.zip')


def test_installing_twice_is_told_and_changes_nothing(tmp_path: Path) -> None:
    made = package_model(published(tmp_path).resolve('road'), tmp_path / 'road.tar.gz')
    robot = ModelStore(tmp_path / 'robot')
    first = install(made.path, robot)
    again = install(made.path, robot)
    assert (first.new, again.new) == (True, False)
    assert again.package.path == first.package.path
    assert robot.leftovers() == ()


def test_a_model_that_is_damaged_in_the_store_is_not_told_to_be_installed(tmp_path: Path) -> None:
    made = package_model(published(tmp_path).resolve('road'), tmp_path / 'road.tar.gz')
    robot = ModelStore(tmp_path / 'robot')
    weights = install(made.path, robot).package.path / 'road.tflite'
    content = bytearray(weights.read_bytes())
    content[7] ^= 1
    weights.write_bytes(content)
    with pytest.raises(IntegrityError, match=r'road\.tflite has sha256 .* model remove road@1, '):
        install(made.path, robot)
    robot.remove('road@1')
    assert install(made.path, robot).new


def test_a_model_that_is_there_unsigned_gets_the_signature_of_the_archive(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    private, public = generate_pair(tmp_path / 'site')
    policy = SignaturePolicy(require=True, trusted_keys=(public,))
    robot = ModelStore(tmp_path / 'robot')
    install(package_model(package, tmp_path / 'plain.tar.gz').path, robot)
    signed = package_model(package, tmp_path / 'signed.tar.gz', key=private).path
    installed = install(signed, robot, policy=policy)
    assert (installed.new, installed.signature.state) == (False, 'good')
    assert check_signature(robot.resolve('road'), policy).state == 'good'


def test_a_signature_that_is_there_is_kept_unless_a_better_one_comes(tmp_path: Path) -> None:
    package = published(tmp_path).resolve('road')
    archives = [package_model(package, tmp_path / 'plain.tar.gz').path]
    keys = [generate_pair(tmp_path / name) for name in ('stranger', 'site')]
    archives += [
        package_model(package, tmp_path / f'{i}.tar.gz', key=private).path
        for i, (private, _) in enumerate(keys)
    ]
    policy = SignaturePolicy(trusted_keys=(keys[1][1],))
    robot = ModelStore(tmp_path / 'robot')
    states = [install(archives[i], robot, policy=policy).signature.state for i in (1, 0, 2, 1, 0)]
    assert states == ['unknown_key', 'unknown_key', 'good', 'good', 'good']


def test_another_model_of_the_same_version_is_refused(tmp_path: Path) -> None:
    robot = published(tmp_path / 'robot', weights=b'the weights of somebody else')
    made = package_model(published(tmp_path / 'desk').resolve('road'), tmp_path / 'road.tar.gz')
    with pytest.raises(StoreError, match='road@1 is in the store already'):
        install(made.path, robot)
