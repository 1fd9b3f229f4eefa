"""Fusing a model of the store into one that takes pixels and gives masks."""

from dataclasses import replace
import json
from pathlib import Path
import sys

from command_line import Run
import cv2
from edge_seg.core.values import ModelSpec, OutputKind
from edge_seg.models.fusing import fuse
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.models.store import ModelStore
from model_files import ANSWERS, write_onnx, write_segmenter
import numpy as np
import pytest

pytest.importorskip('onnx', reason='fusing is done with onnx')
pytest.importorskip('openvino', reason='OpenVINO compares fused and original')


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_segmenter(tmp_path / 'floor.onnx')


def published(store_root: Path, reference: str) -> ModelPackage:
    package = ModelStore(store_root).resolve(reference)
    verify_artifacts(package)
    return package


def test_the_fused_version_takes_pixels_and_gives_labels(
    run: Run, add: Run, store_root: Path
) -> None:
    add('--resize', 'letterbox', '--description', 'a test', '--normalise', 'imagenet')
    result = run('model', 'fuse', 'floor', '--as', '2')
    assert (result.code, result.err) == (0, '')
    assert result.out.startswith('floor@2 is published; ')
    before, after = (published(store_root, f'floor@{n}').manifest for n in (1, 2))
    assert (after.spec.input.dtype, after.spec.input.layout) == ('uint8', 'NHWC')
    assert (after.spec.input.scale, after.spec.input.mean) == (255, (0, 0, 0))
    assert after.spec.output.kind is OutputKind.LABELS
    assert after.spec.input.resize == before.spec.input.resize
    assert after.spec.classes == before.spec.classes
    assert (after.licence, after.description) == (before.licence, before.description)
    assert dict(after.provenance.fields)['fused_from'] == 'floor@1'
    assert before.spec.input.dtype == 'float32'


def test_scores_are_kept_on_demand(run: Run, add: Run, store_root: Path) -> None:
    add()
    assert run('model', 'fuse', 'floor@1', '--as', '1.1.0', '--keep-scores').code == 0
    spec = published(store_root, 'floor@1.1.0').manifest.spec
    assert (spec.input.dtype, spec.output.kind) == ('uint8', OutputKind.LOGITS)


def test_the_golden_sample_comes_along(
    run: Run, add: Run, store_root: Path, tmp_path: Path
) -> None:
    image, labels = tmp_path / 'view.png', tmp_path / 'labels.png'
    assert cv2.imwrite(str(image), np.zeros((32, 64, 3), np.uint8))
    assert cv2.imwrite(str(labels), np.zeros((32, 64), np.uint8))
    add('--golden', image, labels, '--agreement', '0.9')
    assert run('model', 'fuse', 'floor', '--as', '2').code == 0
    fused = published(store_root, 'floor@2')
    assert fused.manifest.golden == published(store_root, 'floor@1').manifest.golden


def test_an_installed_model_is_fused_into_the_operators_store(
    run: Run, onnx_file: Path, store_root: Path, installed_root: Path
) -> None:
    assert run('model', 'add', onnx_file, *ANSWERS, '--store', installed_root).code == 0
    assert run('model', 'fuse', 'floor', '--as', '2').code == 0
    listed = json.loads(run('model', 'list', '--json').out)['models']
    assert [(model['version'], model['where']) for model in listed] == [
        ('2', 'store'),
        ('1', 'installed'),
    ]


REFUSALS = [
    (('floor',), 2, "Missing option '--as'"),
    (('floor', '--as', 'next'), 2, "'next' is neither an integer nor"),
    (('wall', '--as', '2'), 3, "no model 'wall'"),
    (('floor', '--as', '1'), 1, 'floor@1 is in the store already'),
]


@pytest.mark.parametrize(('words', 'code', 'message'), REFUSALS)
def test_bad_requests_are_refused(
    run: Run, add: Run, words: tuple[str, ...], code: int, message: str
) -> None:
    add()
    result = run('model', 'fuse', *words)
    assert result.code == code
    assert message in result.err
    assert len(json.loads(run('model', 'list', '--json').out)['models']) == 1


def test_a_fused_model_is_not_fused_again(run: Run, add: Run) -> None:
    add()
    assert run('model', 'fuse', 'floor', '--as', '2').code == 0
    again = run('model', 'fuse', 'floor', '--as', '3')
    assert again.code == 1
    assert 'takes uint8 already' in again.err


def test_a_damaged_model_is_not_fused(run: Run, add: Run, store_root: Path) -> None:
    add()
    file = store_root / 'floor' / '1' / 'floor.onnx'
    file.write_bytes(file.read_bytes()[::-1])
    result = run('model', 'fuse', 'floor', '--as', '2')
    assert result.code == 4
    assert 'has sha256' in result.err


def test_a_model_that_does_not_work_is_not_published(
    run: Run, tmp_path: Path, store_root: Path
) -> None:
    same_everywhere = write_onnx(tmp_path / 'constant.onnx')
    assert run('model', 'add', same_everywhere, *ANSWERS).code == 0
    result = run('model', 'fuse', 'constant', '--as', '2')
    assert result.code == 1
    assert not (store_root / 'constant' / '2').exists()


def test_without_onnx_the_remedy_is_said(
    run: Run, add: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    monkeypatch.setitem(sys.modules, 'onnx', None)
    result = run('model', 'fuse', 'floor', '--as', '2')
    assert result.code == 5
    assert 'pip install onnx' in result.err


def test_a_fused_model_that_differs_by_more_than_ties_is_not_published(
    run: Run, add: Run, store_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slightly_wrong(
        source: Path, target: Path, spec: ModelSpec, *, keep_scores: bool
    ) -> ModelSpec:
        other = replace(spec.input, mean=(spec.input.mean[0] + 0.02, *spec.input.mean[1:]))
        return fuse(source, target, replace(spec, input=other), keep_scores=keep_scores)

    monkeypatch.setattr('edge_seg.cli.model.fuse.fuse_file', slightly_wrong)
    add()
    for words in ((), ('--keep-scores',)):
        result = run('model', 'fuse', 'floor', '--as', '2', *words)
        assert result.code == 1
        assert 'the others did not tie' in result.err
    assert not (store_root / 'floor' / '2').exists()


def test_classes_that_tie_may_fall_either_way(
    run: Run, add: Run, store_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def a_hair_off(source: Path, target: Path, spec: ModelSpec, *, keep_scores: bool) -> ModelSpec:
        other = replace(spec.input, mean=(spec.input.mean[0] + 0.0004, *spec.input.mean[1:]))
        return fuse(source, target, replace(spec, input=other), keep_scores=keep_scores)

    monkeypatch.setattr('edge_seg.cli.model.fuse.fuse_file', a_hair_off)
    add()
    assert run('model', 'fuse', 'floor', '--as', '2').code == 0
