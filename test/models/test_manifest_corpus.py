"""Manifests that are wrong: each is refused with the field, what was found and expected."""

from collections.abc import Callable
import copy
import os
from pathlib import Path
import resource
import time
from typing import Any

from edge_seg.errors import ManifestInvalid
from edge_seg.models.guarded_yaml import MAX_BYTES
from edge_seg.models.manifest import load_manifest, Manifest, parse_manifest
from hypothesis import given
from hypothesis import strategies as st
import pytest
import yaml

MISSING = object()

# Dotted path of the field that is changed, its new value, the field named, text of the message.
WRONG_FIELDS = [
    ('name', '', 'name', "found ''; expected 1 to 64 letters"),
    ('name', '../floor', 'name', '1 to 64 letters'),
    ('name', '.hidden', 'name', '1 to 64 letters'),
    ('name', 'a' * 65, 'name', '1 to 64 letters'),
    ('name', 'floor\n', 'name', 'without control characters'),
    ('name', 'sol\u00e9', 'name', '1 to 64 letters'),
    ('name', 7, 'name', 'found 7; expected 1 to 64 letters'),
    ('name', MISSING, 'name', 'found nothing'),
    ('schema', 2, 'schema', 'found 2; expected 1, the version'),
    ('schema', MISSING, 'schema', 'found nothing; expected 1'),
    ('version', 1.0, 'version', 'found 1.0; expected an integer'),
    ('version', 1.1, 'version', 'found 1.1; expected an integer'),
    ('version', '1.2', 'version', "found '1.2'"),
    ('version', '1.2.3.4', 'version', "found '1.2.3.4'"),
    ('version', '01.2.3', 'version', 'no leading zeros'),
    ('version', 'v1', 'version', "found 'v1'"),
    ('version', 'latest', 'version', "found 'latest'"),
    ('version', -1, 'version', 'found -1'),
    ('version', 10**9, 'version', 'found 1000000000'),
    ('version', '\u0661.2.3', 'version', 'expected an integer'),
    ('version', True, 'version', 'found true'),
    ('version', None, 'version', 'found nothing'),
    ('licence', MISSING, 'licence', 'found nothing; expected the licence'),
    ('licence', '', 'licence', "found ''"),
    ('description', 'x\x1b[31m', 'description', 'without control characters'),
    ('description', ['a'], 'description', 'found a list of 1'),
    ('surprise', 1, 'surprise', 'an unknown field; expected one of schema, name'),
    ('artifacts', MISSING, 'artifacts', 'found nothing'),
    ('artifacts', [], 'artifacts', 'found a list of 0'),
    ('artifacts', 'floor.onnx', 'artifacts', "found 'floor.onnx'; expected a list"),
    ('artifacts[0].format', 'pytorch', 'artifacts[0].format', 'onnx, openvino_ir, tflite'),
    ('artifacts[0].files', [], 'artifacts[0].files', 'found a list of 0'),
    ('artifacts[0].files[0].path', MISSING, 'artifacts[0].files[0].path', 'found nothing'),
    ('artifacts[0].files[0].path', '/etc/passwd', 'artifacts[0].files[0].path', 'relative'),
    ('artifacts[0].files[0].path', '../x.onnx', 'artifacts[0].files[0].path', "without '..'"),
    ('artifacts[0].files[0].path', 'a/../../x', 'artifacts[0].files[0].path', "without '..'"),
    ('artifacts[0].files[0].path', 'a//x', 'artifacts[0].files[0].path', 'empty parts'),
    ('artifacts[0].files[0].path', './x', 'artifacts[0].files[0].path', "'.'"),
    ('artifacts[0].files[0].path', 'a\\x', 'artifacts[0].files[0].path', "'/' between"),
    ('artifacts[0].files[0].path', 'C:x', 'artifacts[0].files[0].path', 'relative'),
    ('artifacts[0].files[0].path', '.x', 'artifacts[0].files[0].path', 'hidden'),
    ('artifacts[0].files[0].path', 'a/b/c/d/x', 'artifacts[0].files[0].path', '4 parts'),
    ('artifacts[0].files[0].path', 'manifest.yaml', 'artifacts[0].files[0].path', 'reserved'),
    ('artifacts[0].files[0].path', 'Manifest.sig', 'artifacts[0].files[0].path', 'reserved'),
    ('artifacts[0].files[0].path', 'x\x00', 'artifacts[0].files[0].path', 'control characters'),
    ('artifacts[0].files[0].path', 'x' * 300, 'artifacts[0].files[0].path', 'relative path'),
    ('artifacts[0].files[0].sha256', 'A' * 64, 'artifacts[0].files[0].sha256', 'lower-case'),
    ('artifacts[0].files[0].sha256', 'a' * 63, 'artifacts[0].files[0].sha256', '64'),
    ('artifacts[0].files[0].sha256', MISSING, 'artifacts[0].files[0].sha256', 'found nothing'),
    ('artifacts[0].files[0].size', 0, 'artifacts[0].files[0].size', 'found 0; expected the file'),
    ('artifacts[0].files[0].size', 2**62, 'artifacts[0].files[0].size', 'length in bytes'),
    ('input', MISSING, 'input', 'found nothing; expected a mapping that says what the network'),
    ('input', None, 'input', 'found nothing'),
    ('input.nmae', 'x', 'input.nmae', 'an unknown field; expected one of name, width'),
    ('input.name', '', 'input.name', "found ''"),
    ('input.width', 0, 'input.width', 'found 0; expected pixels, 8 to 8192'),
    ('input.width', 10**12, 'input.width', 'found 1000000000000; expected pixels'),
    ('input.height', 2.5, 'input.height', 'found 2.5; expected pixels'),
    ('input.layout', 'CHW', 'input.layout', "found 'CHW'; expected NCHW or NHWC"),
    ('input.dtype', 'float64', 'input.dtype', 'float32, float16'),
    ('input.color_order', 'yuv', 'input.color_order', 'rgb, bgr or gray'),
    ('input.mean', [0.5], 'input.mean', 'found 1 numbers; expected 3, one per channel of rgb'),
    ('input.mean', ['a', 'b', 'c'], 'input.mean[0]', "found 'a'; expected a number"),
    ('input.std', [1, 0, 1], 'input.std[1]', 'found 0; expected a number above zero'),
    ('input.std', [1, 1], 'input.std', 'expected 3'),
    ('input.mean', [float('nan')] * 3, 'input.mean[0]', 'expected a number'),
    ('input.scale', float('inf'), 'input.scale', 'expected a number'),
    ('input.scale', 0, 'input.scale', 'found 0; expected a number above zero'),
    ('input.resize', {'mode': 'zoom'}, 'input.resize.mode', 'stretch, letterbox or center_crop'),
    ('input.resize', {'pad_value': 256}, 'input.resize.pad_value', 'a gray level'),
    ('output.kind', 'softmax', 'output.kind', 'logits, probabilities'),
    ('output.kind', MISSING, 'output.kind', 'found nothing'),
    ('output.layout', 'HW', 'output.layout', 'found HW; expected NCHW or NHWC with kind logits'),
    ('output.threshold', 1, 'output.threshold', 'found 1; expected a probability'),
    ('output.threshold', 0, 'output.threshold', 'found 0; expected a probability'),
    ('output.ignore_id', 255, 'output.ignore_id', 'none with kind logits'),
    ('classes', [], 'classes', 'found a list of 0; expected a list of 1 to 65535'),
    ('classes[1].name', 'other', 'classes[1].name', r'classes\[0\] has it'),
    ('classes[1].name', ' ', 'classes[1].name', 'expected a name'),
    ('classes[1].name', False, 'classes[1].name', 'found false; expected text'),
    ('classes[1].color', [0, 0], 'classes[1].color', 'found a list of 2; expected three'),
    ('classes[1].color', [0, 0, 256], 'classes[1].color[2]', 'found 256'),
    ('classes[1].color', 'red', 'classes[1].color', "found 'red'"),
    ('provenance', {'by': {'deep': 1}}, 'provenance.by', 'found a mapping of 1'),
    ('provenance', {'metrics': {'miou': 'high'}}, 'provenance.metrics.miou', "found 'high'"),
    ('golden', {'image': 'x.png'}, 'golden', ''),
]


