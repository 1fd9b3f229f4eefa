"""Signatures over manifests: who published a model, and that nobody changed it since."""

import base64
import binascii
from dataclasses import dataclass
import hashlib
import hmac
import json
import os
from pathlib import Path
import re
from typing import Literal

from edge_seg.errors import IntegrityError, SettingsInvalid
from edge_seg.models.durable import open_inside, replace_durably
from edge_seg.models.keys import (
    key_id,
    load_private_key,
    load_public_keys,
    load_secret,
    require_cryptography,
    secret_id,
)
from edge_seg.models.package import ModelPackage, SIGNATURE_NAME, signed_bytes
from edge_seg.models.workspace import reported

Algorithm = Literal['ed25519', 'hmac-sha256']
ED25519: Algorithm = 'ed25519'
HMAC_SHA256: Algorithm = 'hmac-sha256'
MAX_SIGNATURE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """What a site asks of signatures.

    Attributes:
        require: refuse models without a good signature by a trusted key.
        trusted_keys: PEM files of Ed25519 public keys, or folders of them.
        hmac_secret_file: shared secret for HMAC-SHA256, or None.
    """

    require: bool = False
    trusted_keys: tuple[Path, ...] = ()
    hmac_secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The content of manifest.sig.

    Attributes:
        algorithm: 'ed25519' over the manifest's bytes, or 'hmac-sha256' of them.
        key_id: which key made it; 16 hexadecimal digits.
        value: the signature itself, 64 or 32 bytes.
    """

    algorithm: Algorithm
    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What checking a signature found; ``state`` is 'unsigned', 'unknown_key' or 'good'."""

    state: Literal['unsigned', 'unknown_key', 'good']
    algorithm: str = ''
    key_id: str = ''


def check_signature(package: ModelPackage, policy: SignaturePolicy) -> SignatureReport:
    """Judge a model's signature.

    Without ``policy.require`` an unsigned model, and one signed by a key that is not known
    here, pass and are reported as such; a signature that is wrong never passes.

    Raises:
        IntegrityError: unsigned, by an unknown key, wrong, or unreadable: each has its reason.
        SettingsInvalid: a key cannot be used, or ``require`` is set without any key.
        ManifestInvalid: the manifest is gone.
    """
    if policy.require and not policy.trusted_keys and policy.hmac_secret_file is None:
        raise SettingsInvalid(
            'a signature is required but no key is trusted',
            remedy='set trusted_keys or hmac_secret_file',
        )
    signature = read_signature(package)
    if signature is None:
        if policy.require:
            raise IntegrityError(
                f'{package.identity} is not signed',
                expected='a signature by a trusted key',
                remedy=f'sign it: edge_seg model sign {package.identity} --key FILE',
            )
        return SignatureReport('unsigned')
    known = _is_right(signature, package, policy)
    if not known and policy.require:
        raise IntegrityError(
            f'{package.identity} is signed by the {signature.algorithm} key {signature.key_id}',
            expected='a key that is trusted here',
            remedy='add its public key (or secret) to the trusted ones if you trust its owner',
        )
    state: Literal['good', 'unknown_key'] = 'good' if known else 'unknown_key'
    return SignatureReport(state, signature.algorithm, signature.key_id)


def sign_with_key(package: ModelPackage, private_key: Path) -> Signature:
    """Sign a manifest with an Ed25519 key and put manifest.sig beside it, replacing one there.

    Raises:
        SettingsInvalid: the key cannot be used.
        IntegrityError, ManifestInvalid: the manifest changed or is gone.
        StoreError: manifest.sig cannot be written.
    """
    return _write(package, ed25519_signature(signed_bytes(package), private_key))


def sign_with_secret(package: ModelPackage, secret_file: Path) -> Signature:
    """Sign a manifest with a shared secret and put manifest.sig beside it.

    Raises:
        As ``sign_with_key``.
    """
    secret = load_secret(secret_file)
    value = hmac.new(secret, signed_bytes(package), hashlib.sha256).digest()
    return _write(package, Signature(HMAC_SHA256, secret_id(secret), value))


def ed25519_signature(manifest: bytes, private_key: Path) -> Signature:
    """Sign the bytes of a manifest.

    Raises:
        SettingsInvalid: the key cannot be used.
    """
    key = load_private_key(private_key)
    return Signature(ED25519, key_id(key.public_key()), key.sign(manifest))


def encoded(signature: Signature) -> bytes:
    """Return the content of manifest.sig."""
    document = {
        'algorithm': signature.algorithm,
        'key_id': signature.key_id,
        'signature': base64.b64encode(signature.value).decode('ascii'),
    }
    return (json.dumps(document, indent=2) + '\n').encode('ascii')


def read_signature(package: ModelPackage) -> Signature | None:
    """Read manifest.sig; None when there is none.

    Raises:
        IntegrityError: it is there but no signature.
    """
    path = package.path / SIGNATURE_NAME
    if not os.path.lexists(path):
        return None
    with os.fdopen(open_inside(package.path, SIGNATURE_NAME), 'rb') as stream:
        content = stream.read(MAX_SIGNATURE_BYTES + 1)
    if len(content) > MAX_SIGNATURE_BYTES:
        raise _unreadable(path, f'is longer than {MAX_SIGNATURE_BYTES} bytes')
    try:
        document = json.loads(content)
        algorithm, identity = document['algorithm'], document['key_id']
        value = base64.b64decode(document['signature'], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise _unreadable(path, 'is no signature') from error
    if algorithm not in (ED25519, HMAC_SHA256):
        raise _unreadable(path, f'has the algorithm {str(algorithm)[:40]!r}')
    if not isinstance(identity, str) or not re.fullmatch('[0-9a-f]{16}', identity):
        raise _unreadable(path, f'has the key id {str(identity)[:40]!r}')
    return Signature(algorithm, identity, value)


def _is_right(signature: Signature, package: ModelPackage, policy: SignaturePolicy) -> bool:
    """Verify a signature; False when its key is not known here."""
    text = signed_bytes(package)
    if signature.algorithm == HMAC_SHA256:
        if policy.hmac_secret_file is None:
            return False
        secret = load_secret(policy.hmac_secret_file)
        if secret_id(secret) != signature.key_id:
            return False
        if not hmac.compare_digest(
            hmac.new(secret, text, hashlib.sha256).digest(), signature.value
        ):
            raise _tampered(package)
        return True
    return _is_right_ed25519(signature, text, package, policy)


def _is_right_ed25519(
    signature: Signature, text: bytes, package: ModelPackage, policy: SignaturePolicy
) -> bool:
    if not policy.trusted_keys:
        return False
    require_cryptography()
    from cryptography.exceptions import InvalidSignature

    key = load_public_keys(policy.trusted_keys).get(signature.key_id)
    if key is None:
        return False
    try:
        key.verify(signature.value, text)
    except InvalidSignature as error:
        raise _tampered(package) from error
    return True


def _write(package: ModelPackage, signature: Signature) -> Signature:
    path = package.path / SIGNATURE_NAME
    with reported(path):
        replace_durably(path, encoded(signature))
    return signature


def _tampered(package: ModelPackage) -> IntegrityError:
    return IntegrityError(
        f'the signature of {package.identity} does not fit its manifest',
        expected='the manifest that was signed',
        remedy='one of them was changed: get the model again from its publisher',
    )


def _unreadable(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f'{path} {why}',
        expected='algorithm, key_id and signature, as edge_seg model sign writes them',
        remedy='sign the model again',
    )
