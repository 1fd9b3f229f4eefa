"""The parameter tables: every entry is sound, and values are checked as the entries say."""

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.managing.manager_parameters import MANAGER_PARAMETERS
from edge_seg.runtime.parameters.parameter_table import (
    CAMERA_PARAMETERS,
    ParameterSpec,
    SEGMENTATION_PARAMETERS,
    validated_values,
)
from hypothesis import given
from hypothesis import strategies as st
import pytest

TABLES = {
    'segmentation': SEGMENTATION_PARAMETERS,
    'camera': CAMERA_PARAMETERS,
    'lifecycle_manager': MANAGER_PARAMETERS,
}
ENTRIES = [pytest.param(s, id=f'{n}.{s.name}') for n, table in TABLES.items() for s in table]
RATE = ParameterSpec('rate_hz', 'float', 30.0, 'Frames a second', 'Hz', 0.5, 100.0)
COUNT = ParameterSpec('count', 'int', 3, 'How many', minimum=1)
MODE = ParameterSpec('mode', 'string', 'a', 'Which', choices=('a', 'b', ''))
NAMES = ParameterSpec('names', 'string_array', (), 'Nodes')
SWITCH = ParameterSpec('switch', 'bool', False, 'On or off')


@pytest.mark.parametrize('spec', ENTRIES)
def test_every_default_is_valid_and_of_its_own_type(spec: ParameterSpec) -> None:
    checked = spec.validated(spec.default)

    assert checked == spec.default
    assert type(checked) is type(spec.default)


@pytest.mark.parametrize('spec', ENTRIES)
def test_every_entry_is_described_in_a_sentence(spec: ParameterSpec) -> None:
    assert len(spec.description.split()) >= 3
    assert not spec.description.endswith('.')


@pytest.mark.parametrize('spec', ENTRIES)
def test_every_number_has_a_range(spec: ParameterSpec) -> None:
    if spec.type in ('int', 'float'):
        assert spec.minimum is not None
        assert spec.maximum is not None


@pytest.mark.parametrize('table', TABLES.values(), ids=TABLES.keys())
def test_names_are_unique(table: tuple[ParameterSpec, ...]) -> None:
    names = [spec.name for spec in table]

    assert len(names) == len(set(names))


@pytest.mark.parametrize('spec', ENTRIES)
def test_durations_and_rates_carry_their_unit_in_name_and_entry(spec: ParameterSpec) -> None:
    for suffix, unit in (('_s', 's'), ('_hz', 'Hz'), ('_deg', 'deg')):
        assert spec.name.endswith(suffix) == (spec.unit == unit)


@pytest.mark.parametrize(
    ('spec', 'value'),
    [
        (RATE, True),
        (RATE, '30'),
        (RATE, float('nan')),
        (RATE, float('inf')),
        (RATE, 0.49),
        (RATE, 101),
        (COUNT, 0),
        (COUNT, 2.0),
        (COUNT, False),
        (COUNT, None),
        (MODE, 'c'),
        (MODE, 1),
        (NAMES, 'a'),
        (NAMES, ['a', 1]),
        (SWITCH, 1),
        (SWITCH, 'true'),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_the_value_and_a_remedy(
    spec: ParameterSpec, value: object
) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        spec.validated(value)

    assert spec.name in refusal.value.met
    assert repr(value) in refusal.value.met
    assert refusal.value.expected
    assert refusal.value.remedy


def test_the_refusal_names_the_range_and_the_unit() -> None:
    with pytest.raises(SettingsInvalid, match=r'expected a number \(Hz, 0\.5 to 100\)'):
        RATE.validated(0)


def test_the_refusal_names_the_choices() -> None:
    with pytest.raises(SettingsInvalid, match="expected one of a, b, ''"):
        MODE.validated('c')


@given(st.integers(1, 100))
def test_a_whole_number_serves_as_a_float(value: int) -> None:
    checked = RATE.validated(value)

    assert isinstance(checked, float)
    assert checked == value


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_exactly_the_numbers_within_the_range_are_taken(value: float) -> None:
    if 0.5 <= value <= 100.0:
        assert RATE.validated(value) == value
    else:
        with pytest.raises(SettingsInvalid):
            RATE.validated(value)


@given(st.lists(st.text()))
def test_a_list_of_texts_becomes_a_tuple(names: list[str]) -> None:
    assert NAMES.validated(names) == tuple(names)


def test_each_text_of_a_list_must_be_one_of_the_choices() -> None:
    spec = ParameterSpec('outputs', 'string_array', ('mask',), 'What', choices=('mask', 'labels'))

    assert spec.validated(['labels', 'mask']) == ('labels', 'mask')
    with pytest.raises(SettingsInvalid, match="outputs is 'depth'"):
        spec.validated(['mask', 'depth'])


def test_missing_values_are_filled_with_the_defaults_in_the_order_of_the_table() -> None:
    values = validated_values((RATE, COUNT, MODE), {'mode': 'b', 'count': 9})

    assert list(values.items()) == [('rate_hz', 30.0), ('count', 9), ('mode', 'b')]


def test_an_unknown_name_is_refused_with_the_name_that_was_probably_meant() -> None:
    with pytest.raises(SettingsInvalid, match='no parameter rate_h.*did you mean rate_hz'):
        validated_values((RATE, COUNT), {'rate_h': 1.0})


@pytest.mark.parametrize(
    ('spec', 'text'),
    [
        (RATE, 'Hz, 0.5 to 100'),
        (COUNT, 'at least 1'),
        (ParameterSpec('m', 'int', 1, 'M', maximum=2147483647), 'at most 2147483647'),
        (MODE, "a | b | ''"),
        (SWITCH, ''),
    ],
)
def test_constraints_are_said_in_words(spec: ParameterSpec, text: str) -> None:
    assert spec.constraints == text
