"""Class ids that come from the network: checked, never trusted."""

from edge_seg.core.values import OutputKind
from edge_seg.errors import InferenceFailed
from model_outputs import square
import numpy as np
import pytest


@pytest.mark.parametrize(
    ('ids', 'dtype', 'met'),
    [
        ([0, 5], 'uint8', '5'),
        ([0, 5], 'int64', '5'),
        ([-1, 0], 'int32', '-1'),
        ([0, 2**40], 'int64', str(2**40)),
        ([0, 256], 'int32', '256'),
        ([0, 300], 'float32', '300'),
    ],
)
def test_a_label_outside_the_table_is_an_error_and_not_a_mask(ids, dtype, met):
    tensor = np.array([ids], dtype)
    postprocess, plan = square(tensor, OutputKind.LABELS, 'HW')
    with pytest.raises(InferenceFailed, match=f'holds label {met}; expected 0 to 4'):
        postprocess.labels(tensor, plan)


@pytest.mark.parametrize('bad', [0.5, np.inf, -np.inf, np.nan])
def test_labels_that_are_no_whole_numbers_are_an_error(bad):
    tensor = np.array([[1, bad]], np.float32)
    postprocess, plan = square(tensor, OutputKind.LABELS, 'HW')
    with pytest.raises(InferenceFailed):
        postprocess.labels(tensor, plan)


@pytest.mark.parametrize(
    ('dtype', 'ignore', 'classes', 'unlabelled'),
    [
        ('uint8', 255, 5, 255),
        ('int64', -1, 5, 255),
        ('int64', 5, 5, 255),
        ('uint8', 0, 5, 255),
        ('int32', -1, 300, 65535),
        ('int32', 299, 300, 65535),
        ('int32', 255, 255, 255),
    ],
)
def test_the_ignore_id_becomes_unlabelled(dtype, ignore, classes, unlabelled):
    tensor = np.array([[1, ignore, 4]]).astype(dtype)
    before = tensor.copy()
    postprocess, plan = square(tensor, OutputKind.LABELS, 'HW', classes=classes, ignore_id=ignore)
    np.testing.assert_array_equal(postprocess.labels(tensor, plan), [[1, unlabelled, 4]])
    np.testing.assert_array_equal(tensor, before)  # it is the backend's memory


def test_a_foreign_label_beside_the_ignore_id_is_still_an_error():
    tensor = np.array([[1, -1, 7]], np.int64)
    postprocess, plan = square(tensor, OutputKind.LABELS, 'HW', ignore_id=-1)
    with pytest.raises(InferenceFailed, match='label 7; expected 0 to 4 or -1 for no class'):
        postprocess.labels(tensor, plan)


def test_label_outputs_have_no_confidence_to_give():
    tensor = np.zeros((2, 2), np.uint8)
    postprocess, plan = square(tensor, OutputKind.LABELS, 'HW')
    with pytest.raises(ValueError, match='no confidence'):
        postprocess.labels_and_confidence(tensor, plan)
