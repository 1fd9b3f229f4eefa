"""Configures a TensorRT builder: limits, flags, timing cache, progress."""

from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

from edge_seg.backends.tensorrt.building.options import BuildOptions
from edge_seg.backends.tensorrt.building.precision import PrecisionPlan
from edge_seg.backends.tensorrt.files.writing import read_or_empty, write_whole
from edge_seg.backends.tensorrt.library.sdk import optional, Sdk
from edge_seg.errors import CompileFailed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a builder is told beside the network.

    Attributes:
        options: level, DLA core, timing cache.
        precision: flags.
        workspace_bytes: most scratch memory of a layer.
    """

    options: BuildOptions
    precision: PrecisionPlan
    workspace_bytes: int


def configure(sdk: Sdk, config: Any, limits: Limits) -> None:
    """Set everything but profile and progress monitor.

    Raises:
        CompileFailed: this TensorRT cannot be told so.
    """
    trt = sdk.trt
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limits.workspace_bytes)
    config.builder_optimization_level = limits.options.optimisation_level
    # The loader asks the engine in which precision its layers compute.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    for flag in _flags(sdk, limits):
        config.set_flag(flag)
    if not limits.precision.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if limits.options.dla_core >= 0:
        _use_dla(sdk, config, limits.options.dla_core)
    if limits.options.timing_cache is not None:
        _load_timings(sdk, config, limits.options.timing_cache)


def keep_timings(config: Any, path: Path) -> None:
    """Keep what a build measured; losing it costs time only, so a full disk is no failure."""
    cache = config.get_timing_cache()
    serialised = None if cache is None else cache.serialize()
    if serialised is None:
        return
    try:
        write_whole(path, bytes(serialised))
    except OSError as error:
        logger.warning('the timing cache %s cannot be written: %s', path, error.strerror)


def _flags(sdk: Sdk, limits: Limits) -> list[Any]:
    """Give the flags to set, those of this TensorRT."""
    flags = [optional(sdk.trt, name) for name in limits.precision.flags]
    if limits.options.dla_core >= 0:
        # What the accelerator cannot do runs on the GPU in place of failing the build.
        flags.append(sdk.trt.BuilderFlag.GPU_FALLBACK)
    return flags


def _use_dla(sdk: Sdk, config: Any, core: int) -> None:
    device = getattr(type(config.default_device_type), 'DLA', None)
    if device is None:
        raise CompileFailed(
            f'TensorRT {sdk.version} knows no deep learning accelerator',
            remedy='leave --dla-core out',
        )
    config.default_device_type = device
    config.DLA_core = core


def _load_timings(sdk: Sdk, config: Any, path: Path) -> None:
    mark = sdk.ring.mark()
    kept = read_or_empty(path)
    cache = config.create_timing_cache(kept)
    # ignore_mismatch=False: timings of another GPU or TensorRT would choose wrong kernels.
    if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
        return
    told = ' | '.join(sdk.ring.since(mark)) or 'no reason given'
    logger.warning('the timing cache %s does not fit here, it is begun anew (%s)', path, told)
    empty = config.create_timing_cache(b'')
    if empty is not None:
        config.set_timing_cache(empty, ignore_mismatch=False)
