"""What a right manifest means, and that writing one loses nothing."""

from pathlib import Path
from typing import Any

from edge_seg.core.values import (
    ArtifactFormat,
    ClassInfo,
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    ResizeMode,
    ResizeRule,
    Size,
)
from edge_seg.errors import ManifestInvalid
from edge_seg.models.manifest import (
    Artifact,
    ArtifactFile,
    GoldenSample,
    load_manifest,
    Manifest,
    parse_manifest,
    Provenance,
)
from edge_seg.models.manifest_writer import dump_manifest
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import yaml


def parsed(document: dict[str, Any]) -> Manifest:
    return parse_manifest(yaml.safe_dump(document).encode(), file='manifest.yaml')


def test_what_is_left_out_has_the_defaults_of_the_specification(document: dict[str, Any]) -> None:
    spec = parsed(document).spec
    assert spec.input == InputSpec(name='image', size=Size(512, 288))
    assert spec.output == OutputSpec(name='scores')


def test_every_field_reaches_its_place(document: dict[str, Any]) -> None:
    document['version'] = '1.2.3'
    document['input'] |= {
        'layout': 'NHWC',
        'dtype': 'float16',
        'color_order': 'gray',
        'mean': [0.5],
        'std': [0.25],
        'scale': 1,
        'resize': {'mode': 'letterbox', 'pad_value': 0, 'anchor': 'top_left'},
    }
    document['output'] = {
        'name': 'mask',
        'kind': 'labels',
        'layout': 'HW',
        'ignore_id': 255,
    }
    manifest = parsed(document)
    assert manifest.reference == 'floor@1.2.3'
    assert manifest.spec == ModelSpec(
        name='floor',
        version='1.2.3',
        input=InputSpec(
            name='image',
            size=Size(512, 288),
            layout='NHWC',
            dtype='float16',
            color_order='gray',
            mean=(0.5,),
            std=(0.25,),
            scale=1.0,
            resize=ResizeRule(ResizeMode.LETTERBOX, pad_value=0, anchor='top_left'),
        ),
        output=OutputSpec(name='mask', kind=OutputKind.LABELS, layout='HW', ignore_id=255),
        classes=(ClassInfo('other', (0, 0, 0)), ClassInfo('floor', (0, 200, 0))),
    )


def test_a_gray_model_has_one_mean_by_default(document: dict[str, Any]) -> None:
    document['input']['color_order'] = 'gray'
    assert parsed(document).spec.input.mean == (0.0,)


def test_the_main_file_of_an_ir_is_the_xml(document: dict[str, Any]) -> None:
    files = [{'path': f'ir/floor.{end}', 'sha256': '0' * 63 + end[0]} for end in ('bin', 'xml')]
    files[1]['sha256'] = 'f' * 64
    document['artifacts'].append({'format': 'openvino_ir', 'files': files[::-1]})
    artifact = parsed(document).artifact(ArtifactFormat.OPENVINO_IR)
    assert artifact is not None
    assert artifact.main.path == 'ir/floor.xml'
    assert parsed(document).artifact(ArtifactFormat.TFLITE) is None


def test_files_of_the_golden_sample_belong_to_the_model(document: dict[str, Any]) -> None:
    document['golden'] = {
        'image': {'path': 'golden/image.png', 'sha256': 'a' * 64},
        'labels': {'path': 'golden/labels.png', 'sha256': 'b' * 64},
    }
    manifest = parsed(document)
    assert [file.path for file in manifest.files()][1:] == [
        'golden/image.png',
        'golden/labels.png',
    ]
    assert manifest.golden is not None
    assert manifest.golden.minimum_agreement == 0.95


def test_words_that_yaml_1_1_takes_for_something_else_stay_words() -> None:
    text = Path(__file__).with_name('data').joinpath('words.yaml').read_bytes()
    manifest = parse_manifest(text, file='words.yaml')
    assert [info.name for info in manifest.spec.classes] == ['no', 'off', 'y', '1:30', '010']
    assert manifest.spec.input.std == (0.001, 1.0, 20.0)
    assert dict(manifest.provenance.fields) == {'date': '2026-01-01', 'augmented': 'true'}
    assert manifest.provenance.metrics == (('miou', 0.9),)


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match='manifest.yaml: found No such file') as caught:
        load_manifest(tmp_path / 'manifest.yaml')
    assert caught.value.file == str(tmp_path / 'manifest.yaml')


names = st.from_regex(r'[A-Za-z0-9][A-Za-z0-9._-]{0,20}', fullmatch=True)
words = st.text(st.characters(blacklist_categories=('Cc', 'Cs')), min_size=1, max_size=40)
digests = st.from_regex(r'[0-9a-f]{64}', fullmatch=True)
numbers = st.floats(-1000, 1000)
above_zero = st.floats(1e-6, 1000)
triples = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    labels = draw(st.lists(words.map(str.strip).filter(bool), min_size=2, max_size=6, unique=True))
    return Manifest(
        spec=ModelSpec(
            name=draw(names),
            version=draw(st.sampled_from(['0', '7', '0.0.1', '10.20.30'])),
            input=InputSpec(
                name=draw(words),
                size=Size(draw(st.integers(8, 8192)), draw(st.integers(8, 8192))),
                mean=draw(st.tuples(numbers, numbers, numbers)),
                std=draw(st.tuples(above_zero, above_zero, above_zero)),
                scale=draw(above_zero),
                resize=ResizeRule(draw(st.sampled_from(ResizeMode)), draw(st.integers(0, 255))),
            ),
            output=OutputSpec(name=draw(words), threshold=draw(st.floats(0.01, 0.99))),
            classes=tuple(ClassInfo(label, draw(triples)) for label in labels),
        ),
        artifacts=(
            Artifact(ArtifactFormat.ONNX, (ArtifactFile('a.onnx', draw(digests), 1),)),
            Artifact(ArtifactFormat.TFLITE, (ArtifactFile('a.tflite', draw(digests)),)),
        ),
        licence=draw(words),
        description=draw(words) + '\n\tmore',
        provenance=Provenance(((draw(names.filter(lambda n: n != 'metrics')), draw(words)),)),
        golden=GoldenSample(
            ArtifactFile('g.png', draw(digests)), ArtifactFile('l.png', draw(digests)), 0.5
        ),
    )


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_a_written_manifest_reads_back_the_same(manifest: Manifest) -> None:
    assert parse_manifest(dump_manifest(manifest), file='manifest.yaml') == manifest


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_other_yaml_readers_see_the_same_texts(manifest: Manifest) -> None:
    document = yaml.safe_load(dump_manifest(manifest))
    assert document['name'] == manifest.spec.name
    assert [c['name'] for c in document['classes']] == [c.name for c in manifest.spec.classes]
    assert document['licence'] == manifest.licence
