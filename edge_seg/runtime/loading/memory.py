"""Whether another model fits beside the one that serves."""

from pathlib import Path

from edge_seg.errors import CompileFailed
import psutil

RESERVE_BYTES = 128 << 20
"""Left alone for the rest of the robot."""
BYTES_PER_ARTIFACT_BYTE = 4
"""Weights, their packed copy, and activations; measured 2-4 for convolutional networks."""
FIXED_BYTES = 48 << 20
"""What even a tiny model takes: runtime structures and buffers at camera size."""


def check_fits(artifact: Path, identity: str) -> None:
    """Refuse a model that would drive the machine out of memory, before anything is loaded.

    Args:
        artifact: the file to be loaded.
        identity: 'name@version', for the message.

    Raises:
        CompileFailed: the estimate is larger than what is available.
    """
    needed = artifact.stat().st_size * BYTES_PER_ARTIFACT_BYTE + FIXED_BYTES
    available = psutil.virtual_memory().available
    if needed + RESERVE_BYTES <= available:
        return
    raise CompileFailed(
        f'{identity} needs about {needed >> 20} MiB, {available >> 20} MiB are available',
        expected=f'room for it and {RESERVE_BYTES >> 20} MiB of reserve',
        remedy='set swap: exclusive to unload the present model first, or take a smaller model',
    )
