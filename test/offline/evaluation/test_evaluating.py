"""Scores of a model, worked out by hand."""

from dataclasses import replace
import json
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.errors import IncompatibleModel, SourceUnavailable
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.evaluating import evaluate
from edge_seg.offline.evaluation.frames import FrameRequest, open_frames
from edge_seg.offline.evaluation.results import as_document
from edge_seg.offline.evaluation.running import RunOptions
from measured_models import colours, labelled_folder, mask_of, picture, publish, SIZE, SPEC
import numpy as np
import pytest


def test_a_perfect_model_has_full_marks(stores: LayeredStore, tmp_path: Path) -> None:
    frames = open_frames(FrameRequest(str(labelled_folder(tmp_path / 'data'))))
    result = evaluate(stores, 'colours', frames)
    assert (result.miou, result.pixel_accuracy, result.frames) == (1.0, 1.0, 4)
    assert result.pixels == 4 * SIZE.width * SIZE.height
    assert (result.run.model, result.run.backend, result.truth) == (
        'colours@1', 'openvino', 'labels',
    )  # fmt: skip
    assert result.run.model_sha256 == stores.resolve('colours').manifest_sha256
    assert 0 < result.infer.p50_ms <= result.total.p95_ms


def test_scores_are_those_counted_by_hand(stores: LayeredStore, tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / 'data', count=1, wrong=12)
    result = evaluate(stores, 'colours', open_frames(FrameRequest(str(folder))))
    predicted = mask_of(picture(0))
    truth = predicted.copy()
    truth[:12] = 0
    ious = []
    for label in range(3):
        both = np.count_nonzero((predicted == label) & (truth == label))
        either = np.count_nonzero((predicted == label) | (truth == label))
        ious.append(both / either)
    assert [score.iou for score in result.classes] == pytest.approx(ious)
    assert result.miou == pytest.approx(np.mean(ious))
    assert result.pixel_accuracy == pytest.approx(np.mean(predicted == truth))
    assert result.confusion[0][1] == np.count_nonzero((truth == 0) & (predicted == 1))
    assert [score.pixels for score in result.classes] == np.bincount(truth.ravel()).tolist()


def test_another_model_stands_in_for_labels(stores: LayeredStore, tmp_path: Path) -> None:
    publish(stores, tmp_path / 'again', colours(), version='2')
    frames = open_frames(FrameRequest(count=2))
    result = evaluate(stores, 'colours@2', frames, reference='colours@1')
    assert (result.truth, result.miou) == ('colours@1', 1.0)


def test_the_result_becomes_json(stores: LayeredStore, tmp_path: Path) -> None:
    frames = open_frames(FrameRequest(str(labelled_folder(tmp_path / 'data', count=1))))
    document = json.loads(json.dumps(as_document(evaluate(stores, 'colours', frames))))
    assert document['run']['model'] == 'colours@1'
    assert document['classes'][2]['name'] == 'blue'


def test_rendered_scenes_of_other_classes_are_refused(stores: LayeredStore) -> None:
    with pytest.raises(IncompatibleModel, match='has the classes red, green, blue'):
        evaluate(stores, 'colours', open_frames(FrameRequest(count=1)))


def test_a_reference_of_other_classes_is_refused(stores: LayeredStore, tmp_path: Path) -> None:
    classes = tuple(replace(info, name=f'my {info.name}') for info in SPEC.classes)
    spec = replace(SPEC, name='other', classes=classes)
    publish(stores, tmp_path / 'other', colours(), spec=spec)
    with pytest.raises(IncompatibleModel, match='expected those of other@1'):
        evaluate(stores, 'colours', open_frames(FrameRequest(count=1)), reference='other')


def test_pictures_without_labels_are_refused(stores: LayeredStore, tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / 'data')
    (folder / 'labels' / '2.png').unlink()
    with pytest.raises(SourceUnavailable, match=r'1 of 4 .*images/2\.png'):
        evaluate(stores, 'colours', open_frames(FrameRequest(str(folder))))


def test_the_named_backend_and_precision_are_used(stores: LayeredStore, tmp_path: Path) -> None:
    frames = open_frames(FrameRequest(str(labelled_folder(tmp_path / 'data', count=1))))
    options = RunOptions('opencv', CompileOptions(precision='fp32'))
    result = evaluate(stores, 'colours', frames, options=options)
    assert (result.run.backend, result.run.precision, result.miou) == ('opencv', 'fp32', 1.0)
