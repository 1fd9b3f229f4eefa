"""The questions of warm-up and probation."""

from edge_seg.core.checks import dominant_share, has_nan, is_finite
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

FLOATS = ['float32', 'float16', 'float64']


@pytest.mark.parametrize('dtype', FLOATS)
@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (1, 5, 33, 47), (7, 3)])
def test_one_bad_number_anywhere_is_found(dtype, shape):
    good = np.random.default_rng(0).normal(size=shape).astype(dtype)
    assert is_finite([good, good])
    assert not has_nan(good)
    for at in {0, good.size // 2, good.size - 1}:
        for bad in (np.nan, np.inf, -np.inf):
            spoilt = good.copy()
            spoilt.flat[at] = bad
            assert not is_finite([good, spoilt])
            assert has_nan(spoilt) is bool(np.isnan(bad))


@pytest.mark.parametrize('dtype', FLOATS)
def test_huge_numbers_are_still_numbers(dtype):
    assert is_finite([np.full((300, 300), np.finfo(dtype).max, dtype)])
    assert not has_nan(np.array([np.inf, -np.inf, 1], dtype))


@pytest.mark.parametrize('dtype', ['uint8', 'int32', 'int64', 'bool'])
def test_whole_numbers_are_always_finite(dtype):
    ones = np.ones((2, 2), dtype)
    assert is_finite([ones])
    assert not has_nan(ones)


def test_no_outputs_hold_nothing_bad():
    assert is_finite([])


def test_views_that_are_not_contiguous_are_checked_too():
    array = np.zeros((4, 6), np.float32)
    array[1, 3] = np.nan
    assert is_finite([array[:, ::2]])
    assert not is_finite([array[:, 1::2]])


@given(width=st.integers(1, 30), height=st.integers(1, 30), seed=st.integers(0, 99))
def test_dominant_share_is_that_of_the_commonest_label(width, height, seed):
    labels = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.uint8)
    labels[labels == 2] = 255
    expected = max((labels == value).mean() for value in (0, 1, 255))
    assert dominant_share(labels, stride=1) == pytest.approx(expected)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_mask_of_one_class_is_degenerate(dtype):
    assert dominant_share(np.full((480, 640), 3, dtype)) == 1.0
    half = np.zeros((480, 640), dtype)
    half[240:] = 1
    assert dominant_share(half) == pytest.approx(0.5)
