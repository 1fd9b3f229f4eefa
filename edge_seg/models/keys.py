"""Keys that sign manifests: Ed25519 pairs in PEM files and shared secrets in plain files."""

from collections.abc import Sequence
import hashlib
import hmac
import os
from pathlib import Path
import stat
from typing import TYPE_CHECKING

from edge_seg.errors import SettingsInvalid, StoreError
from edge_seg.models.durable import write_durably
from edge_seg.models.workspace import reported

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PRIVATE_SUFFIX = '.key.pem'
PUBLIC_SUFFIX = '.pub.pem'
MIN_SECRET_BYTES = 16
MAX_KEY_BYTES = 16384


def require_cryptography() -> None:
    """Make sure that the ``cryptography`` package is there; only signatures need it.

    Raises:
        SettingsInvalid: it is not installed, or broken.
    """
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError as error:
        raise SettingsInvalid(
            f'Ed25519 signatures need the package cryptography ({error})',
            remedy='apt install python3-cryptography, or pip install cryptography',
        ) from error


def generate_pair(stem: Path) -> tuple[Path, Path]:
    """Make a new key pair: ``stem.key.pem`` (mode 0600) and ``stem.pub.pem``.

    Returns:
        Paths of the private and the public key.

    Raises:
        StoreError: one of the files exists, or cannot be written.
        SettingsInvalid: cryptography is not installed.
    """
    require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private_path = stem.with_name(stem.name + PRIVATE_SUFFIX)
    public_path = stem.with_name(stem.name + PUBLIC_SUFFIX)
    for path in (private_path, public_path):
        if os.path.lexists(path):
            raise _in_the_way(path)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_key(private_path, private, mode=0o600)
    _write_key(public_path, public, mode=0o644)
    return private_path, public_path


def load_private_key(path: Path) -> 'Ed25519PrivateKey':
    """Read an Ed25519 private key.

    Raises:
        SettingsInvalid: unreadable, readable by others, encrypted, of another kind, or
            cryptography is not installed.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read_secret(path, 'a private key')
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path, f'is no PEM private key ({error})') from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, f'holds a {type(key).__name__}')
    return key


def load_public_keys(paths: Sequence[Path]) -> dict[str, 'Ed25519PublicKey']:
    """Read trusted public keys from PEM files and from folders of ``*.pem`` files.

    Private keys in a folder are passed over by their name.

    Returns:
        Key by key id.

    Raises:
        SettingsInvalid: a path is missing, a file is no Ed25519 public key, a folder has none,
            or cryptography is not installed.
    """
    keys = {}
    for path in paths:
        for file in _pem_files(path.expanduser()):
            key = _load_public_key(file)
            keys[key_id(key)] = key
    return keys


def key_id(key: 'Ed25519PublicKey') -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    from cryptography.hazmat.primitives import serialization

    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def load_secret(path: Path) -> bytes:
    """Read a shared secret; white space around it is not part of it.

    Raises:
        SettingsInvalid: unreadable, readable by others, or shorter than 16 bytes.
    """
    secret = _read_secret(path, 'a shared secret').strip()
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsInvalid(
            f'{path} holds a secret of {len(secret)} bytes',
            expected=f'at least {MIN_SECRET_BYTES}',
            remedy=f'make one with: openssl rand -hex 32 > {path}',
        )
    return secret


def secret_id(secret: bytes) -> str:
    """Return an id of a secret that gives nothing away about it."""
    return hmac.new(secret, b'edge_seg key id', hashlib.sha256).hexdigest()[:16]


def _write_key(path: Path, content: bytes, *, mode: int) -> None:
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_durably(path, content, mode=mode)
        except FileExistsError as error:
            raise _in_the_way(path) from error


def _in_the_way(path: Path) -> StoreError:
    return StoreError(
        f'{path} exists',
        expected='no file: a lost private key cannot be made again',
        remedy='choose another name, or move the old key away',
    )


def _read_secret(path: Path, what: str) -> bytes:
    content, mode = _read(path)
    if mode & 0o077:
        raise SettingsInvalid(
            f'{path} is {what} that others may read (mode {stat.S_IMODE(mode):04o})',
            expected='mode 0600',
            remedy=f'chmod 600 {path}',
        )
    return content


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.expanduser().open('rb') as stream:
            mode = os.fstat(stream.fileno()).st_mode
            return stream.read(MAX_KEY_BYTES), mode
    except OSError as error:
        raise SettingsInvalid(
            f'{path} cannot be read ({error.strerror})', expected='a key file'
        ) from error


def _pem_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(f for f in path.glob('*.pem') if not f.name.endswith(PRIVATE_SUFFIX))
    if not found:
        raise SettingsInvalid(f'{path} has no *.pem file', expected='public keys')
    return found


def _load_public_key(path: Path) -> 'Ed25519PublicKey':
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content, _ = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, f'is no PEM public key ({error})') from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, f'holds a {type(key).__name__}')
    return key


def _no_key(path: Path, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        f'{path} {why}', expected='an Ed25519 key as edge_seg model keygen makes it'
    )
