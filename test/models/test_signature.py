"""Signatures: who signed, what was changed, and each refusal with a reason of its own."""

from collections.abc import Callable
import json
from pathlib import Path
import shutil
import stat
import subprocess
import sys

from edge_seg.errors import EdgeSegError, IntegrityError, SettingsInvalid, StoreError
from edge_seg.models.keys import generate_pair
from edge_seg.models.package import ModelPackage, open_package
from edge_seg.models.signature import (
    check_signature,
    sign_with_key,
    sign_with_secret,
    SignaturePolicy,
)
import pytest

MakeModel = Callable[..., Path]


@pytest.fixture
def package(make_model: MakeModel) -> ModelPackage:
    return open_package(make_model())


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return generate_pair(tmp_path / 'keys' / 'site')


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / 'secret'
    path.write_text('0123456789abcdef0123456789abcdef\n')
    path.chmod(0o600)
    return path


def required(*keys: Path, secret: Path | None = None) -> SignaturePolicy:
    return SignaturePolicy(require=True, trusted_keys=keys, hmac_secret_file=secret)


def test_a_signature_by_a_trusted_key_is_good(
    package: ModelPackage, pair: tuple[Path, Path]
) -> None:
    signature = sign_with_key(package, pair[0])
    report = check_signature(package, required(pair[1]))
    assert (report.state, report.key_id) == ('good', signature.key_id)


def test_a_folder_of_keys_is_trusted_whole(
    package: ModelPackage, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    generate_pair(tmp_path / 'keys' / 'other')
    sign_with_key(package, pair[0])
    assert check_signature(package, required(tmp_path / 'keys')).state == 'good'


def test_a_shared_secret_is_good(package: ModelPackage, secret: Path) -> None:
    signature = sign_with_secret(package, secret)
    assert signature.algorithm == 'hmac-sha256'
    assert check_signature(package, required(secret=secret)).state == 'good'
    assert secret.read_text().strip() not in (package.path / 'manifest.sig').read_text()


def test_openssl_agrees(package: ModelPackage, pair: tuple[Path, Path], tmp_path: Path) -> None:
    openssl = shutil.which('openssl')
    if openssl is None:
        pytest.skip('openssl is not installed')
    value = sign_with_key(package, pair[0]).value
    (tmp_path / 'value').write_bytes(value)
    subprocess.run(
        [openssl, 'pkeyutl', '-verify', '-pubin', '-inkey', str(pair[1]), '-rawin']
        + ['-in', str(package.path / 'manifest.yaml'), '-sigfile', str(tmp_path / 'value')],
        check=True,
        capture_output=True,
    )


def test_an_unsigned_model_is_refused_only_where_signatures_are_required(
    package: ModelPackage, pair: tuple[Path, Path]
) -> None:
    assert check_signature(package, SignaturePolicy()).state == 'unsigned'
    with pytest.raises(IntegrityError, match='is not signed.*edge_seg model sign'):
        check_signature(package, required(pair[1]))


def test_an_unknown_key_is_refused_where_signatures_are_required(
    package: ModelPackage, pair: tuple[Path, Path], tmp_path: Path, secret: Path
) -> None:
    _, other_public = generate_pair(tmp_path / 'other')
    key_id = sign_with_key(package, pair[0]).key_id
    with pytest.raises(IntegrityError, match=f'by the ed25519 key {key_id}; expected a key that'):
        check_signature(package, required(other_public))
    with pytest.raises(IntegrityError, match='expected a key that is trusted'):
        check_signature(package, required(secret=secret))
    lenient = SignaturePolicy(trusted_keys=(other_public,))
    assert check_signature(package, lenient).state == 'unknown_key'


def test_another_secret_is_an_unknown_key(
    package: ModelPackage, secret: Path, tmp_path: Path
) -> None:
    sign_with_secret(package, secret)
    secret.write_text('another secret of enough length')
    with pytest.raises(IntegrityError, match='by the hmac-sha256 key'):
        check_signature(package, required(secret=secret))


@pytest.mark.parametrize('kind', ['key', 'secret'])
@pytest.mark.parametrize('require', [True, False])
def test_a_changed_manifest_is_refused_always(
    package: ModelPackage, pair: tuple[Path, Path], secret: Path, kind: str, require: bool
) -> None:
    if kind == 'key':
        sign_with_key(package, pair[0])
    else:
        sign_with_secret(package, secret)
    path = package.path / 'manifest.yaml'
    path.write_text(path.read_text().replace('Apache-2.0', 'MIT'))
    policy = SignaturePolicy(require, (pair[1],), secret)
    with pytest.raises(IntegrityError, match='does not fit its manifest'):
        check_signature(open_package(package.path), policy)


def test_a_changed_signature_is_refused(package: ModelPackage, pair: tuple[Path, Path]) -> None:
    sign_with_key(package, pair[0])
    path = package.path / 'manifest.sig'
    document = json.loads(path.read_text())
    document['signature'] = ('B' if document['signature'][0] == 'A' else 'A') + (
        document['signature'][1:]
    )
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match='does not fit its manifest'):
        check_signature(package, required(pair[1]))


