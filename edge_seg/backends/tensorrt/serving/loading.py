"""From a file to a running model: driver first, then TensorRT, then CUDA, then the engine."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.opening import choose_layer
from edge_seg.backends.tensorrt.engine.precision import UNKNOWN
from edge_seg.backends.tensorrt.files.engine import (
    check_core,
    check_machine,
    ENGINE_SUFFIXES,
    EngineFile,
    read_engine,
)
from edge_seg.backends.tensorrt.files.key import built_for
from edge_seg.backends.tensorrt.library.device import this_device
from edge_seg.backends.tensorrt.library.sdk import load_sdk, Sdk
from edge_seg.backends.tensorrt.library.translate import BUILD_COMMAND
from edge_seg.backends.tensorrt.options import run_options
from edge_seg.backends.tensorrt.serving.compiled import TensorRtModel
from edge_seg.backends.tensorrt.serving.session import EngineRequest
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed


def load_engine(artifact: Path, spec: ModelSpec, options: CompileOptions) -> TensorRtModel:
    """Load an engine; errors as in ``TensorRtBackend.compile_model``."""
    return TensorRtModel(*engine_request(artifact, spec, options))


def engine_request(
    artifact: Path, spec: ModelSpec, options: CompileOptions
) -> tuple[Sdk, str, EngineRequest]:
    """Check engine, machine and options.

    Returns:
        TensorRT, the name of the Python layer for CUDA, and what to load.

    Raises:
        BackendUnavailable, CompileFailed: as ``TensorRtBackend.compile_model``.
    """
    command = f'{BUILD_COMMAND} {spec.name}@{spec.version}'
    if artifact.suffix.lower() not in ENGINE_SUFFIXES:
        raise CompileFailed(
            f'{artifact.name} is no TensorRT engine, and none was built from it',
            expected=' or '.join(ENGINE_SUFFIXES),
            remedy=f'{command}, on this machine',
        )
    wanted = run_options(options)
    sdk = load_sdk()
    layer = choose_layer(wanted.cuda)
    device = this_device(options.device)
    wanted.mapped(device)
    file = read_engine(artifact)
    here = built_for(device, sdk.version)
    remedy = f'build it here: {command}'
    check_machine(file, here, remedy=remedy, unrecorded=wanted.unrecorded)
    check_core(file, wanted.dla_core, remedy=f'build another: {command}')
    if options.precision == 'fp32':
        _check_full_fp32(file, remedy=f'build another: {command} --precision fp32')
    return sdk, layer, EngineRequest(file, spec, device, wanted, options.precision)


def _check_full_fp32(file: EngineFile, *, remedy: str) -> None:
    """Refuse TF32 where fp32 is named; only a record tells, the engine says fp32 of both."""
    if file.record is None or not file.record.key.tf32:
        return
    if file.record.key.precision not in ('fp32', UNKNOWN):
        return  # refused for that
    raise CompileFailed(
        f'{file.name} may compute in TF32, it was built with precision: auto',
        expected='fp32',
        remedy=f'{remedy}, or set precision: auto',
    )
