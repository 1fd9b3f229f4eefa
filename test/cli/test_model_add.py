"""Adding models: what is read from the file, what is asked for, what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

from command_line import Run
from edge_seg.backends.tensorrt.files.key import BuiltFor, EngineKey, EngineRecord, record_path
from edge_seg.core.values import ClassInfo, OutputKind, ResizeMode, Size
from edge_seg.models.manifest import Manifest
from edge_seg.models.package import verify_artifacts
from edge_seg.models.signature import check_signature, SignaturePolicy
from edge_seg.models.store import ModelStore
from model_files import ANSWERS, write_onnx, write_segmenter
import pytest
import yaml


def published(store_root: Path, reference: str) -> Manifest:
    package = ModelStore(store_root).resolve(reference)
    verify_artifacts(package)
    return package.manifest


def test_inputs_and_outputs_are_read_from_the_file(add: Run, store_root: Path) -> None:
    result = add('--resize', 'center_crop', '--description', 'a test')
    assert result.out == f'floor@1 is published in {store_root}/floor/1\n'
    manifest = published(store_root, 'floor')
    spec = manifest.spec
    assert (spec.input.name, spec.input.size, spec.input.layout) == ('image', Size(64, 32), 'NCHW')
    assert (spec.input.mean, spec.input.std, spec.input.scale) == ((0,) * 3, (1,) * 3, 255)
    assert spec.input.resize.mode is ResizeMode.CENTER_CROP
    assert (spec.output.name, spec.output.kind) == ('scores', OutputKind.LOGITS)
    assert spec.output.layout == 'NCHW'
    assert [info.name for info in spec.classes] == ['other', 'floor']
    assert dict(manifest.provenance.fields)['file'] == 'floor.onnx'
    assert (manifest.licence, manifest.description) == ('MIT', 'a test')


def test_versions_count_up_by_themselves(add: Run, store_root: Path) -> None:
    add()
    add()
    add('--version', '2.5.9')
    add()
    versions = [entry.version for entry in ModelStore(store_root).entries()]
    assert versions == ['1', '2', '2.5.9', '2.5.10']


def test_a_version_that_is_there_is_refused(run: Run, add: Run, onnx_file: Path) -> None:
    add()
    result = run('model', 'add', onnx_file, *ANSWERS, '--version', '1')
    assert result.code == 1
    assert 'floor@1 is in the store already' in result.err


def test_without_a_terminal_every_missing_option_is_named(run: Run, onnx_file: Path) -> None:
    result = run('model', 'add', onnx_file)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    for option in ('--classes', '--kind', '--color-order', '--normalise', '--licence'):
        assert option in result.err
    for known in ('--input-size', '--input-layout', '--output-layout', '--name', '--version'):
        assert known not in result.err


def test_on_a_terminal_only_what_is_not_known_is_asked(
    run: Run, onnx_file: Path, store_root: Path
) -> None:
    # name, layout, size, order, normalisation, resize, classes, layout, kind, resample, licence,
    # version; an empty line takes what is suggested, a wrong answer is asked for again.
    typed = 'my-floor\n\n\nyuv\nbgr\nimagenet\n\nother,floor #00ff00\n\nprobabilities\n\nMIT\n\n'
    result = run('model', 'add', onnx_file, typed=typed)
    assert result.code == 0, result.err
    assert "Error: 'yuv' is none of rgb, bgr" in result.err
    assert result.out.strip() == f'my-floor@1 is published in {store_root}/my-floor/1'
    spec = published(store_root, 'my-floor').spec
    assert spec.input.color_order == 'bgr'
    assert spec.input.mean == (0.485, 0.456, 0.406)
    assert spec.output.kind is OutputKind.PROBABILITIES
    assert spec.classes[1] == ClassInfo('floor', (0, 255, 0))


def test_an_interview_that_is_broken_off_leaves_nothing(
    run: Run, onnx_file: Path, store_root: Path
) -> None:
    result = run('model', 'add', onnx_file, typed='my-floor\n')
    assert result.code == 130
    assert result.err.endswith('edge_seg: interrupted\n')
    assert not store_root.exists()


@pytest.mark.parametrize(
    ('shapes', 'types', 'options', 'expected'),
    [
        (((1, 32, 64, 3), (1, 32, 64, 2)), ('FLOAT', 'FLOAT'), (), ('NHWC', 'NHWC', 'logits')),
        (((1, 32, 64, 3), (1, 32, 64)), ('UINT8', 'INT64'), (), ('NHWC', 'NHW', 'labels')),
        (((1, 3, 32, 64), (32, 64)), ('FLOAT', 'INT32'), (), ('NCHW', 'HW', 'labels')),
        (((1, 3, 32, 64), (1, 1, 32, 64)), ('FLOAT', 'UINT8'), (), ('NCHW', 'NCHW', 'labels')),
        (
            ((1, 3, 32, 64), (1, 1, 32, 64)),
            ('FLOAT', 'FLOAT'),
            ('--kind', 'sigmoid'),
            ('NCHW', 'NCHW', 'sigmoid'),
        ),
        (
            ((1, 3, 'height', 'width'), (1, 2, 'height', 'width')),
            ('FLOAT', 'FLOAT'),
            ('--input-size', '64x32'),
            ('NCHW', 'NCHW', 'logits'),
        ),
    ],
)
def test_layouts_and_kinds_follow_from_shapes_and_types(
    run: Run,
    tmp_path: Path,
    store_root: Path,
    shapes: tuple[Any, Any],
    types: tuple[str, str],
    options: tuple[str, ...],
    expected: tuple[str, str, str],
) -> None:
    path = write_onnx(tmp_path / 'net.onnx', *shapes, image_type=types[0], scores_type=types[1])
    known = ['--classes', 'other,floor', '--color-order', 'rgb', '--licence', 'MIT']
    known += [] if types[0] == 'UINT8' else ['--normalise', 'unit']
    known += [] if expected[2] != 'logits' else ['--kind', 'logits']
    result = run('model', 'add', path, *known, *options)
    assert result.code == 0, result.err
    spec = published(store_root, 'net').spec
    assert spec.input.size == Size(64, 32)
    assert (spec.input.layout, spec.output.layout, spec.output.kind.value) == expected


def test_a_gray_input_has_no_colour_order(run: Run, tmp_path: Path, store_root: Path) -> None:
    path = write_onnx(tmp_path / 'net.onnx', (1, 1, 32, 64))
    words = ('--classes', 'a,b', '--kind', 'logits', '--normalise', 'symmetric', '--licence', 'x')
    assert run('model', 'add', path, *words).code == 0
    spec = published(store_root, 'net').spec
    assert (spec.input.color_order, spec.input.mean) == ('gray', (0.5,))


WRONG_ANSWERS = [
    (('--classes', ''), "--classes: '' names no class"),
    (('--classes', '@/nowhere'), '/nowhere cannot be read'),
    (('--classes', 'a,b,c'), '3 classes for the 2 channels'),
    (('--classes', 'a,a'), r'classes[1].name'),
    (('--kind', 'labels'), "--kind: 'labels' is none of logits, probabilities"),
    (('--color-order', 'yuv'), "--color-order: 'yuv' is none of rgb, bgr"),
    (('--normalise', 'half'), "--normalise: 'half'"),
    (('--normalise', '1,2/1,2'), '2 numbers for 3 channels'),
    (('--normalise', '0,0,0/1,0,1'), 'input.std[1]'),
    (('--input-size', '64'), "'64' is not WIDTHxHEIGHT"),
    (('--input-size', '1x1'), 'input.width: found 1'),
    (('--input-name', 'picture'), "'picture' is none of image"),
    (('--resize', 'zoom'), "'zoom' is none of stretch"),
    (('--name', '../x'), "name: found '../x'"),
    (('--version', '1.0'), "version: found '1.0'"),
    (('--licence', ' '), '--licence: it is empty'),
    (('--provenance', 'me'), "'me' is not KEY=VALUE"),
    (('--agreement', '2', '--golden', '/etc/hostname', '/etc/hosts'), 'minimum_agreement'),
    (('--key', '/nowhere.pem'), '/nowhere.pem cannot be read'),
]


@pytest.mark.parametrize(('options', 'message'), WRONG_ANSWERS)
def test_a_wrong_option_is_named_and_nothing_is_published(
    run: Run, onnx_file: Path, store_root: Path, options: tuple[str, ...], message: str
) -> None:
    result = run('model', 'add', onnx_file, *ANSWERS, *options)
    assert result.code in (2, 4, 5)
    assert len(result.err.splitlines()) == 1
    assert message in result.err
    assert ModelStore(store_root).entries() == ()


def test_several_inputs_have_to_be_told_apart(run: Run, tmp_path: Path, store_root: Path) -> None:
    path = write_onnx(tmp_path / 'net.onnx', names=('first', 'second'))
    result = run('model', 'add', path, *ANSWERS)
    assert result.code == 2
    assert '--input-name (which input: first float32' in result.err
    assert run('model', 'add', path, *ANSWERS, '--input-name', 'second').code == 0
    assert published(store_root, 'net').spec.input.name == 'second'


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((2, 3, 32, 64), 'is no single image'),
        ((1, 2, 32, 64, 3), 'is no single image'),
        ((1, 7, 32, 64), '--input-layout'),
    ],
)
def test_an_input_that_is_no_image_is_refused(
    run: Run, tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = write_onnx(tmp_path / 'net.onnx', shape)
    result = run('model', 'add', path, *ANSWERS)
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('empty.onnx', b''),
        ('noise.onnx', bytes(range(256)) * 4),
        ('text.xml', b'<html>no model</html>'),
        ('text.tflite', b'hello'),
        ('image.onnx', b'\x89PNG\r\n\x1a\n' + bytes(64)),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    run: Run, tmp_path: Path, store_root: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    result = run('model', 'add', tmp_path / name, *ANSWERS)
    assert result.code != 0
    assert result.err.startswith('edge_seg: ')
    assert len(result.err.splitlines()) == 1
    assert name in result.err
    assert ModelStore(store_root).entries() == ()


PLAN = b'ftrt' + bytes(20) + bytes((10, 3, 0, 26)) + bytes(100)
ENGINE_WORDS = (
    '--input-name', 'image', '--input-size', '64x32', '--input-layout', 'NCHW',
    '--output-name', 'scores', '--output-layout', 'NCHW',
)  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Give an engine of somebody, as it must lie on disk."""
    folder = tmp_path / 'engines'
    folder.mkdir(mode=0o700)
    path = folder / 'floor.plan'
    path.write_bytes(PLAN)
    path.chmod(0o600)
    return path


