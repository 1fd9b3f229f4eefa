"""``edge_seg model`` commands that tidy the store: label, remove, prune."""

import click
from edge_seg.cli.view import json_option, show_json, store_option
from edge_seg.errors import StoreError
from edge_seg.models.reference import is_name, is_version, parse_reference
from edge_seg.models.store import ModelStore


@click.command()
@click.argument('model')
@click.argument('name', metavar='LABEL')
@store_option
@click.option('--drop', is_flag=True, help='Forget the label; MODEL is then a bare name.')
@json_option
def label(model: str, name: str, store: ModelStore, drop: bool, as_json: bool) -> None:
    """Let LABEL mean MODEL, e.g. floor@2 stable; a label is moved when it exists."""
    reference = parse_reference(model)
    if drop:
        store.drop_label(reference.name, name)
        _show_label(f'{reference.name}@{name}', '', as_json)
        return
    # A version, not a label: what it means must not depend on when the command runs.
    package = store.resolve(model)
    store.set_label(reference.name, name, package.manifest.spec.version)
    _show_label(f'{reference.name}@{name}', package.identity, as_json)


def _show_label(reference: str, means: str, as_json: bool) -> None:
    if as_json:
        show_json({'label': reference, 'means': means})
    else:
        click.echo(f'{reference} means {means}' if means else f'{reference} is forgotten')


@click.command()
@click.argument('models', nargs=-1, required=True, metavar='NAME@VERSION...')
@store_option
@click.option('--force', is_flag=True, help='Even when labelled or in use.')
@json_option
def remove(models: tuple[str, ...], store: ModelStore, force: bool, as_json: bool) -> None:
    """Take versions out of the store, bad entries too."""
    for model in models:
        reference = parse_reference(model)
        if not is_name(reference.name) or not is_version(reference.selector):
            raise StoreError(f'{model!r} names no single version', expected='name@version')
    removed: list[str] = []
    try:
        for model in models:
            removed.append(store.remove(model, force=force).identity)
            if not as_json:
                click.echo(f'{removed[-1]} is removed')
    finally:  # one that is refused does not hide those before it
        if as_json:
            show_json({'removed': removed})


@click.command()
@store_option
@click.option(
    '--keep',
    type=click.IntRange(min=1),
    required=True,
    help='How many of the highest versions of each model stay.',
)
@json_option
def prune(store: ModelStore, keep: int, as_json: bool) -> None:
    """Remove old versions, except labelled ones and those in use, and leftovers."""
    report = store.prune(keep=keep)
    if as_json:
        show_json(
            {
                'removed': list(report.removed),
                'kept': [{'model': model, 'reason': reason} for model, reason in report.kept],
                'cleared': [str(path) for path in report.cleared],
            }
        )
        return
    for model in report.removed:
        click.echo(f'{model} is removed')
    for path in report.cleared:
        click.echo(f'{path.name} is cleared: its publisher died')
    for _, reason in report.kept:
        click.echo(f'kept: {reason}')
    if not report.removed and not report.cleared:
        click.echo('nothing to remove')