def test_a_signature_of_another_model_is_refused(
    package: ModelPackage, pair: tuple[Path, Path], make_model: MakeModel
) -> None:
    other = open_package(make_model('wall'))
    sign_with_key(other, pair[0])
    shutil.copy(other.path / 'manifest.sig', package.path / 'manifest.sig')
    with pytest.raises(IntegrityError, match='does not fit its manifest'):
        check_signature(package, required(pair[1]))


GOOD = {'algorithm': 'ed25519', 'key_id': '0123456789abcdef', 'signature': 'AAAA'}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is no signature'),
        (b'\xff\xfe', 'is no signature'),
        (b'[]', 'is no signature'),
        (b'{}', 'is no signature'),
        (b'[' * 4000, 'is no signature'),
        (b' ' * 5000, 'is longer than 4096'),
        (json.dumps({**GOOD, 'signature': '***'}).encode(), 'is no signature'),
        (json.dumps({**GOOD, 'signature': 7}).encode(), 'is no signature'),
        (json.dumps({**GOOD, 'algorithm': 'none'}).encode(), "has the algorithm 'none'"),
        (json.dumps({**GOOD, 'algorithm': []}).encode(), 'has the algorithm'),
        (json.dumps({**GOOD, 'key_id': '\x1b[31m'}).encode(), 'has the key id'),
        (json.dumps({**GOOD, 'key_id': None}).encode(), 'has the key id'),
    ],
)
def test_what_is_no_signature_is_refused_always(
    package: ModelPackage, content: bytes, message: str
) -> None:
    (package.path / 'manifest.sig').write_bytes(content)
    with pytest.raises(IntegrityError, match=message):
        check_signature(package, SignaturePolicy())


def test_a_linked_signature_is_refused(package: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / 'sig').write_text(json.dumps(GOOD))
    (package.path / 'manifest.sig').symlink_to(tmp_path / 'sig')
    with pytest.raises(IntegrityError, match='symbolic link'):
        check_signature(package, SignaturePolicy())


def test_requiring_signatures_without_keys_is_a_wrong_setting(package: ModelPackage) -> None:
    with pytest.raises(SettingsInvalid, match='no key is trusted'):
        check_signature(package, SignaturePolicy(require=True))


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    private, public = generate_pair(tmp_path / 'new' / 'site')
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    before = private.read_bytes()
    with pytest.raises(StoreError, match='site.key.pem exists'):
        generate_pair(tmp_path / 'new' / 'site')
    private.unlink()
    with pytest.raises(StoreError, match='site.pub.pem exists'):
        generate_pair(tmp_path / 'new' / 'site')
    assert not private.exists()
    assert b'PRIVATE' in before


def test_a_key_that_others_may_read_is_refused(
    package: ModelPackage, pair: tuple[Path, Path]
) -> None:
    pair[0].chmod(0o644)
    with pytest.raises(SettingsInvalid, match=r'mode 0644.*expected mode 0600; chmod 600'):
        sign_with_key(package, pair[0])
    assert not (package.path / 'manifest.sig').exists()


def test_a_secret_that_others_may_read_is_refused(package: ModelPackage, secret: Path) -> None:
    secret.chmod(0o640)
    with pytest.raises(SettingsInvalid, match='a shared secret that others may read'):
        sign_with_secret(package, secret)


def test_a_short_secret_is_refused(package: ModelPackage, secret: Path) -> None:
    secret.write_text('secret')
    with pytest.raises(SettingsInvalid, match='6 bytes; expected at least 16'):
        sign_with_secret(package, secret)


def test_what_is_no_key_is_named(
    package: ModelPackage, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / 'bad.pem'
    bad.write_text('no key')
    bad.chmod(0o600)
    sign_with_key(package, pair[0])
    for policy in (required(bad), required(tmp_path / 'absent.pem'), required(pair[0])):
        with pytest.raises(SettingsInvalid, match='is no PEM public key|cannot be read'):
            check_signature(package, policy)
    with pytest.raises(SettingsInvalid, match='is no PEM private key'):
        sign_with_key(package, bad)
    with pytest.raises(SettingsInvalid, match=r'has no \*.pem file'):
        check_signature(package, required(package.path))


def test_models_are_read_without_the_cryptography_package() -> None:
    code = (
        'import sys; sys.modules["cryptography"] = None\n'
        'from edge_seg.models.store import ModelStore\n'
        'from edge_seg.models.keys import require_cryptography\n'
        'try:\n    require_cryptography()\n'
        'except Exception as error:\n    print(type(error).__name__, error)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'SettingsInvalid' in done.stdout
    assert 'python3-cryptography' in done.stdout


def test_every_refusal_is_an_error_of_ours(package: ModelPackage) -> None:
    with pytest.raises(EdgeSegError):
        sign_with_key(package, Path('/nowhere/key.pem'))
