"""``edge_seg model import``: from somebody's trained network to a model in the store."""

from pathlib import Path
from typing import Any, TYPE_CHECKING

import click
from edge_seg.cli.model.network import given_options, network_options, pair
from edge_seg.cli.model.progress import counting, step_bar
from edge_seg.cli.view import in_bytes, json_option, show_json, show_table, stores_option
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.imports.presets import label_sets, normalisations

if TYPE_CHECKING:
    from edge_seg.offline.imports.importing import ImportedModel

LONGEST_VALUE = 60


def _show_presets(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    rows = [['--normalise', name, entry.about] for name, entry in normalisations().items()]
    rows += [['--classes', name, labels.about] for name, labels in label_sets().items()]
    show_table(['OPTION', 'PRESET', 'WHAT IT IS'], rows)
    context.exit()


@click.command('import')
@click.argument('source')
@stores_option
@click.option('--name', default='', help='Name in the store; default: from the file name.')
@click.option('--version', default='', help='Default: the one after the highest.')
@click.option('--licence', '--license', default='', help='SPDX identifier or short text.')
@click.option('--description', default='', help='Free text.')
@click.option('--provenance', multiple=True, metavar='KEY=VALUE', help='May be repeated.')
@click.option('--key', type=click.Path(path_type=Path), help='Sign with this private key.')
@click.option('--label', default='', help='Let this label mean the new version.')
@click.option('--dry-run', is_flag=True, help='Do everything but publish.')
@click.option(
    '--presets',
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_presets,
    help='List normalisations and label sets, and exit.',
)
@network_options
@json_option
def import_(
    source: str,
    stores: LayeredStore,
    provenance: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Import the network SOURCE, check it, and publish it.

    SOURCE is an .onnx, .xml (OpenVINO), .tflite, .pt2 (torch.export) or .pt (TorchScript) file,
    or module:function or file.py:function, which returns a torch.nn.Module. What the file does
    not say is assumed; the table names the option that changes it.
    """
    # PyTorch and OpenVINO take seconds to import: after the options were parsed, not before.
    from edge_seg.offline.imports.importing import import_model, ImportRequest

    request = ImportRequest(
        source=source,
        options=given_options(given),
        name=given['name'],
        version=given['version'],
        licence=given['licence'],
        description=given['description'],
        provenance=tuple(pair(text) for text in provenance),
        key=given['key'],
        label=given['label'],
    )
    with step_bar('reading', counted='bytes') as move:
        imported = import_model(
            request,
            stores,
            publish=not dry_run,
            on_step=lambda step: move and move(step, 0, 0),
            progress=counting(move, 'publishing'),
        )
    if as_json:
        show_json(_document(imported))
    else:
        _show(imported)


def _show(imported: 'ImportedModel') -> None:
    spec = imported.spec
    source, result = spec.input, spec.output
    size = f'{source.size.width}x{source.size.height}'
    rows = [
        ['input', f'{source.name} {size} {source.layout} {source.dtype}', ''],
        ['output', f'{result.name} {result.layout}', ''],
    ]
    for answer in imported.answers:
        how = 'assumed: ' if answer.assumed else '' if answer.because == 'given' else 'read: '
        rows.append([answer.option, _shortened(answer.value), f'{how}{answer.because}'])
    show_table(['WHAT', 'IS', 'FROM'], rows)
    for change in imported.changes:
        click.echo(f'changed: {change}')
    for check in imported.trial.checks:
        click.echo(f'checked: {check}')
    for note in imported.trial.notes:
        click.echo(f'look: {note}')
    options = [answer.option for answer in imported.answers if answer.assumed]
    if options:
        click.echo(f'look at what is assumed; to change it, pass {", ".join(options)}')
    what = f'{spec.name}@{spec.version}'
    if imported.package is None:
        click.echo(f'{what} would be published ({in_bytes(imported.size)}); this was a dry run')
    else:
        click.echo(f'{what} is published in {imported.package.path}')


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f'{text[: LONGEST_VALUE - 1]}…'


def _document(imported: 'ImportedModel') -> dict[str, Any]:
    spec, package = imported.spec, imported.package
    source, result = spec.input, spec.output
    return {
        'model': f'{spec.name}@{spec.version}',
        'path': None if package is None else str(package.path),
        'manifest_sha256': None if package is None else package.manifest_sha256,
        'format': imported.format.value,
        'size': imported.size,
        'input': {
            'name': source.name,
            'width': source.size.width,
            'height': source.size.height,
            'layout': source.layout,
            'dtype': source.dtype,
            'color_order': source.color_order,
        },
        'output': {'name': result.name, 'kind': result.kind.value, 'layout': result.layout},
        'classes': [info.name for info in spec.classes],
        'answers': [
            {
                'option': answer.option,
                'value': answer.value,
                'because': answer.because,
                'assumed': answer.assumed,
            }
            for answer in imported.answers
        ],
        'changes': list(imported.changes),
        'checks': list(imported.trial.checks),
        'notes': list(imported.trial.notes),
    }
