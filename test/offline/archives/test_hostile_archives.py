"""Archives that are not to be trusted: each is refused for its own reason, and leaves nothing."""

from collections.abc import Callable
import gzip
import os
from pathlib import Path
import tarfile
from typing import Any

from archive_parts import gzipped, manifest_of, Part, tar_of, WEIGHTS
from edge_seg.errors import IntegrityError, ManifestInvalid, ModelNotFound, SettingsInvalid
from edge_seg.models.keys import generate_pair
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.archives import with_zstd
from edge_seg.offline.archives.installing import install, InstalledModel
from edge_seg.offline.archives.layout import Limits
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

FILES = {'road.tflite': WEIGHTS}
MANIFEST = Part('manifest.yaml', manifest_of(FILES))
NETWORK = Part('road.tflite', WEIGHTS)
SMALL = Limits(total=1 << 20, ratio=20, ratio_from=1 << 19)
Install = Callable[..., InstalledModel]


def two_files(first: str, second: str) -> tuple[Part, Part, Part]:
    """Give the parts of a model with two files of these names."""
    files = {first: WEIGHTS, second: WEIGHTS}
    return Part('manifest.yaml', manifest_of(files)), Part(first, WEIGHTS), Part(second, WEIGHTS)


def right() -> bytes:
    """Give the plain bytes of an archive that is right."""
    return tar_of([MANIFEST, NETWORK])


def pax(record: bytes) -> bytes:
    """Give a pax header with one record."""
    return Part('././@PaxHeader', record, kind=tarfile.XHDTYPE).written()


def patched(member: bytes, offset: int, field: bytes) -> bytes:
    """Put other bytes into a header and make its checksum right."""
    header = bytearray(member[: tarfile.BLOCKSIZE])
    header[offset : offset + len(field)] = field
    header[148:156] = b' ' * 8
    header[148:156] = b'%06o\0 ' % sum(header)
    return bytes(header) + member[tarfile.BLOCKSIZE :]


