"""``edge_seg model``: the group, and the commands that only look: list, show, verify."""

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

import click
from edge_seg.cli.main import exit_code_of, EXIT_CODES, INVALID, LazyGroup, NOT_FOUND
from edge_seg.cli.model.progress import byte_bar
from edge_seg.cli.model.signature import signature_in_words, signature_options
from edge_seg.cli.view import (
    in_bytes,
    json_option,
    show_json,
    show_pairs,
    show_table,
    size_of,
    stores_option,
)
from edge_seg.errors import EdgeSegError, ModelError, ModelNotFound
from edge_seg.models.layered import LayeredEntry, LayeredStore, Origin
from edge_seg.models.manifest import Manifest
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.models.signature import check_signature, SignaturePolicy

COMMANDS: Mapping[str, tuple[str, str]] = {
    'list': ('edge_seg.cli.model.command:list_models', 'List the models that are there.'),
    'show': ('edge_seg.cli.model.command:show', 'Show what a model declares.'),
    'add': ('edge_seg.cli.model.add:add', 'Publish a model file, or a folder with a manifest.'),
    'import': (
        'edge_seg.cli.model.importing:import_',
        'Import a trained network: ONNX, PyTorch, …',
    ),
    'fuse': ('edge_seg.cli.model.fuse:fuse', 'Put normalisation and argmax into the graph.'),
    'build-engine': ('edge_seg.cli.model.build:build_engine', 'Build the TensorRT engine here.'),
    'optimize': ('edge_seg.cli.model.optimize:optimize', 'Publish a model in INT8 or FP16.'),
    'evaluate': ('edge_seg.cli.model.evaluate:evaluate', 'Score a model against labels.'),
    'parity': ('edge_seg.cli.model.parity:parity', 'Compare the masks of two models.'),
    'profile': ('edge_seg.cli.model.profile:profile', 'Time stages and layers, see memory.'),
    'verify': ('edge_seg.cli.model.command:verify', 'Check digests and signatures.'),
    'package': ('edge_seg.cli.model.archive:package', 'Write a model as one archive.'),
    'install': ('edge_seg.cli.model.archive:install', 'Put an archive into the store.'),
    'report': ('edge_seg.cli.model.report:report', 'Write what is known of a model as HTML.'),
    'push': ('edge_seg.cli.model.registry:push', 'Put a model into a registry.'),
    'pull': ('edge_seg.cli.model.registry:pull', 'Get a model from a registry.'),
    'registry': ('edge_seg.cli.model.registry:registry', 'List what is in a registry.'),
    'keygen': ('edge_seg.cli.model.sign:keygen', 'Make a pair of keys for signing.'),
    'sign': ('edge_seg.cli.model.sign:sign', 'Sign a model.'),
    'label': ('edge_seg.cli.model.keep:label', 'Let a label such as stable mean a version.'),
    'activate': ('edge_seg.cli.model.live:activate', 'Let a running node serve a model.'),
    'rollback': ('edge_seg.cli.model.live:rollback', 'Let a running node serve the previous one.'),
    'remove': ('edge_seg.cli.model.keep:remove', 'Take a version out of the store.'),
    'prune': ('edge_seg.cli.model.keep:prune', 'Remove old versions and leftovers.'),
}


@click.group(cls=LazyGroup, table=COMMANDS, epilog=EXIT_CODES)
def command() -> None:
    """Look after the models in a store.

    A model is named name, name@version, name@latest, name@LABEL, or by a path with a slash. A
    bare name means the version labelled stable, or the latest when none is.
    """


@click.command('list')
@click.argument('name', required=False)
@stores_option
@json_option
def list_models(name: str | None, stores: LayeredStore, as_json: bool) -> int:
    """List what is in the store and what came with the package, or only what is under NAME.

    Bad entries are listed with the reason.
    """
    listed = [one for one in stores.entries() if name in (None, one.entry.name)]
    leftovers = stores.own.leftovers() if name is None else ()
    places = ' and '.join(str(root) for root in stores.roots)
    if name is not None and not listed:
        raise ModelNotFound(f'there is no model {name!r} in {places}')
    if as_json:
        own, *installed = (str(root) for root in stores.roots)
        show_json(
            {
                'store': own,
                'installed': installed[0] if installed else None,
                'models': [_entry_document(one) for one in listed],
                'leftovers': [{'path': str(i.path), 'abandoned': i.abandoned} for i in leftovers],
            }
        )
        return 0
    if not listed and not leftovers:
        click.echo(f'{places}: no models; add one with edge_seg model add FILE')
        return 0
    rows = [_entry_row(one) for one in listed]
    for leftover in leftovers:
        state = 'left by a publisher that died; edge_seg model prune removes it'
        text = state if leftover.abandoned else 'is being published'
        rows.append([leftover.path.name, '', Origin.STORE.value, '', '', '', '', text])
    show_table(['NAME', 'VERSION', 'WHERE', 'LABELS', 'FORMATS', 'SIZE', 'SIGNED', 'STATE'], rows)
    return 0


@click.command()
@click.argument('model')
@stores_option
@json_option
def show(model: str, stores: LayeredStore, as_json: bool) -> int:
    """Show what MODEL declares."""
    package = stores.resolve(model)
    if as_json:
        show_json(_package_document(package))
        return 0
    show_pairs(_package_pairs(package))
    return 0