def record_of(plan: bytes) -> str:
    machine = BuiltFor('10.3.0', '12.6', 'Orin', '8.7', 16)
    key = EngineKey('ab' * 32, machine, 'fp16')
    return EngineRecord(key, hashlib.sha256(plan).hexdigest(), key.digest()).to_json()


def test_a_tensorrt_engine_is_described_by_options(run: Run, plan: Path, store_root: Path) -> None:
    result = run('model', 'add', plan, *ANSWERS)
    assert result.code == 2
    missing = ('--input-name', '--output-name', '--input-size')
    assert all(option in result.err for option in missing)
    result = run('model', 'add', plan, *ANSWERS, *ENGINE_WORDS)
    assert result.code == 0, result.err
    manifest = published(store_root, 'floor')
    assert [file.path for file in manifest.files()] == ['floor.plan']
    assert 'floor.plan has no record of what it was built for' in result.err
    assert 'tensorrt_unrecorded: true' in result.err
    assert dict(manifest.provenance.fields)['tensorrt'] == '10.3.0'
    assert manifest.spec.input.dtype == 'float32'


def test_the_record_of_an_engine_is_published_with_it_and_told(
    run: Run, plan: Path, store_root: Path
) -> None:
    record_path(plan).write_text(record_of(PLAN))
    result = run('model', 'add', plan, *ANSWERS, *ENGINE_WORDS)
    assert (result.code, 'record' in result.err) == (0, False), result.err
    manifest = published(store_root, 'floor')
    assert [file.path for file in manifest.files()] == ['floor.plan', 'floor.plan.json']
    told = dict(manifest.provenance.fields)
    assert told['engine_built_for'] == 'TensorRT 10.3.0, Orin, compute 8.7'
    assert told['engine_precision'] == 'fp16'


