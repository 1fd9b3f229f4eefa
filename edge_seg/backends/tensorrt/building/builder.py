"""Starts TensorRT's builder."""

from typing import Any

from edge_seg.backends.tensorrt.library.sdk import INSTALL_HINT, Sdk
from edge_seg.backends.tensorrt.library.translate import explain
from edge_seg.errors import BackendUnavailable


def make_builder(sdk: Sdk) -> Any:
    """Make the object that builds engines; on the thread that will use it.

    Raises:
        BackendUnavailable: TensorRT does not start.
    """
    mark = sdk.ring.mark()
    builder = None
    more: tuple[str, ...] = ()
    try:
        builder = sdk.trt.Builder(sdk.logger)
    except (RuntimeError, TypeError) as error:
        # pybind11 says TypeError where the C++ factory gave nothing.
        more = (str(error),)
    if builder is None:
        why = explain((*sdk.ring.since(mark), *more))
        raise BackendUnavailable(why.met, remedy=why.remedy or INSTALL_HINT)
    return builder
