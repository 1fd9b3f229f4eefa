"""The first bytes of a TensorRT plan, which say which TensorRT wrote it."""

from dataclasses import dataclass
import struct

from edge_seg.backends.tensorrt.library.version import TensorRtVersion
from edge_seg.errors import PrebuiltUnusable

HEADER_BYTES = 28
_MAGIC = b'ftrt'
_MAGIC_AND_ZERO = struct.Struct('<4sI')
_VERSION_AT = 24


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What stands at the start of a plan.

    Attributes:
        version: of the TensorRT that wrote it; not verified on TensorRT 8.
    """

    version: TensorRtVersion


def read_plan_header(blob: bytes, file: str) -> PlanHeader:
    """Read the header of a plan.

    Args:
        blob: the plan, or its first ``HEADER_BYTES``.
        file: file name, for the message.

    Raises:
        PrebuiltUnusable: too short, or no plan.
    """
    if len(blob) < HEADER_BYTES:
        raise PrebuiltUnusable(
            f'{file} has {len(blob)} bytes',
            expected='a whole TensorRT engine',
            remedy='copy it again or rebuild it',
        )
    magic, zero = _MAGIC_AND_ZERO.unpack_from(blob)
    if magic != _MAGIC or zero != 0:
        raise PrebuiltUnusable(
            f'{file} begins with {blob[:4]!r}',
            expected=f'{_MAGIC!r}, the start of every TensorRT engine',
            remedy='it may be an ONNX file under a wrong name, or damaged: rebuild the engine',
        )
    major, minor, patch = blob[_VERSION_AT : _VERSION_AT + 3]
    return PlanHeader(TensorRtVersion(major, minor, patch))
