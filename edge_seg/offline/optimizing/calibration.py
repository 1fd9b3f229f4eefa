"""Calibration: what the network sees of some frames, exactly as the node would give it."""

from dataclasses import dataclass

from edge_seg.backends.declared import normalisation
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import AnyArray, InputSpec, TensorSpec, UInt8Array
from edge_seg.offline.evaluation.frames import FrameSet, good_frames, Progress
import numpy as np

MAX_BAD = 0.1
"""Share of calibration frames that may be unreadable: a data set with more of them is suspect."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the network's input was on the calibration frames.

    Attributes:
        description: the frames in words.
        pixels: resized to the network's input, (1, H, W, C) uint8 each, in its colour order;
            ``file_tensor`` makes each what the file takes, four times as large, when it is due.
        bad: frames that could not be used, each 'name: why'.
        spec: the input.
    """

    description: str
    pixels: tuple[UInt8Array, ...]
    bad: tuple[str, ...]
    spec: InputSpec


def calibrate(
    spec: InputSpec, frames: FrameSet, *, progress: Progress | None = None
) -> Calibration:
    """Resize every frame as the node does.

    Args:
        spec: the network's input.
        frames: what to calibrate with; no labels are needed.
        progress: told frames done and in all.

    Raises:
        SourceUnavailable: more than ``MAX_BAD`` of the frames cannot be used, or all.
    """
    shape = (1, spec.size.height, spec.size.width, spec.channels)
    resize = Preprocessor(spec, TensorSpec(spec.name, shape, 'uint8', 'NHWC'))
    bad: list[str] = []
    seen: list[UInt8Array] = []
    for frame in good_frames(frames, 0, bad=bad, limit=MAX_BAD):
        plan = plan_geometry(frame.image.size, spec.size, spec.resize)
        seen.append(np.array(resize(frame.image, plan), np.uint8))
        if progress is not None:
            progress(len(seen), frames.total)
    return Calibration(frames.description, tuple(seen), tuple(bad), spec)


def file_tensor(pixels: UInt8Array, spec: InputSpec, *, rank: int) -> AnyArray:
    """Normalise resized pixels and lay them out as the model file takes them.

    Args:
        pixels: (1, H, W, C) uint8.
        spec: the network's input.
        rank: axes of the file's input; 3 where it has no batch.
    """
    tensor: AnyArray = pixels
    if spec.dtype != 'uint8':
        mean, std = (np.asarray(values, np.float32) for values in normalisation(spec))
        tensor = ((pixels.astype(np.float32) - mean) / std).astype(spec.dtype)
    if spec.layout == 'NCHW':
        tensor = tensor.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(tensor if rank == 4 else tensor[0])
