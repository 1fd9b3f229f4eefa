"""Whether there is memory to compile a model, or to load it beside the one that serves."""

from collections.abc import Sequence
from pathlib import Path

from edge_seg.errors import MemoryShort
from edge_seg.models.package import ModelPackage
import psutil

RESERVE_BYTES = 128 << 20
"""Left alone for the rest of the robot."""
BYTES_PER_ARTIFACT_BYTE = 4
"""Weights, their packed copy, and activations; measured 2-4 for convolutional networks."""
FIXED_BYTES = 48 << 20
"""What even a tiny model takes: runtime structures and buffers at camera size."""
LOAD_LESS = 'set swap: exclusive to unload the present model first, or take a smaller model'
BUILD_LESS = 'end what else takes memory, or take a smaller model'


def files_read_with(file: Path, package: ModelPackage) -> Sequence[Path]:
    """Give all files that loading one means: weights may lie beside the file that is opened."""
    for artifact in package.manifest.artifacts:
        if package.path_of(artifact.main) == file:
            return tuple(package.path_of(part) for part in artifact.files)
    return (file,)  # compiled ahead, in one piece


def check_fits(file: Path, package: ModelPackage, *, remedy: str) -> None:
    """Refuse a model that would drive the machine out of memory, before anything is taken.

    Args:
        file: what is to be loaded or compiled: an artifact's main file, or a prebuilt one.
        package: the model.
        remedy: what helps, for the message: LOAD_LESS or BUILD_LESS.

    Raises:
        MemoryShort: the estimate is larger than what is available.
    """
    read = sum(part.stat().st_size for part in files_read_with(file, package))
    needed = read * BYTES_PER_ARTIFACT_BYTE + FIXED_BYTES
    available = psutil.virtual_memory().available
    if needed + RESERVE_BYTES <= available:
        return
    raise MemoryShort(
        f'{package.identity} needs about {needed >> 20} MiB, {available >> 20} MiB are available',
        expected=f'room for it and {RESERVE_BYTES >> 20} MiB of reserve',
        remedy=remedy,
    )
