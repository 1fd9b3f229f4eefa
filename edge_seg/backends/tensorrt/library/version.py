"""TensorRT's version numbers."""

from typing import NamedTuple


class TensorRtVersion(NamedTuple):
    """Major, minor and patch; a fourth number (build) tells no plans apart."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f'{self.major}.{self.minor}.{self.patch}'


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
