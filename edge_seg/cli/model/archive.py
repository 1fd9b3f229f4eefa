"""``edge_seg model package`` and ``install``: a model as one file, and back into a store."""

from pathlib import Path

import click
from edge_seg.cli.model.progress import byte_bar
from edge_seg.cli.model.signature import signature_in_words, signature_options
from edge_seg.cli.view import in_bytes, json_option, show_json, store_option, stores_option
from edge_seg.models.layered import LayeredStore
from edge_seg.models.signature import SignaturePolicy
from edge_seg.models.store import ModelStore
from edge_seg.models.workspace import reported
from edge_seg.offline.archives.installing import install as install_archive
from edge_seg.offline.archives.installing import InstalledModel
from edge_seg.offline.archives.layout import Limits
from edge_seg.offline.archives.packaging import default_name, package_model

GIB = 1 << 30
max_size_option = click.option(
    '--max-size',
    type=click.FloatRange(min=0, min_open=True),
    default=8.0,
    show_default=True,
    metavar='GIB',
    help='Refuse what unpacks to more.',
)


@click.command()
@click.argument('model')
@stores_option
@click.option(
    '--output',
    '-o',
    type=click.Path(dir_okay=False, path_type=Path),
    help='Archive, .tar.gz or .tar.zst; default: NAME-VERSION.tar.gz here.',
)
@click.option(
    '--report',
    type=click.Path(dir_okay=False, path_type=Path),
    help='HTML of edge_seg model report to take along; no signature covers it.',
)
@click.option(
    '--key',
    type=click.Path(path_type=Path),
    help='Ed25519 private key (PEM) to sign the archive with; the store stays as it is.',
)
@json_option
def package(
    model: str,
    stores: LayeredStore,
    output: Path | None,
    report: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Write MODEL as one archive, for edge_seg model install.

    The same model gives the same bytes, whenever and wherever it is packaged. An archive that is
    there is replaced.
    """
    found = stores.resolve(model)
    target = output or Path(default_name(found))
    with byte_bar(found.identity) as progress:
        made = package_model(found, target, report=report, key=key, progress=progress)
    if as_json:
        show_json(
            {
                'archive': str(made.path),
                'model': made.model,
                'model_sha256': made.model_sha256,
                'sha256': made.sha256,
                'size': made.size_bytes,
                'signed': made.signed,
                'report': made.report,
            }
        )
        return
    signed = 'signed' if made.signed else 'not signed'
    click.echo(f'{made.path}: {made.model}, {in_bytes(made.size_bytes)}, {signed}')
    click.echo(f'sha256 {made.sha256}')


@click.command()
@click.argument('archive', type=click.Path(path_type=Path))
@store_option
@signature_options
@max_size_option
@click.option(
    '--report',
    'report_path',
    type=click.Path(dir_okay=False, path_type=Path),
    help='Write the report that came along to this file.',
)
@json_option
def install(
    archive: Path,
    store: ModelStore,
    policy: SignaturePolicy,
    max_size: float,
    report_path: Path | None,
    as_json: bool,
) -> None:
    """Put the model of ARCHIVE into the store, whole or not at all.

    Everything in it is checked first: digests, signature, names, sizes. What is damaged, tampered
    with, or not as edge_seg model package writes it, is refused.
    """
    with byte_bar(archive.name) as progress:
        installed = install_archive(
            archive, store, policy=policy, limits=limits_of(max_size), progress=progress
        )
    show_installed(installed, report_path, as_json=as_json)


def limits_of(gib: float) -> Limits:
    """Return the limits that --max-size means."""
    return Limits(total=max(1, int(gib * GIB)))


def show_installed(installed: InstalledModel, report_path: Path | None, *, as_json: bool) -> None:
    """Say what was installed, and write its report when it is wanted and there."""
    package, signature = installed.package, installed.signature
    if report_path is not None and installed.report is not None:
        with reported(report_path):
            report_path.write_bytes(installed.report)
    if as_json:
        show_json(
            {
                'model': package.identity,
                'model_sha256': package.manifest_sha256,
                'path': str(package.path),
                'new': installed.new,
                'signature': signature.state,
                'key_id': signature.key_id,
                'report': installed.report is not None,
            }
        )
        return
    done = 'is installed' if installed.new else 'was installed already'
    click.echo(f'{package.identity} {done}, {signature_in_words(signature)}: {package.path}')
    if report_path is not None and installed.report is None:
        click.echo('no report came along', err=True)
