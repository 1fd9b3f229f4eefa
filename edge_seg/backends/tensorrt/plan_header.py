"""The first bytes of a TensorRT plan, which say which TensorRT wrote it."""

from dataclasses import dataclass
import struct
from typing import NamedTuple

from edge_seg.errors import PrebuiltUnusable

HEADER_BYTES = 28
_MAGIC = b'ftrt'
_MAGIC_AND_ZERO = struct.Struct('<4sI')
_VERSION_AT = 24


class TensorRtVersion(NamedTuple):
    """Major, minor and patch; a fourth number (build) tells no plans apart."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f'{self.major}.{self.minor}.{self.patch}'


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What stands at the start of a plan.

    Attributes:
        version: of the TensorRT that wrote it; not verified on TensorRT 8.
    """

    version: TensorRtVersion


def parse_version(text: str) -> TensorRtVersion:
    """Read a version such as '10.3.0' or '10.13.3.9.post1'; missing numbers are 0.

    Raises:
        ValueError: the text does not begin with a number.
    """
    numbers = []
    for part in text.split('.')[:3]:
        digits = part[: len(part) - len(part.lstrip('0123456789'))]
        if not digits:
            break
        numbers.append(int(digits))
    if not numbers:
        raise ValueError(f'{text!r} is no version')
    major, minor, patch = (*numbers, 0, 0)[:3]
    return TensorRtVersion(major, minor, patch)


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