HOSTILE: dict[str, tuple[list[Part] | bytes, str]] = {
    'traversal': (
        [MANIFEST, Part('../road.tflite', WEIGHTS)],
        "'../road.tflite'; .* without '..'",
    ),
    'traversal inside': ([MANIFEST, Part('a/../../x', b'x')], "'a/../../x'; .* without '..'"),
    'absolute': ([MANIFEST, Part('/etc/cron.d/x', b'x')], "'/etc/cron.d/x'; .* relative path"),
    'backslash': ([MANIFEST, Part('..\\x', b'x')], 'relative path'),
    'drive': ([MANIFEST, Part('C:x', b'x')], "'C:x'; .* relative path"),
    'hidden': ([MANIFEST, Part('.bashrc', b'x')], "'.bashrc'; .* without hidden"),
    'no name': ([MANIFEST, Part('', b'x')], "without '..', '.' and empty parts"),
    'control characters': ([MANIFEST, Part('a\x1b[2Jb', b'x')], r"'a\\x1b\[2Jb' is not named"),
    'symbolic link': (
        [MANIFEST, Part('road.tflite', kind=tarfile.SYMTYPE, link='/etc/passwd')],
        "'road.tflite' is a symbolic link",
    ),
    'hard link': (
        [MANIFEST, Part('road.tflite', kind=tarfile.LNKTYPE, link='manifest.yaml')],
        "'road.tflite' is a hard link",
    ),
    'character device': (
        [MANIFEST, Part('road.tflite', kind=tarfile.CHRTYPE)],
        'is a character device',
    ),
    'block device': ([MANIFEST, Part('road.tflite', kind=tarfile.BLKTYPE)], 'is a block device'),
    'fifo': ([MANIFEST, Part('road.tflite', kind=tarfile.FIFOTYPE)], 'is a FIFO'),
    'folder': ([MANIFEST, Part('road.tflite', kind=tarfile.DIRTYPE)], 'is a folder'),
    'sparse file': ([MANIFEST, Part('road.tflite', kind=tarfile.GNUTYPE_SPARSE)], 'is a sparse'),
    'unknown kind': ([MANIFEST, Part('road.tflite', kind=b'Q')], "'road.tflite' is of the kind"),
    'long name of GNU tar': (
        [MANIFEST, Part('././@LongLink', b'n' * 150, kind=tarfile.GNUTYPE_LONGNAME)],
        'is a long name of GNU tar',
    ),
    'twice': ([MANIFEST, NETWORK, NETWORK], "'road.tflite' is there twice"),
    'manifest twice': ([MANIFEST, MANIFEST, NETWORK], "'manifest.yaml' is there twice"),
    'second manifest': ([MANIFEST, Part('MANIFEST.yaml', b'x')], 'is reserved'),
    'case': ([*two_files('road.tflite', 'ROAD.onnx'), Part('road.ONNX', b'x')], 'may be one file'),
    'unicode forms': (two_files('stra\u00dfe.tflite', 'o.onnx')[:2], "'o.onnx' is missing"),
    'one name in two forms': (
        list(two_files('caf\u00e9.onnx', 'cafe\u0301.onnx')),
        'may be one file',
    ),
    'unnamed file': ([MANIFEST, NETWORK, Part('setup.py', b'x')], "'setup.py' is not named"),
    'nothing in it': ([], 'it holds nothing'),
    'manifest not first': ([NETWORK, MANIFEST], "it starts with 'road.tflite'"),
    'manifest only': ([MANIFEST], "'road.tflite' is missing"),
    'other weights': (
        [MANIFEST, Part('road.tflite', WEIGHTS[:-1] + b'!')],
        "'road.tflite' has sha256",
    ),
    'other size': ([MANIFEST, Part('road.tflite', b'short')], "'road.tflite' has 5 bytes"),
    'signature that is none': (
        [MANIFEST, Part('manifest.sig', b'{}'), NETWORK],
        'manifest.sig is no signature',
    ),
    'huge signature': ([MANIFEST, Part('manifest.sig', bytes(5000)), NETWORK], 'has 5000 bytes'),
    'signature after the rest': ([MANIFEST, NETWORK, Part('manifest.sig', b'{}')], 'not named'),
    'huge manifest': ([Part('manifest.yaml', bytes(2 << 20))], '2097152 bytes'),
    'size beyond all': (
        [MANIFEST, Part('report.html', b'', said_size=(8 << 30) - 1)],
        "'report.html' is said to have 8589934591 bytes",
    ),
    'size of GNU tar': (
        MANIFEST.written() + patched(NETWORK.written(), 124, b'\x80' + bytes(10) + b'\x01'),
        'a number in a header is none',
    ),
    'ends in the middle': (right()[: 512 * 12], 'ends in the middle'),
    'ends without an end': (right()[: -tarfile.RECORDSIZE], 'ends in the middle'),
    'something behind the end': (right() + b'x' * 512, 'where it should end'),
    'much behind the end': (right() + bytes(1 << 17), 'something follows the last file'),
    'something in the padding': (
        MANIFEST.written()[:-1] + b'x' + NETWORK.written() + bytes(1024),
        'hidden behind',
    ),
    'bad checksum': (b'M' + right()[1:], 'checksum of a header'),
    'old tar': (
        tar_of([Part('manifest.yaml', MANIFEST.content, tar_format=tarfile.GNU_FORMAT), NETWORK]),
        'not of the format POSIX tar',
    ),
    'huge name': (MANIFEST.written() + pax(b'9999 path=' + b'n' * 9988 + b'\n'), 'name has 9999'),
    'pax with a size': (MANIFEST.written() + pax(b'12 size=99\n\n'[:12]), 'a header has|pax has'),
    'pax with a link': (MANIFEST.written() + pax(b'16 linkpath=/x\n\n'[:16]), "has 'linkpath'"),
    'pax at the end': (MANIFEST.written() + pax(b'9 path=x\n') + bytes(1024), 'stands at its end'),
    'pax behind pax': (
        MANIFEST.written() + pax(b'9 path=x\n') * 2 + NETWORK.written(),
        'of the kind',
    ),
    'bomb that is declared': (
        [Part('manifest.yaml', manifest_of({'a.onnx': bytes(2 << 20)})), Part('a.onnx', b'')],
        'bytes',
    ),
    'bomb that is not declared': (
        [
            Part('manifest.yaml', manifest_of({'a.onnx': bytes(1 << 20)}, sizes=False)),
            Part('a.onnx', bytes((1 << 20) - 4096)),
        ],
        'more than 20 times its size',
    ),
}


@pytest.fixture
def attempt(tmp_path: Path) -> Install:
    """Install what is given into an empty store, with small limits."""

    def install_it(content: bytes, **options: Any) -> InstalledModel:
        archive = tmp_path / 'road.tar.gz'
        archive.write_bytes(content)
        options.setdefault('limits', SMALL)
        return install(archive, ModelStore(tmp_path / 'robot'), **options)

    return install_it


def assert_untouched(tmp_path: Path) -> None:
    """See that an install left nothing, in the store or anywhere else."""
    store = ModelStore(tmp_path / 'robot')
    assert store.entries() == ()
    assert store.leftovers() == ()
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {'robot', 'road.tar.gz', 'site.key.pem', 'site.pub.pem'}