@click.command()
@click.argument('models', nargs=-1)
@stores_option
@signature_options
@json_option
def verify(
    models: tuple[str, ...], stores: LayeredStore, policy: SignaturePolicy, as_json: bool
) -> int:
    """Check digests and signatures of MODELS; of everything that is there without any."""
    if models:
        results = [_verified(model, partial(stores.resolve, model), policy) for model in models]
    else:
        results = [_verified_entry(one, policy) for one in stores.entries()]
    if as_json:
        show_json([document for document, _ in results])
    elif not results:
        click.echo(f'{" and ".join(str(root) for root in stores.roots)}: no models')
    for document, _ in results if not as_json else ():
        if document['ok']:
            click.echo(f'ok   {document["model"]}: {document["detail"]}')
        else:
            click.echo(f'BAD  {document["model"]}: {document["detail"]}', err=True)
    codes = [code for _, code in results if code]
    return 0 if not codes else NOT_FOUND if set(codes) == {NOT_FOUND} else max(codes)


def _verified_entry(listed: LayeredEntry, policy: SignaturePolicy) -> tuple[dict[str, Any], int]:
    entry = listed.entry
    package = entry.package
    if package is not None:
        return _verified(entry.identity, lambda: package, policy)
    model = entry.identity if entry.name else entry.version
    return {'model': model, 'ok': False, 'signature': '', 'detail': entry.reason}, INVALID


def _verified(
    model: str, open_it: Callable[[], ModelPackage], policy: SignaturePolicy
) -> tuple[dict[str, Any], int]:
    document: dict[str, Any] = {'model': model, 'ok': False, 'signature': ''}
    try:
        package = open_it()
        document['model'] = package.identity
        with byte_bar(package.identity) as progress:
            verify_artifacts(package, progress)
        report = check_signature(package, policy)
    except EdgeSegError as error:
        if not isinstance(error, ModelError):  # a key, not a model, is wrong: the same for all
            raise
        document['detail'] = str(error)
        return document, exit_code_of(error)
    files = list(package.manifest.files())
    size = in_bytes(size_of(package.path, package.manifest))
    document |= {'ok': True, 'signature': report.state, 'key_id': report.key_id}
    counted = '1 file' if len(files) == 1 else f'{len(files)} files'
    document['detail'] = f'{counted}, {size}, {signature_in_words(report)}'
    return document, 0


def _entry_row(listed: LayeredEntry) -> list[str]:
    entry, where = listed.entry, listed.origin.value
    formats, size = '', ''
    if entry.package is not None:
        manifest = entry.package.manifest
        formats = ', '.join(a.format.value for a in manifest.artifacts)
        size = in_bytes(size_of(entry.path, manifest))
    signed = 'yes' if entry.signed else 'no'
    labels = ', '.join(entry.labels)
    state = f'hidden by {entry.identity} of the store' if listed.hidden else 'ok'
    state = entry.reason or state
    return [entry.name or '-', entry.version, where, labels, formats, size, signed, state]


def _entry_document(listed: LayeredEntry) -> dict[str, Any]:
    entry = listed.entry
    document: dict[str, Any] = {
        'name': entry.name,
        'version': entry.version,
        'where': listed.origin.value,
        'hidden': listed.hidden,
        'path': str(entry.path),
        'ok': entry.package is not None,
        'reason': entry.reason,
        'labels': list(entry.labels),
        'signed': entry.signed,
    }
    if entry.package is not None:
        document |= {
            'formats': [a.format.value for a in entry.package.manifest.artifacts],
            'size': size_of(entry.path, entry.package.manifest),
            'manifest_sha256': entry.package.manifest_sha256,
        }
    return document


def _package_pairs(package: ModelPackage) -> list[tuple[str, str]]:
    manifest, spec = package.manifest, package.manifest.spec
    source, result, resize = spec.input, spec.output, spec.input.resize
    changed = datetime.fromtimestamp(package.path.stat().st_mtime, timezone.utc)
    size = f'{source.size.width}x{source.size.height}'
    normalisation = 'in the artifact'
    if source.dtype != 'uint8':
        mean, std = _numbers(source.mean), _numbers(source.std)
        normalisation = f'(pixel / {source.scale:g} - {mean}) / {std}'
    pairs = [
        ('model', package.identity),
        ('path', str(package.path)),
        ('manifest sha256', package.manifest_sha256),
        ('published', changed.strftime('%Y-%m-%d %H:%M UTC')),
        ('description', ' '.join(manifest.description.split())),
        ('licence', manifest.licence),
        ('input', f'{source.name} {size} {source.layout} {source.dtype} {source.color_order}'),
        ('normalisation', normalisation),
        ('resize', f'{resize.mode.value}, pad {resize.pad_value}, {resize.anchor}'),
        ('output', f'{result.name} {result.layout} {result.kind.value}'),
        ('resample', result.resample),
        ('classes', ', '.join(f'{i} {c.name}' for i, c in enumerate(spec.classes))),
    ]
    pairs += [
        (artifact.format.value, ', '.join(file.path for file in artifact.files))
        for artifact in manifest.artifacts
    ]
    if manifest.golden is not None:
        needed = f'{manifest.golden.minimum_agreement:.0%} agreement'
        pairs.append(('golden sample', f'{manifest.golden.image.path}, {needed}'))
    pairs += [(name, ' '.join(value.split())) for name, value in manifest.provenance.fields]
    pairs += [(name, f'{value:g}') for name, value in manifest.provenance.metrics]
    return [(name, value) for name, value in pairs if value]


def _package_document(package: ModelPackage) -> dict[str, Any]:
    return {
        'model': package.identity,
        'path': str(package.path),
        'manifest_sha256': package.manifest_sha256,
        'manifest': _manifest_document(package.manifest),
    }


def _manifest_document(manifest: Manifest) -> dict[str, Any]:
    from edge_seg.models.manifest_writer import manifest_document

    return manifest_document(manifest)


def _numbers(values: tuple[float, ...]) -> str:
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
