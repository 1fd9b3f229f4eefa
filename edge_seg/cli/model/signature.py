"""What commands ask of signatures: the options, and what was found in words."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from edge_seg.models.signature import SignaturePolicy, SignatureReport

Command = Callable[..., Any]


def signature_options(function: Command) -> Command:
    """Give a command the options of signatures; it takes ``policy``, a SignaturePolicy."""

    @click.option(
        '--trusted-key',
        'trusted_keys',
        multiple=True,
        type=click.Path(exists=True, path_type=Path),
        help='Public key (PEM), or a folder of them; may be repeated.',
    )
    @click.option(
        '--hmac-secret',
        type=click.Path(exists=True, path_type=Path),
        help='File with the shared secret.',
    )
    @click.option('--require-signature', is_flag=True, help='Refuse what no trusted key signed.')
    @wraps(function)
    def with_policy(
        *args: Any,
        trusted_keys: tuple[Path, ...],
        hmac_secret: Path | None,
        require_signature: bool,
        **kwargs: Any,
    ) -> Any:
        policy = SignaturePolicy(require_signature, trusted_keys, hmac_secret)
        return function(*args, policy=policy, **kwargs)

    return with_policy


def signature_in_words(report: SignatureReport) -> str:
    """Say what a signature is worth."""
    if report.state == 'unsigned':
        return 'not signed'
    trust = 'trusted' if report.state == 'good' else 'not among the trusted keys, not checked'
    return f'signed with {report.algorithm} key {report.key_id} ({trust})'