@pytest.mark.parametrize(
    ('record', 'mode', 'words'),
    [
        ('what is this', 0o600, 'is damaged'),
        (record_of(b'another engine'), 0o600, 'is not the engine that floor.plan.json describes'),
        (record_of(PLAN), 0o666, 'is writable by others'),
    ],
)
def test_an_engine_that_no_node_would_take_is_not_published(
    run: Run, plan: Path, store_root: Path, record: str, mode: int, words: str
) -> None:
    record_path(plan).write_text(record)
    record_path(plan).chmod(mode)
    result = run('model', 'add', plan, *ANSWERS, *ENGINE_WORDS)
    assert result.code == 1
    assert words in result.err
    assert ModelStore(store_root).entries() == ()


def test_a_plan_without_the_header_is_refused(run: Run, plan: Path) -> None:
    plan.write_bytes(b'PK\x03\x04' + bytes(100))
    result = run('model', 'add', plan, *ANSWERS)
    assert result.code == 1
    assert "begins with b'PK" in result.err


@pytest.mark.parametrize('weights', ['floor.onnx.data', 'weights/any name'])
def test_weights_beside_the_file_belong_to_it(
    run: Run, tmp_path: Path, store_root: Path, weights: str
) -> None:
    file = write_segmenter(tmp_path / 'net' / 'floor.onnx', weights=weights)
    (tmp_path / 'more.bin').write_bytes(b'more')
    (file.parent / 'floor.onnx_data').write_bytes(b'of nobody')
    with_files = ('--with-file', tmp_path / 'more.bin', '--with-file', file.parent / weights)
    result = run('model', 'add', file, *ANSWERS, *with_files)
    assert result.code == 0, result.err
    paths = [file.path for file in published(store_root, 'floor').files()]
    assert paths == ['floor.onnx', weights, 'more.bin']


