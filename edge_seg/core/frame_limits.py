"""How large a frame may be, raw or compressed."""

from edge_seg.errors import DropReason, FrameRejected

MAX_SIDE = 16384
"""Longest side accepted, pixels."""
MAX_PIXELS = 64 * 1024 * 1024
"""Largest image accepted, pixels."""
LONGEST_NAME = 40
"""Characters of an encoding's name that go into a message."""


def check_size(width: int, height: int) -> None:
    """Refuse sizes that no camera has, before anything is allocated for them.

    Raises:
        FrameRejected: ZERO_SIZE or ABSURD_SIZE.
    """
    if width < 1 or height < 1:
        raise FrameRejected(
            DropReason.ZERO_SIZE, f'a {width}x{height} image', expected='at least 1x1'
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise FrameRejected(
            DropReason.ABSURD_SIZE,
            f'a {width}x{height} image',
            expected=f'at most {MAX_SIDE} a side and {MAX_PIXELS // 2**20} Mpx in all',
        )


def quoted(name: str) -> str:
    """Quote a text of a camera's message for logs: one line, and never a flood of them."""
    return repr(name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME]}...')
