"""``edge_seg model keygen`` and ``sign``."""

from pathlib import Path

import click
from edge_seg.cli.view import json_option, show_json, store_option
from edge_seg.models.keys import generate_pair
from edge_seg.models.package import verify_artifacts
from edge_seg.models.signature import sign_with_key, sign_with_secret
from edge_seg.models.store import ModelStore


@click.command()
@click.argument('stem', type=click.Path(path_type=Path))
@json_option
def keygen(stem: Path, as_json: bool) -> None:
    """Make the keys STEM.key.pem, to sign with, and STEM.pub.pem, for the robots to trust."""
    private, public = generate_pair(stem)
    if as_json:
        show_json({'private': str(private), 'public': str(public)})
        return
    click.echo(f'{private}  private: keep it off the robots')
    click.echo(f'{public}  public: copy it to the robots, parameter trusted_keys')


@click.command()
@click.argument('model')
@store_option
@click.option('--key', type=click.Path(path_type=Path), help='Ed25519 private key (PEM).')
@click.option(
    '--hmac-secret', type=click.Path(path_type=Path), help='File with the shared secret.'
)
@json_option
def sign(
    model: str, store: ModelStore, key: Path | None, hmac_secret: Path | None, as_json: bool
) -> None:
    """Sign MODEL, after checking its digests; a signature that is there is replaced."""
    if (key is None) == (hmac_secret is None):
        raise click.UsageError('give either --key or --hmac-secret')
    package = store.resolve(model)
    verify_artifacts(package)
    if key is not None:
        signature = sign_with_key(package, key)
    else:
        assert hmac_secret is not None
        signature = sign_with_secret(package, hmac_secret)
    if as_json:
        show_json(
            {
                'model': package.identity,
                'algorithm': signature.algorithm,
                'key_id': signature.key_id,
            }
        )
        return
    click.echo(f'{package.identity} is signed with {signature.algorithm} key {signature.key_id}')
