"""What an exported network gives, compared with what PyTorch gave."""

from pathlib import Path

from edge_seg.core.values import OutputKind, Size
from edge_seg.errors import CompileFailed
from edge_seg.offline.imports.checking import check_against_original
from edge_seg.offline.imports.openvino_files import run_once
from edge_seg.offline.imports.pytorch import Sample
import numpy as np
import pytest
from tiny_models import TinyModel

LABELS = TinyModel(kind=OutputKind.LABELS, size=Size(64, 48))
SCORES = TinyModel(size=Size(64, 48))


def sample_of(model: TinyModel, file: Path) -> Sample:
    """Give what a network answers to noise."""
    shape = (1, 3, model.size.height, model.size.width)
    image = np.random.default_rng(0).normal(size=shape).astype('f4')
    return Sample(image, {'scores': np.array(run_once(file, image))})


def test_a_pixel_where_two_classes_tie_may_fall_either_way(tmp_path: Path) -> None:
    file = LABELS.save(tmp_path / 'net.onnx')
    sample = sample_of(LABELS, file)
    assert check_against_original(file, sample, 'scores').startswith('gives 3072 of 3072 pixels')
    labels = sample.outputs['scores']
    labels.flat[5] = (labels.flat[5] + 1) % 3
    assert check_against_original(file, sample, 'scores').startswith('gives 3071 of 3072 pixels')


def test_more_pixels_of_another_class_than_ties_explain_are_refused(tmp_path: Path) -> None:
    file = LABELS.save(tmp_path / 'net.onnx')
    sample = sample_of(LABELS, file)
    labels = sample.outputs['scores']
    labels.flat[:9] = (labels.flat[:9] + 1) % 3
    with pytest.raises(CompileFailed, match='gives 9 of 3072 pixels another class .* one in 1000'):
        check_against_original(file, sample, 'scores')


def test_one_score_that_differs_is_refused(tmp_path: Path) -> None:
    file = SCORES.save(tmp_path / 'net.onnx')
    sample = sample_of(SCORES, file)
    scores = sample.outputs['scores']
    assert 'equals PyTorch' in check_against_original(file, sample, 'scores')
    scores.flat[5] += np.abs(scores).max() / 100
    with pytest.raises(CompileFailed, match='differs from PyTorch by 0.01 of its largest score'):
        check_against_original(file, sample, 'scores')
