"""``edge_seg model push``, ``pull`` and ``registry``: the registry that a fleet shares."""

from pathlib import Path
from typing import Any

import click
from edge_seg.cli.model.archive import limits_of, max_size_option
from edge_seg.cli.model.progress import step_bar
from edge_seg.cli.model.signature import signature_in_words, signature_options
from edge_seg.cli.view import (
    in_bytes,
    json_option,
    show_json,
    show_table,
    store_option,
    stores_option,
)
from edge_seg.errors import ModelNotFound
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.offline.registry.interface import RegisteredVersion
from edge_seg.offline.registry.opening import FORMS, open_registry
from edge_seg.offline.registry.transfer import pull as pull_model
from edge_seg.offline.registry.transfer import push as push_model
from edge_seg.offline.registry.transfer import tell_nobody

ADDRESSES = f'REGISTRY is {FORMS}.'


@click.command(epilog=ADDRESSES)
@click.argument('model')
@click.argument('address', metavar='REGISTRY')
@stores_option
@click.option('--label', 'labels', multiple=True, help='Label to set there; may be repeated.')
@click.option('--no-labels', is_flag=True, help="Leave out the labels of MODEL's version here.")
@click.option(
    '--report',
    type=click.Path(dir_okay=False, path_type=Path),
    help='HTML of edge_seg model report to take along.',
)
@click.option(
    '--key', type=click.Path(path_type=Path), help='Ed25519 private key (PEM) to sign with.'
)
@json_option
def push(
    model: str,
    address: str,
    stores: LayeredStore,
    labels: tuple[str, ...],
    no_labels: bool,
    report: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Put MODEL into REGISTRY, with its labels; a version that is there never changes."""
    package = stores.resolve(model)
    wanted = {*labels, *(() if no_labels else _labels_of(package, stores))}
    registry = open_registry(address)
    with step_bar(package.identity, counted='bytes') as move:
        pushed = push_model(
            package,
            registry,
            labels=sorted(wanted),
            report=report,
            key=key,
            on_step=move or tell_nobody,
        )
    if as_json:
        show_json({**_document(pushed.version), 'new': pushed.new})
        return
    version = pushed.version
    done = 'is in the registry' if pushed.new else 'was in the registry already'
    also = f', labelled {", ".join(version.labels)}' if version.labels else ''
    click.echo(f'{version.identity} {done}, {in_bytes(version.size_bytes)}{also}')


@click.command(epilog=ADDRESSES)
@click.argument('address', metavar='REGISTRY')
@click.argument('model')
@store_option
@signature_options
@max_size_option
@click.option('--labels', is_flag=True, help='Set the labels here that the registry has.')
@json_option
def pull(
    address: str,
    model: str,
    store: ModelStore,
    policy: SignaturePolicy,
    max_size: float,
    labels: bool,
    as_json: bool,
) -> None:
    """Get MODEL from REGISTRY into the store, whole or not at all.

    MODEL is NAME, NAME@VERSION, NAME@latest or NAME@LABEL, as the registry has it. What comes is
    checked as edge_seg model install does, and against the digest that the registry keeps.
    """
    registry = open_registry(address)
    with step_bar(model, counted='bytes') as move:
        pulled = pull_model(
            registry,
            model,
            store,
            with_labels=labels,
            policy=policy,
            limits=limits_of(max_size),
            on_step=move or tell_nobody,
        )
    installed = pulled.installed
    if as_json:
        show_json(
            {
                **_document(pulled.version),
                'path': str(installed.package.path),
                'new': installed.new,
                'signature': installed.signature.state,
                'labels_set': list(pulled.labels),
            }
        )
        return
    done = 'is installed' if installed.new else 'was installed already'
    also = f', labelled {", ".join(pulled.labels)}' if pulled.labels else ''
    words = signature_in_words(installed.signature)
    click.echo(f'{pulled.version.identity} {done}, {words}{also}: {installed.package.path}')


@click.command(epilog=ADDRESSES)
@click.argument('address', metavar='REGISTRY')
@click.argument('name', required=False)
@json_option
def registry(address: str, name: str | None, as_json: bool) -> None:
    """List the versions in REGISTRY, or only those of NAME."""
    opened = open_registry(address)
    names = opened.names() if name is None else (name,)
    versions = [version for each in names for version in opened.versions(each)]
    if name is not None and not versions:
        raise ModelNotFound(f'the registry has no model {name!r}')
    if as_json:
        show_json([_document(version) for version in versions])
        return
    if not versions:
        click.echo('no models')
        return
    rows = [
        [
            each.name,
            each.version,
            ', '.join(each.labels),
            in_bytes(each.size_bytes),
            'yes' if each.signed else 'no',
            each.model_sha256[:16],
        ]
        for each in versions
    ]
    show_table(['NAME', 'VERSION', 'LABELS', 'SIZE', 'SIGNED', 'MANIFEST SHA256'], rows)


def _labels_of(package: ModelPackage, stores: LayeredStore) -> tuple[str, ...]:
    for listed in stores.entries():
        if listed.entry.path == package.path:
            return listed.entry.labels
    return ()  # a folder outside of the stores


def _document(version: RegisteredVersion) -> dict[str, Any]:
    return {
        'model': version.identity,
        'model_sha256': version.model_sha256,
        'archive_sha256': version.archive_sha256,
        'size': version.size_bytes,
        'signed': version.signed,
        'labels': list(version.labels),
    }