def changed(document: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    """Set a field given as 'classes[1].name', or take it away."""
    keys = [
        int(key) if key.isdecimal() else key
        for key in field.replace('[', '.').replace(']', '').split('.')
    ]
    place: Any = document
    for key in keys[:-1]:
        place = place[key]
    if value is MISSING:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return document


def parsed(document: dict[str, Any]) -> Manifest:
    return parse_manifest(yaml.safe_dump(document).encode(), file='manifest.yaml')


@pytest.mark.parametrize(('field', 'value', 'named', 'message'), WRONG_FIELDS)
def test_a_wrong_field_is_named(
    document: dict[str, Any], field: str, value: object, named: str, message: str
) -> None:
    with pytest.raises(ManifestInvalid, match=message) as caught:
        parsed(changed(document, field, value))
    assert caught.value.field.startswith(named)
    assert caught.value.found
    assert caught.value.expected
    assert str(caught.value).startswith('manifest.yaml: ')
    assert '\n' not in str(caught.value)


CONTRADICTIONS: list[tuple[dict[str, object], str, str]] = [
    ({'output.kind': 'sigmoid', 'classes': [{'name': 'a', 'color': [0, 0, 0]}]}, 'classes', 'two'),
    ({'output.kind': 'labels', 'output.resample': 'logits'}, 'output.resample', 'no scores'),
    ({'output.kind': 'labels', 'output.ignore_id': 1}, 'output.ignore_id', 'no class'),
    ({'input.dtype': 'uint8', 'input.mean': [0.5] * 3}, 'input.mean', 'normalises by itself'),
    ({'input.dtype': 'uint8', 'input.std': [2, 2, 2]}, 'input.std', 'normalises by itself'),
    ({'input.color_order': 'gray', 'input.mean': [0, 0, 0]}, 'input.mean', 'channel of gray'),
]


@pytest.mark.parametrize(('changes', 'named', 'message'), CONTRADICTIONS)
def test_fields_that_contradict_each_other_are_refused(
    document: dict[str, Any], changes: dict[str, object], named: str, message: str
) -> None:
    for field, value in changes.items():
        changed(document, field, value)
    with pytest.raises(ManifestInvalid, match=message) as caught:
        parsed(document)
    assert caught.value.field == named


FILE_LISTS = [
    ('onnx', ['a.onnx', 'A.ONNX'], 'a file of its own'),
    ('openvino_ir', ['a.bin', 'a.xml'], 'the .xml first'),
    ('openvino_ir', ['a.xml'], 'then its .bin'),
    ('tflite', ['a.tflite', 'b.tflite'], 'found 2 files; expected one'),
    ('tensorrt_engine', ['a.plan', 'b.plan'], 'at most its record a.plan.json'),
    ('tensorrt_engine', ['a.plan', 'a.plan.json', 'b'], 'at most its record a.plan.json'),
]


@pytest.mark.parametrize(('artifact_format', 'paths', 'message'), FILE_LISTS)
def test_files_that_do_not_make_up_an_artifact_are_refused(
    document: dict[str, Any], artifact_format: str, paths: list[str], message: str
) -> None:
    files = [{'path': path, 'sha256': 'a' * 64} for path in paths]
    document['artifacts'] = [{'format': artifact_format, 'files': files}]
    with pytest.raises(ManifestInvalid, match=message):
        parsed(document)


def test_a_format_given_twice_is_refused(document: dict[str, Any]) -> None:
    document['artifacts'].append(copy.deepcopy(document['artifacts'][0]))
    with pytest.raises(ManifestInvalid, match='each format once'):
        parsed(document)


BOMB = 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
    f'{b}: &{b} [{",".join([f"*{a}"] * 9)}]\n' for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
)
WRONG_TEXTS = [
    (b'', 'found nothing; expected a mapping'),
    (b'- 1\n- 2\n', 'found a list of 2; expected a mapping'),
    (b'just text', "found 'just text'; expected a mapping"),
    (b'42', 'found 42; expected a mapping'),
    (b'name: [unclosed', r'expected YAML'),
    (b'name: "unclosed', r'expected YAML'),
    (b'name:\n\t- tab', 'expected YAML'),
    (b'a: 1\n---\na: 2\n', 'expected YAML'),
    (b'\xff\xfe\x00', 'not UTF-8'),
    ('name: floor'.encode('utf-16'), 'not UTF-8'),
    (b'name: a\x00b', 'expected YAML'),
    (b'\x7fELF\x02\x01\x01', 'expected YAML'),
    (b'name: a\nname: b\n', r'name: found the key twice \(lines 1 and 2\)'),
    (b'input: {name: a, name: b}', 'input.name: found the key twice'),
    (b'classes: [{name: a, name: b}]', r'classes\[0\].name: found the key twice'),
    (b'1: a', 'a key that is not text'),
    (b'null: a', 'a key that is not text'),
    (b'[a]: a', 'a key that is not text'),
    (b'{a: b}: a', 'a key that is not text'),
    (BOMB.encode(), r'b\[0\]: found an alias \(line 2\)'),
    (b'a: &a [*a]', 'found an alias'),
    (b'a: &a {b: 1}\nc: {<<: *a}', 'found an alias'),
    (b'<<: {a: 1}', '<<: found an unknown field'),
    (b'a: !!python/object/apply:os.system ["true"]', 'a: found the tag'),
    (b'a: !custom x', "found the tag '!custom'"),
    (b'!!set {a}', 'found the tag'),
    (b'a: !!float x', 'found the tag'),
    (b'[' * 5000, r'found nesting \(line 1\); expected at most 12 levels'),
    (b'a: ' + b'{b: ' * 2000, 'expected at most 12 levels'),
    (b'- ' * 3000 + b'x', 'expected at most 12 levels'),
    (b'a: ' + b'9' * 9000, 'found a value of 9000 characters'),
    (b'version: ' + b'9' * 8000, 'version'),
    (b'version: 1e999', 'version'),
    (b'a' * (MAX_BYTES + 1), f'found {MAX_BYTES + 1} bytes'),
]