def test_weights_outside_the_folder_of_the_file_are_refused(
    run: Run, tmp_path: Path, store_root: Path
) -> None:
    file = write_segmenter(tmp_path / 'net' / 'floor.onnx', weights='../filters')
    result = run('model', 'add', file, *ANSWERS)
    assert result.code == 1
    assert "floor.onnx takes weights from '../filters'" in result.err
    assert not (store_root / 'floor').exists()


def test_a_folder_whose_network_leads_out_of_it_is_refused(
    run: Run, tmp_path: Path, store_root: Path
) -> None:
    good = write_segmenter(tmp_path / 'good' / 'floor.onnx')
    assert run('model', 'add', good, *ANSWERS, '--store', tmp_path / 'other').code == 0
    folder = tmp_path / 'other' / 'floor' / '1'
    bad = write_segmenter(folder / 'floor.onnx', weights='../filters').read_bytes()
    manifest = yaml.safe_load((folder / 'manifest.yaml').read_text('utf-8'))
    file = {'path': 'floor.onnx', 'sha256': hashlib.sha256(bad).hexdigest()}
    manifest['artifacts'][0]['files'] = [file]
    (folder / 'manifest.yaml').write_text(yaml.safe_dump(manifest), 'utf-8')
    for words in (('add', folder), ('verify', f'{folder}/')):
        result = run('model', *words)
        assert result.code == 4
        assert "floor.onnx takes weights from '../filters'" in result.err
    assert not (store_root / 'floor').exists()


def test_an_ir_without_its_weights_is_refused(run: Run, onnx_file: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip('openvino', reason='OpenVINO writes the IR')
    xml = tmp_path / 'net.xml'
    openvino.save_model(openvino.Core().read_model(onnx_file), xml)
    result = run('model', 'add', xml, *ANSWERS)
    assert result.code == 0, result.err
    xml.with_suffix('.bin').unlink()
    result = run('model', 'add', xml, *ANSWERS)
    assert result.code != 0
    assert len(result.err.splitlines()) == 1


def test_a_golden_sample_is_published_with_the_model(
    run: Run, add: Run, tmp_path: Path, store_root: Path
) -> None:
    (tmp_path / 'a.JPG').write_bytes(b'image')
    (tmp_path / 'b.png').write_bytes(b'labels')
    add('--golden', tmp_path / 'a.JPG', tmp_path / 'b.png', '--agreement', '0.9')
    golden = published(store_root, 'floor').golden
    assert golden is not None
    assert (golden.image.path, golden.labels.path) == ('golden/image.jpg', 'golden/labels.png')
    assert golden.minimum_agreement == 0.9


def test_a_model_can_be_signed_and_labelled_as_it_is_published(
    run: Run, add: Run, tmp_path: Path, store_root: Path
) -> None:
    run('model', 'keygen', tmp_path / 'site')
    add('--key', tmp_path / 'site.key.pem', '--label', 'stable')
    policy = SignaturePolicy(True, (tmp_path / 'site.pub.pem',))
    package = ModelStore(store_root).resolve('floor@stable')
    assert check_signature(package, policy).state == 'good'


def test_a_label_that_is_none_is_refused_before_anything_is_published(
    run: Run, onnx_file: Path, store_root: Path
) -> None:
    result = run('model', 'add', onnx_file, *ANSWERS, '--label', 'Stable!')
    assert result.code == 1
    assert "'Stable!' is no label" in result.err
    assert not (store_root / 'floor').exists()


def test_a_folder_with_a_manifest_is_published_as_it_is(
    run: Run, add: Run, store_root: Path, tmp_path: Path
) -> None:
    add()
    folder = store_root / 'floor' / '1'
    other = tmp_path / 'other'
    result = run('model', 'add', folder, '--store', other, '--json')
    assert result.code == 0, result.err
    assert json.loads(result.out)['model'] == 'floor@1'
    assert (other / 'floor/1/manifest.yaml').read_bytes() == (
        folder / 'manifest.yaml'
    ).read_bytes()
    assert run('model', 'add', folder / 'manifest.yaml', '--store', tmp_path / 'x').code == 0
    result = run('model', 'add', folder, '--store', tmp_path / 'y', '--classes', 'a,b')
    assert result.code == 2
    assert '--classes: the manifest says it' in result.err
