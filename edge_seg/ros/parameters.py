"""Declares a parameter table on a node and answers attempts to change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_seg.errors import EdgeSegError, SettingsInvalid
from edge_seg.ros.compat import on_parameters_set
from edge_seg.runtime.parameters.parameter_spec import ParameterSpec, ParameterValue
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

Changes = Mapping[str, ParameterValue]


class NodeParameters:
    """The parameters of one node.

    Nothing is checked when they are declared: a wrong value in a params file must become a
    refused ``configure`` with a reason, not a node that dies while it is constructed. They are
    declared with dynamic typing for the same reason, and so that ``10`` serves for ``10.0``.

    Args:
        node: owner.
        table: what to declare.
        configured: True while values that are not live cannot be changed.
        review: raises EdgeSegError to refuse live changes that are valid one by one.
        apply: told of live changes that took effect.
    """

    def __init__(
        self,
        node: Node,
        table: Sequence[ParameterSpec],
        *,
        configured: Callable[[], bool],
        review: Callable[[Changes], None],
        apply: Callable[[Changes], None],
    ) -> None:
        self._node = node
        self._specs = {spec.name: spec for spec in table}
        self._configured = configured
        self._review = review
        self._apply = apply
        for spec in table:
            _declare(node, spec)
        self._apply_in_set = not on_parameters_set(node, self._on_applied)
        node.add_on_set_parameters_callback(self._on_set)

    def values(self) -> dict[str, ParameterValue]:
        """Give the present values as they were set, unchecked."""
        return {name: self._node.get_parameter(name).value for name in self._specs}

    def _on_set(self, parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        try:
            changes = self._checked(parameters)
            self._review(changes)
        except EdgeSegError as refusal:
            return SetParametersResult(successful=False, reason=str(refusal))
        if self._apply_in_set:
            self._apply(changes)
        return SetParametersResult(successful=True)

    def _on_applied(self, parameters: Sequence[Parameter[Any]]) -> None:
        self._apply({p.name: p.value for p in parameters if p.name in self._specs})

    def _checked(self, parameters: Sequence[Parameter[Any]]) -> Changes:
        changes: dict[str, ParameterValue] = {}
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            if not spec.live and self._configured():
                raise SettingsInvalid(
                    f'{spec.name} cannot change while the node is configured',
                    remedy='deactivate and clean up the node first',
                )
            changes[spec.name] = spec.validated(parameter.value)
        return changes


def _declare(node: Node, spec: ParameterSpec) -> None:
    node.declare_parameter(spec.name, spec.default, _descriptor(spec))
    value = node.get_parameter(spec.name).value
    if spec.type == 'string_array' and value in (None, [], ()):
        # An empty list has no type: rcl reads `[]` in a params file as a parameter without a
        # value, and rclpy takes it for bytes.
        node.set_parameters([Parameter(spec.name, Parameter.Type.STRING_ARRAY, [])])


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    return ParameterDescriptor(
        description=spec.description,
        additional_constraints=spec.constraints,
        dynamic_typing=True,
    )
