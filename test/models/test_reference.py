"""Names, versions and labels: what is one, and which version is newer."""

from edge_seg.errors import ModelNotFound
from edge_seg.models.reference import (
    is_label,
    is_name,
    is_path,
    is_version,
    parse_reference,
    Reference,
    version_key,
)
from hypothesis import given
from hypothesis import strategies as st
import pytest

ORDERED = ['0', '0.0.1', '0.1.0', '1', '1.0.0', '1.2.0', '1.10.0', '2', '2.0.0', '2.0.10', '10']


def test_versions_are_ordered_by_number_not_by_text() -> None:
    assert sorted(set(ORDERED), key=version_key) == ORDERED


numbers = st.integers(0, 999_999_999)
versions = numbers.map(str) | st.tuples(numbers, numbers, numbers).map(
    lambda parts: '.'.join(map(str, parts))
)


@given(versions, versions)
def test_different_versions_are_never_equal_in_order(first: str, second: str) -> None:
    assert (version_key(first) == version_key(second)) == (first == second)


@pytest.mark.parametrize(
    'text', ['', '1.2', '1.2.3.4', '01', '1.02.3', '-1', '+1', 'v1', '1 ', '1\n', '1_0', '\u0661']
)
def test_what_is_no_version(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match='is no version'):
        version_key(text)


@pytest.mark.parametrize('text', ['', '.x', '-x', 'a/b', 'a@b', 'a b', 'a\n', 'x' * 65, '..'])
def test_what_is_no_name(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize('text', ['', 'latest', 'Stable', '1', '1.2.3', 'a b', 'a.b', 'x' * 33])
def test_what_is_no_label(text: str) -> None:
    assert not is_label(text)


@pytest.mark.parametrize(
    ('request_text', 'reference'),
    [
        ('floor', Reference('floor')),
        ('floor@2', Reference('floor', '2')),
        ('floor@1.2.0', Reference('floor', '1.2.0')),
        ('floor@latest', Reference('floor', 'latest')),
        ('floor@stable', Reference('floor', 'stable')),
        ('floor-v2.int8@10', Reference('floor-v2.int8', '10')),
    ],
)
def test_a_request_is_split(request_text: str, reference: Reference) -> None:
    assert parse_reference(request_text) == reference


@pytest.mark.parametrize(
    'request_text', ['', '@1', 'floor@', 'floor@1@2', 'floor@1.2', 'a b', '*']
)
def test_a_malformed_request_says_what_one_looks_like(request_text: str) -> None:
    with pytest.raises(ModelNotFound, match='names no model; expected name, name@version'):
        parse_reference(request_text)


@pytest.mark.parametrize('request_text', ['./floor', '/models/floor/1', 'a/b', '.', '..', '~/m'])
def test_a_slash_makes_a_path(request_text: str) -> None:
    assert is_path(request_text)


def test_a_name_is_no_path() -> None:
    assert not is_path('floor@1')
