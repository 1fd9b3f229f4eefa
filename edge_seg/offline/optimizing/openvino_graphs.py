"""OpenVINO models that were quantised: whether anything was, and what was not."""

from typing import Any

WEIGHTED = (
    'Convolution', 'GroupConvolution', 'ConvolutionBackpropData', 'GroupConvolutionBackpropData',
    'MatMul',
)  # fmt: skip
INTEGERS = ('i8', 'u8', 'i4', 'u4')


def is_quantised(model: Any) -> bool:
    """Say whether anything of an openvino.Model computes in integers."""
    return any(node.get_type_name() == 'FakeQuantize' for node in model.get_ops())


def layers_in_float(model: Any) -> tuple[str, ...]:
    """Name the convolutions and products whose weights were left in floating point."""
    return tuple(
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() in WEIGHTED and not _in_integers(node.input_value(1).get_node())
    )


def _in_integers(node: Any) -> bool:
    """Follow weights back to where they come from: a range, or a constant of integers."""
    while node.get_type_name() != 'FakeQuantize':
        if not node.get_input_size():
            return node.get_element_type().get_type_name() in INTEGERS
        node = node.input_value(0).get_node()
    return True
