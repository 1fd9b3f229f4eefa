"""The trtexec command lines that build the same engine by hand."""

from dataclasses import dataclass
from pathlib import Path
import shlex

from edge_seg.backends.tensorrt.building.config import Limits

_FLAGS = {
    'BuilderFlag.FP16': '--fp16',
    'BuilderFlag.BF16': '--bf16',
    'BuilderFlag.INT8': '--int8',
}


@dataclass(frozen=True, slots=True)
class TrtexecLines:
    """Command lines.

    Attributes:
        tensorrt_10: for TensorRT 10.
        tensorrt_11: for TensorRT 11; '' when it cannot build that from this file.
    """

    tensorrt_10: str
    tensorrt_11: str


def trtexec_lines(
    onnx: Path,
    out: Path,
    limits: Limits,
    *,
    device: int,
    shape: tuple[str, tuple[int, ...]] | None,
) -> TrtexecLines:
    """Write the equivalent of a build.

    Args:
        onnx: the network.
        out: the engine.
        limits: what the builder was told.
        device: ordinal of the GPU.
        shape: name and shape of the input where the file leaves it open, else None.
    """
    options = limits.options
    words = [
        'trtexec',
        f'--onnx={onnx}',
        f'--saveEngine={out}',
        f'--memPoolSize=workspace:{limits.workspace_bytes >> 20}M',
        f'--builderOptimizationLevel={options.optimisation_level}',
        '--profilingVerbosity=detailed',
        f'--device={device}',
    ]
    if shape is not None:
        axes = 'x'.join(map(str, shape[1]))
        words += [f'--{which}Shapes={shape[0]}:{axes}' for which in ('min', 'opt', 'max')]
    if not limits.precision.tf32:
        words.append('--noTF32')
    if options.timing_cache is not None:
        words.append(f'--timingCacheFile={options.timing_cache}')
    if options.dla_core >= 0:
        words += [f'--useDLACore={options.dla_core}', '--allowGPUFallback']
    words.append('--skipInference')
    typed = ['--stronglyTyped'] if limits.precision.strongly_typed else []
    weak = [_FLAGS[flag] for flag in limits.precision.flags]
    # TensorRT 11 removed every precision flag; what needs one needs another file there.
    return TrtexecLines(shlex.join([*words, *typed, *weak]), '' if weak else shlex.join(words))
