"""``edge_seg model add``: from a model file to a published version with a manifest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import sys
from typing import Any

import click
from edge_seg.backends.file_info import FoundTensor
from edge_seg.cli.model.assemble import assemble, DEFAULT_AGREEMENT, Extras, FORMATS
from edge_seg.cli.model.engine import engine_facts
from edge_seg.cli.model.network import given_options, network_options, pair
from edge_seg.cli.model.progress import byte_bar
from edge_seg.cli.model.questions import TerminalInterview
from edge_seg.cli.view import json_option, show_json, stores_option
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.models.labels import check_label
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import MANIFEST_NAME
from edge_seg.models.package import ModelPackage
from edge_seg.models.publication import Submission, submission_from
from edge_seg.models.signature import ed25519_signature, encoded
from edge_seg.offline.imports.answers import Question, to_text
from edge_seg.offline.imports.draft import draft
from edge_seg.offline.imports.naming import default_name, next_version


@click.command()
@click.argument('source', type=click.Path(exists=True, path_type=Path))
@stores_option
@click.option('--name', help='Name in the store; default: from the file name.')
@click.option('--version', help='Default: the one after the highest.')
@click.option('--licence', '--license', help='SPDX identifier or short text.')
@click.option('--description', default='', help='Free text.')
@click.option('--provenance', multiple=True, metavar='KEY=VALUE', help='May be repeated.')
@click.option(
    '--with-file',
    'extra_files',
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Further file of the model; external weights are found. May be repeated.',
)
@click.option(
    '--golden',
    nargs=2,
    metavar='IMAGE LABELS',
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='An image and its label PNG, checked when the model warms up.',
)
@click.option(
    '--agreement', type=float, default=DEFAULT_AGREEMENT, help='Share needed on the golden image.'
)
@click.option('--key', type=click.Path(path_type=Path), help='Sign with this private key.')
@click.option('--label', help='Let this label mean the new version.')
@network_options
@json_option
def add(
    source: Path,
    stores: LayeredStore,
    key: Path | None,
    label: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Publish SOURCE: a .onnx, .xml, .tflite or .plan file, or a folder with a manifest.

    Inputs and outputs are read from the file. What it cannot say is asked for on a terminal, and
    has to be given by options elsewhere.
    """
    if label is not None:
        check_label(label)  # afterwards the model would be there, without it
    if source.is_dir() or source.name == MANIFEST_NAME:
        _refuse_options(given)
        submission = submission_from(source if source.is_dir() else source.parent)
    else:
        submission = _submission(source, stores, given)
    if key is not None:
        signature = ed25519_signature(submission.manifest, key)
        submission = replace(submission, signature=encoded(signature))
    with byte_bar('publishing') as progress:
        package = stores.own.publish(submission, progress=progress)
    if label is not None:
        stores.own.set_label(package.manifest.spec.name, label, package.manifest.spec.version)
    _report(package, as_json)


def _submission(source: Path, stores: LayeredStore, given: dict[str, Any]) -> Submission:
    interview = TerminalInterview(interactive=sys.stdin.isatty())
    kind = FORMATS.get(source.suffix.lower())
    if kind is None:
        raise click.UsageError(f'{source.name}: its suffix is none of {", ".join(FORMATS)}')
    inputs, outputs, facts = _read(source, kind)
    question = Question('--name', 'name', to_text, default_name(str(source)))
    name = interview.ask(question, given['name'])
    parts = draft(inputs, outputs, given_options(given), interview)
    licence = interview.ask(
        Question('--licence', 'licence, e.g. Apache-2.0', to_text), given['licence']
    )
    version = interview.ask(
        Question('--version', 'version', to_text, next_version(stores, name or '')),
        given['version'],
    )
    interview.close()
    assert parts is not None
    assert name is not None
    assert version is not None
    assert licence is not None
    spec = ModelSpec(name, version, parts.input, parts.output, parts.classes)
    extras = Extras(
        licence=licence,
        description=given['description'],
        provenance=(*facts, *(pair(text) for text in given['provenance'])),
        files=given['extra_files'],
        golden=given['golden'] or None,
        agreement=given['agreement'],
    )
    with byte_bar('reading') as progress:
        return assemble(source, kind, spec, extras, progress)


def _refuse_options(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value not in (None, '', (), DEFAULT_AGREEMENT):
            raise click.UsageError(f'--{name.replace("_", "-")}: the manifest says it')


def _read(
    source: Path, kind: ArtifactFormat
) -> tuple[Sequence[FoundTensor], Sequence[FoundTensor], tuple[tuple[str, str], ...]]:
    if kind is ArtifactFormat.TENSORRT_ENGINE:
        return (), (), engine_facts(source)
    # OpenVINO takes a second to import: after the options were parsed, not before.
    from edge_seg.backends.inspect import inspect_model

    info = inspect_model(source)
    return info.inputs, info.outputs, ()


def _report(package: ModelPackage, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                'model': package.identity,
                'path': str(package.path),
                'manifest_sha256': package.manifest_sha256,
            }
        )
        return
    click.echo(f'{package.identity} is published in {package.path}')