@pytest.mark.parametrize(('text', 'message'), WRONG_TEXTS)
def test_a_text_that_is_no_plain_mapping_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message) as caught:
        parse_manifest(text, file='manifest.yaml')
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_bomb_costs_nothing() -> None:
    begin_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ManifestInvalid):
        parse_manifest(BOMB.encode(), file='bomb.yaml')
    assert time.monotonic() - begin_s < 2.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def truncations(text: bytes) -> list[bytes]:
    return [text[:length] for length in range(0, len(text), 7)]


def test_a_truncated_manifest_is_never_taken_for_a_whole_one(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document).encode()
    whole = parse_manifest(text, file='manifest.yaml')
    for part in truncations(text):
        try:
            manifest = parse_manifest(part, file='manifest.yaml')
        except ManifestInvalid:
            continue
        # Cut inside the last field it may still be right; then only that one differs.
        assert manifest.spec.classes == whole.spec.classes
        assert manifest.artifacts == whole.artifacts


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_garbage_raises_nothing_but_our_own_error(text: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(text, file='manifest.yaml')


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TOP_FIELDS = ['schema', 'artifacts', 'input', 'output', 'classes', 'provenance', 'golden']


@given(field=st.sampled_from(TOP_FIELDS), value=values)
def test_any_value_in_any_field_is_taken_or_refused_with_our_own_error(
    field: str, value: object
) -> None:
    document = yaml.safe_load(Path(__file__).with_name('data').joinpath('words.yaml').read_text())
    document[field] = value
    try:
        reference = parsed(document).reference
    except ManifestInvalid as refusal:
        reference = refusal.file
    assert reference in ('words@1', 'manifest.yaml')


def link(path: Path) -> None:
    path.with_name('elsewhere').write_text('name: x')
    path.symlink_to('elsewhere')


def huge(path: Path) -> None:
    with path.open('wb') as stream:
        stream.truncate(1 << 40)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (link, 'found a symbolic link'),
        (os.mkfifo, 'found no regular file'),
        (Path.mkdir, 'found no regular file'),
        (huge, 'found 1099511627776 bytes'),
    ],
)
def test_what_is_no_ordinary_file_is_not_read(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / 'manifest.yaml'
    make(path)
    with pytest.raises(ManifestInvalid, match=message):
        load_manifest(path)
