"""The description of one node parameter and the check of a value against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import difflib
import math
from typing import Literal, TypeGuard

from edge_seg.errors import SettingsInvalid

ParameterType = Literal['bool', 'int', 'float', 'string', 'string_array']
ParameterValue = bool | int | float | str | tuple[str, ...]

_EXPECTED_TYPE: Mapping[ParameterType, str] = {
    'bool': 'true or false',
    'int': 'a whole number',
    'float': 'a number',
    'string': 'text',
    'string_array': 'a list of texts',
}


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter of a node: everything that its declaration, YAML and documentation need.

    Attributes:
        name: parameter name; a dot makes a group.
        type: ROS parameter type.
        default: value when none is given; of ``type`` (a tuple for 'string_array').
        description: what it does, without unit, range and choices, which stand in the others.
        unit: 's', 'Hz', 'px' ...; '' when there is none.
        minimum: smallest number allowed; None = no limit.
        maximum: largest number allowed; None = no limit.
        choices: the only texts allowed; () = any.
        live: may be changed while the node is configured; others are read in ``on_configure``.
    """

    name: str
    type: ParameterType
    default: ParameterValue
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def constraints(self) -> str:
        """Unit, range and choices as one text for comments and descriptions; may be ''."""
        parts = [self.unit] if self.unit else []
        if self.minimum is not None and self.maximum is not None:
            parts.append(f'{self.minimum:.10g} to {self.maximum:.10g}')
        elif self.minimum is not None:
            parts.append(f'at least {self.minimum:.10g}')
        elif self.maximum is not None:
            parts.append(f'at most {self.maximum:.10g}')
        if self.choices:
            parts.append(' | '.join(choice or "''" for choice in self.choices))
        return ', '.join(parts)

    def validated(self, value: object) -> ParameterValue:
        """Return ``value`` in the Python type of this parameter.

        An int is taken for a float; lists of texts become tuples. A bool is never a number.

        Raises:
            SettingsInvalid: wrong type, not finite, outside the range, not one of the choices.
        """
        typed = self._typed(value)
        self._check_range(typed)
        if self.choices:
            for text in typed if isinstance(typed, tuple) else (typed,):
                if text not in self.choices:
                    raise self._invalid(text)
        return typed

    def _typed(self, value: object) -> ParameterValue:
        if self.type == 'bool' and isinstance(value, bool):
            return value
        if self.type == 'string' and isinstance(value, str):
            return value
        if self.type == 'string_array' and _is_list_of_text(value):
            return tuple(value)
        if isinstance(value, bool):
            raise self._invalid(value)
        if self.type == 'int' and isinstance(value, int):
            return value
        if self.type == 'float' and isinstance(value, (int, float)):
            return float(value)
        raise self._invalid(value)

    def _check_range(self, value: ParameterValue) -> None:
        if isinstance(value, (bool, str, tuple)):
            return
        if isinstance(value, float) and not math.isfinite(value):
            raise self._invalid(value)
        if self.minimum is not None and value < self.minimum:
            raise self._invalid(value)
        if self.maximum is not None and value > self.maximum:
            raise self._invalid(value)

    def _invalid(self, value: object) -> SettingsInvalid:
        expected = _EXPECTED_TYPE[self.type]
        if self.choices:
            expected = 'one of ' + ', '.join(choice or "''" for choice in self.choices)
        elif self.constraints:
            expected = f'{expected} ({self.constraints})'
        return SettingsInvalid(
            f'parameter {self.name} is {value!r}',
            expected=expected,
            remedy=f'set {self.name} in the parameter file or with -p {self.name}:=...',
        )


def _is_list_of_text(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def validated_values(
    table: Sequence[ParameterSpec], values: Mapping[str, object]
) -> Mapping[str, ParameterValue]:
    """Check ``values`` against ``table`` and fill in the defaults of what is missing.

    Raises:
        SettingsInvalid: a name that is not in the table, or an invalid value.
    """
    names = {spec.name for spec in table}
    for name in values:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise SettingsInvalid(
                f'there is no parameter {name}',
                expected='one of ' + ', '.join(sorted(names)),
                remedy=f'did you mean {close[0]}?' if close else 'remove it',
            )
    return {spec.name: spec.validated(values.get(spec.name, spec.default)) for spec in table}
