"""How masks are graded."""

import math

from edge_seg.core.scores import ConfusionMatrix
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def graded(predicted, truth, classes):
    matrix = ConfusionMatrix(classes)
    matrix.add(np.array(predicted, np.uint8), np.array(truth, np.uint8))
    return matrix


def test_a_worked_example():
    matrix = graded([[0, 0, 1, 1]], [[0, 1, 1, 1]], 2)
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 0], [1, 2, 0]])
    np.testing.assert_allclose(matrix.iou(), [1 / 2, 2 / 3])
    assert matrix.mean_iou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(3 / 4)


def test_classes_that_do_not_occur_do_not_count():
    matrix = graded([[0, 0]], [[0, 0]], 4)
    assert matrix.mean_iou() == 1.0
    assert np.isnan(matrix.iou()[1:]).all()


def test_a_class_that_is_only_predicted_counts_as_wrong():
    assert graded([[0, 2]], [[0, 0]], 4).mean_iou() == pytest.approx((1 / 2 + 0) / 2)


def test_pixels_without_truth_are_left_out():
    matrix = graded([[0, 1, 1]], [[0, 255, 7]], 2)
    assert matrix.pixels == 1
    assert matrix.mean_iou() == 1.0


def test_not_answering_is_a_miss():
    matrix = graded([[0, 255]], [[0, 0]], 2)
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 1], [0, 0, 0]])
    assert matrix.mean_iou() == pytest.approx(1 / 2)
    assert matrix.pixel_accuracy() == pytest.approx(1 / 2)


def test_nothing_counted_has_no_grade():
    matrix = ConfusionMatrix(3)
    assert math.isnan(matrix.mean_iou())
    assert math.isnan(matrix.pixel_accuracy())


@given(classes=st.sampled_from([1, 2, 5, 255, 300]), seed=st.integers(0, 999))
def test_counts_are_those_of_a_loop(classes, seed):
    generator = np.random.default_rng(seed)
    dtype, limit = (np.uint8, 256) if classes <= 255 else (np.uint16, 400)
    matrix, expected = ConfusionMatrix(classes), np.zeros((classes, classes + 1), int)
    for _ in range(2):
        predicted, truth = generator.integers(0, limit, (2, 6, 5)).astype(dtype)
        matrix.add(predicted, truth)
        for answer, right in zip(predicted.flat, truth.flat, strict=True):
            if right < classes:
                expected[right, min(answer, classes)] += 1
    np.testing.assert_array_equal(matrix.counts, expected)


def test_masks_of_different_types_can_be_compared():
    matrix = ConfusionMatrix(300)
    matrix.add(np.full((2, 2), 7, np.uint8), np.full((2, 2), 7, np.uint16))
    assert matrix.pixel_accuracy() == 1.0


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match='predicted is'):
        graded([[0, 1]], [[0]], 2)
    with pytest.raises(ValueError, match='at least one'):
        ConfusionMatrix(0)
