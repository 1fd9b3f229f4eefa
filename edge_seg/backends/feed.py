"""Checks on what is fed to a compiled model, shared by the backends."""

from collections.abc import Sequence

from edge_seg.core.values import AnyArray, TensorSpec
from edge_seg.errors import InferenceFailed


def check_tensors(tensors: Sequence[AnyArray], inputs: Sequence[TensorSpec]) -> None:
    """Compare arrays with the inputs that they are for.

    Raises:
        InferenceFailed: wrong number, shape or dtype, or not C-contiguous.
    """
    if len(tensors) != len(inputs):
        raise InferenceFailed(f'{len(tensors)} tensors were given', expected=f'{len(inputs)}')
    for tensor, spec in zip(tensors, inputs, strict=True):
        if (
            tensor.shape != spec.shape
            or tensor.dtype != spec.dtype
            or not tensor.flags.c_contiguous
        ):
            order = '' if tensor.flags.c_contiguous else ', not contiguous'
            raise InferenceFailed(
                f"input '{spec.name}' was given {tensor.dtype} {tensor.shape}{order}",
                expected=f'contiguous {spec.dtype} {spec.shape}',
            )


def closed_error() -> InferenceFailed:
    """Make the error of a model that is used after its close."""
    return InferenceFailed(
        'the model is closed', remedy='take a lease on the active model for every frame'
    )