def test_the_right_one_is_installed(attempt: Install) -> None:
    assert attempt(gzipped(right())).package.identity == 'road@1'


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_archive_is_refused(name: str, attempt: Install, tmp_path: Path) -> None:
    parts, reason = HOSTILE[name]
    plain = parts if isinstance(parts, bytes) else tar_of(parts)
    with pytest.raises(IntegrityError, match=reason) as refusal:
        attempt(gzipped(plain))
    assert str(tmp_path / 'road.tar.gz') in str(refusal.value)
    assert '\n' not in str(refusal.value)
    assert '\x1b' not in str(refusal.value)
    assert_untouched(tmp_path)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'it is empty'),
        (b'PK\x03\x04 a zip file', 'it is no archive of a model'),
        (gzipped(right())[:-4], 'it is cut off'),
        (gzipped(right())[:400], 'it is cut off'),
        (gzipped(right()) + b'x', 'something follows the archive'),
        (gzipped(right()) + gzipped(b'another'), 'something follows the archive'),
        (gzipped(right())[:-8] + bytes(8), 'it is damaged'),
        (gzipped(b'no tar at all'), 'ends in the middle'),
        (gzipped(bytes(1 << 22)), 'something follows the last file|more than'),
    ],
)
def test_a_damaged_file_is_refused(
    content: bytes, reason: str, attempt: Install, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityError, match=reason):
        attempt(content)
    assert_untouched(tmp_path)


def test_a_wrong_manifest_is_refused(attempt: Install, tmp_path: Path) -> None:
    wrong = Part('manifest.yaml', MANIFEST.content.replace(b'kind: logits', b'kind: guesses'))
    with pytest.raises(ManifestInvalid, match=r'road\.tar\.gz: manifest\.yaml: output\.kind'):
        attempt(gzipped(tar_of([wrong, NETWORK])))
    assert_untouched(tmp_path)


def test_an_unsigned_one_is_refused_before_its_weights(attempt: Install, tmp_path: Path) -> None:
    _, public = generate_pair(tmp_path / 'site')
    policy = SignaturePolicy(require=True, trusted_keys=(public,))
    with pytest.raises(IntegrityError, match=r'road\.tar\.gz: road@1 is not signed'):
        attempt(gzipped(tar_of([MANIFEST, Part('never read', b'x')])), policy=policy)
    assert_untouched(tmp_path)


def test_a_required_signature_needs_a_key(attempt: Install, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match='no key is trusted'):
        attempt(gzipped(right()), policy=SignaturePolicy(require=True))
    assert_untouched(tmp_path)


@pytest.mark.parametrize('kind', ['missing', 'folder', 'fifo'])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'road.tar.gz'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(path)
    with pytest.raises(ModelNotFound, match='cannot be read|no regular file'):
        install(path, ModelStore(tmp_path / 'robot'))


def zstd_kinds() -> list[str]:
    """Name the implementations of Zstandard that are here."""
    names = ['compression.zstd', 'backports.zstd', 'zstandard']
    return [name for name in names if with_zstd._imported(name) is not None]


@pytest.fixture(params=zstd_kinds())
def zstd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use one implementation of Zstandard after the other."""
    standard = () if request.param == 'zstandard' else (request.param,)
    monkeypatch.setattr(with_zstd, '_STANDARD', standard)
    return str(request.param)


def zstd_of(data: bytes) -> bytes:
    """Compress."""
    compressor = with_zstd.zstd_compressor()
    return compressor.compress(data) + compressor.flush()


@pytest.mark.usefixtures('zstd')
def test_zstd_is_as_strict(attempt: Install, tmp_path: Path) -> None:
    good = zstd_of(right())
    bomb = zstd_of(tar_of([MANIFEST, Part('report.html', bytes(1 << 20))]))
    for content, reason in (
        (good[:-4], 'it is cut off'),
        (good + b'x', 'something follows the archive'),
        (good + good, 'something follows the archive'),
        (good[:20] + b'\xff' * 20 + good[40:], 'it is damaged'),
        (bomb, 'times its size|unpacks to'),
    ):
        with pytest.raises(IntegrityError, match=reason):
            attempt(content)
        assert_untouched(tmp_path)
    assert attempt(good).new


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_byte_is_never_installed_as_another_model(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    plain = bytearray(right())
    where = data.draw(st.integers(0, len(plain) - 1))
    plain[where] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp('fuzz')
    (folder / 'road.tar.gz').write_bytes(gzip.compress(bytes(plain), 1, mtime=0))
    store = ModelStore(folder / 'robot')
    try:
        installed = install(folder / 'road.tar.gz', store)
    except (IntegrityError, ManifestInvalid):
        assert store.entries() == ()
        assert store.leftovers() == ()
        return
    # Such a byte may stand in the manifest's text, or in a field of a header that nobody reads.
    assert (installed.package.path / 'road.tflite').read_bytes() == WEIGHTS
