"""What makes a manifest right: the schema, and what no schema can say across fields."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
import json
from pathlib import PurePosixPath
from typing import Any, NamedTuple
import unicodedata

from edge_seg.errors import ManifestInvalid
from edge_seg.models.guarded_yaml import dotted, PathPart, shown
from edge_seg.models.share import share_path
import jsonschema

Document = Mapping[str, Any]
RESERVED_FILES = ('manifest.yaml', 'manifest.sig')
MULTILINE_FIELDS = ('description', 'provenance')


class Finding(NamedTuple):
    """One thing that is wrong: where, what stands there, what should."""

    field: str
    found: str
    expected: str


def check_document(document: Document, *, file: str) -> None:
    """Refuse a document that is not a right manifest.

    Args:
        document: what the YAML says.
        file: name for messages.

    Raises:
        ManifestInvalid: with the first finding, schema before cross-field rules.
        StoreError: the schema is not installed.
    """
    for finding in _findings(document):
        raise ManifestInvalid(
            file=file, field=finding.field, found=finding.found, expected=finding.expected
        )


def _findings(document: Document) -> Iterator[Finding]:
    yield from _schema_findings(document)
    yield from _text_findings(document, [])
    yield from _version_findings(document)
    yield from _input_findings(document['input'])
    yield from _output_findings(document['output'], len(document['classes']))
    yield from _class_findings(document['classes'])
    yield from _artifact_findings(document['artifacts'])
    yield from _path_findings(document)


@lru_cache(maxsize=1)
def _validator() -> Any:
    # Draft 7: Ubuntu 22.04 ships jsonschema 3.2, which knows nothing newer.
    schema = json.loads(share_path('config', 'manifest.schema.json').read_text('utf-8'))
    return jsonschema.Draft7Validator(schema)


def _schema_findings(document: Document) -> Iterator[Finding]:
    # The outermost one explains those inside it; min() keeps the schema's order among equals.
    errors = _validator().iter_errors(document)
    error = min(errors, key=lambda error: len(error.absolute_path), default=None)
    if error is None:
        return
    path: list[PathPart] = list(error.absolute_path)
    expected = str(error.schema.get('description', error.message))
    if error.validator == 'required':
        missing = next(name for name in error.validator_value if name not in error.instance)
        rules = error.schema['properties'][missing]
        yield Finding(dotted([*path, missing]), 'nothing', _description(rules))
    elif error.validator == 'additionalProperties' and error.validator_value is False:
        known = list(error.schema['properties'])
        extra = next(name for name in error.instance if name not in known)
        yield Finding(dotted([*path, extra]), 'an unknown field', f'one of {", ".join(known)}')
    else:
        yield Finding(dotted(path), shown(error.instance), expected)


def _description(rules: Mapping[str, Any]) -> str:
    reference = str(rules.get('$ref', ''))
    if reference:
        rules = _validator().schema['definitions'][reference.rsplit('/', 1)[-1]]
    return str(rules.get('description', 'a value'))


def _text_findings(value: object, path: list[PathPart]) -> Iterator[Finding]:
    """Control characters would reach terminals, logs and file names."""
    if isinstance(value, str):
        allowed = '\n\t' if path and path[0] in MULTILINE_FIELDS else ''
        if any(unicodedata.category(c) in ('Cc', 'Cs') and c not in allowed for c in value):
            yield Finding(dotted(path), shown(value), 'text without control characters')
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _text_findings(name, [*path, '(a key)'])
            yield from _text_findings(child, [*path, name])
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _text_findings(child, [*path, index])
    elif isinstance(value, float) and abs(value) == float('inf'):
        yield Finding(dotted(path), shown(value), 'a finite number')


def _version_findings(document: Document) -> Iterator[Finding]:
    # JSON Schema takes 1.0 for an integer; the writer of `version: 1.0` meant something else.
    if isinstance(document['version'], float):
        expected = 'an integer or MAJOR.MINOR.PATCH'
        yield Finding('version', shown(document['version']), expected)


def _input_findings(spec: Document) -> Iterator[Finding]:
    channels = 1 if spec.get('color_order') == 'gray' else 3
    for name, neutral in (('mean', 0), ('std', 1)):
        if name not in spec:
            continue
        if len(spec[name]) != channels:
            order = spec.get('color_order', 'rgb')
            found = f'{len(spec[name])} numbers'
            yield Finding(f'input.{name}', found, f'{channels}, one per channel of {order}')
        if spec.get('dtype') == 'uint8' and any(value != neutral for value in spec[name]):
            expected = f'no {name}: an artifact that takes uint8 normalises by itself'
            yield Finding(f'input.{name}', shown(spec[name]), expected)


def _output_findings(spec: Document, class_count: int) -> Iterator[Finding]:
    kind = spec['kind']
    one_channel = kind in ('sigmoid', 'sigmoid_logits')
    layout = spec.get('layout', 'NCHW')
    if kind in ('logits', 'probabilities') and layout not in ('NCHW', 'NHWC'):
        yield Finding('output.layout', layout, f'NCHW or NHWC with kind {kind}')
    if kind == 'labels' and spec.get('resample') == 'logits':
        yield Finding('output.resample', 'logits', 'labels: a label output has no scores')
    if one_channel and class_count != 2:
        yield Finding('classes', f'{class_count} classes', f'two, as output.kind is {kind}')
    ignore = spec.get('ignore_id')
    if ignore is None:
        return
    if kind != 'labels':
        yield Finding('output.ignore_id', shown(ignore), f'none with kind {kind}')
    if 0 <= ignore < class_count:
        expected = f'an id that is no class (there are {class_count})'
        yield Finding('output.ignore_id', shown(ignore), expected)


def _class_findings(classes: Sequence[Document]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(classes):
        name = entry['name'].strip()
        if not name:
            yield Finding(f'classes[{index}].name', shown(entry['name']), 'a name')
        if name in seen:
            expected = f'a name of its own (classes[{seen[name]}] has it)'
            yield Finding(f'classes[{index}].name', shown(name), expected)
        seen[name] = index


def _artifact_findings(artifacts: Sequence[Document]) -> Iterator[Finding]:
    formats: set[str] = set()
    for index, artifact in enumerate(artifacts):
        kind = artifact['format']
        if kind in formats:
            yield Finding(f'artifacts[{index}].format', kind, 'each format once')
        formats.add(kind)
        suffixes = [PurePosixPath(entry['path']).suffix for entry in artifact['files']]
        if kind == 'openvino_ir' and (suffixes[0] != '.xml' or '.bin' not in suffixes[1:]):
            names = ', '.join(entry['path'] for entry in artifact['files'])
            yield Finding(f'artifacts[{index}].files', names, 'the .xml first, then its .bin')
        if kind == 'tensorrt_engine':
            yield from _engine_findings(index, artifact)
        elif kind not in ('onnx', 'openvino_ir') and len(suffixes) != 1:
            yield Finding(f'artifacts[{index}].files', f'{len(suffixes)} files', 'one')


def _engine_findings(index: int, artifact: Document) -> Iterator[Finding]:
    engine, *others = (entry['path'] for entry in artifact['files'])
    if others and others != [f'{engine}.json']:
        expected = f'the engine, and at most its record {engine}.json'
        yield Finding(f'artifacts[{index}].files', ', '.join([engine, *others]), expected)


def _path_findings(document: Document) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for field, path in _paths(document):
        problem = path_problem(path)
        if problem:
            yield Finding(field, shown(path), problem)
        folded = path.casefold()
        if folded in seen:
            yield Finding(field, shown(path), f'a file of its own ({seen[folded]} has it)')
        seen[folded] = field


def _paths(document: Document) -> Iterator[tuple[str, str]]:
    for i, artifact in enumerate(document['artifacts']):
        for j, entry in enumerate(artifact['files']):
            yield f'artifacts[{i}].files[{j}].path', entry['path']
    for name in ('image', 'labels'):
        if 'golden' in document:
            yield f'golden.{name}.path', document['golden'][name]['path']


def path_problem(path: str) -> str:
    """Say what a file's path inside a model's folder should be, '' when it is right."""
    parts = path.split('/')
    if path.startswith('/') or '\\' in path or ':' in parts[0]:
        return "a relative path with '/' between its parts"
    if any(part in ('', '.', '..') for part in parts):
        return "a path without '..', '.' and empty parts"
    if any(part.startswith('.') for part in parts):
        return 'a path without hidden files or folders'
    if len(parts) > 4 or any(len(part.encode('utf-8', 'replace')) > 200 for part in parts):
        return 'at most 4 parts of at most 200 bytes'
    if path.casefold() in RESERVED_FILES:
        return f'another name ({path} is reserved)'
    return ''
