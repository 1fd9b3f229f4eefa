"""From an ONNX file to an engine on disk: decide, build on the GPU, try it, write it."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_seg.backends.base import CompileOptions, CompileReport
from edge_seg.backends.build_progress import OnProgress
from edge_seg.backends.tensorrt.building.builder import make_builder
from edge_seg.backends.tensorrt.building.config import configure, keep_timings
from edge_seg.backends.tensorrt.building.graph import (
    add_profile,
    fit_network,
    make_network,
    parse_onnx,
    refuse,
)
from edge_seg.backends.tensorrt.building.monitor import ProgressBook, watch
from edge_seg.backends.tensorrt.building.network import check_unchanged
from edge_seg.backends.tensorrt.building.plan import BuildPlan, plan_build
from edge_seg.backends.tensorrt.building.precision import conversion
from edge_seg.backends.tensorrt.cuda.opening import choose_layer, open_cuda
from edge_seg.backends.tensorrt.cuda.owner import OwnerThread
from edge_seg.backends.tensorrt.engine.loaded import LoadedEngine
from edge_seg.backends.tensorrt.engine.precision import check_precision, UNKNOWN
from edge_seg.backends.tensorrt.files.engine import EngineFile
from edge_seg.backends.tensorrt.files.header import read_plan_header
from edge_seg.backends.tensorrt.files.trusted import check_place
from edge_seg.backends.tensorrt.files.writing import write_engine
from edge_seg.backends.tensorrt.library.accelerator import check_accelerator
from edge_seg.backends.tensorrt.library.sdk import load_sdk, Sdk
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed

STOP_S = 10.0
"""How long the thread that built may take to end."""


@dataclass(frozen=True, slots=True)
class _Built:
    plan: bytes
    precision: str
    on_accelerator: bool
    fused: tuple[str, ...]


def build_engine(
    artifact: Path,
    spec: ModelSpec,
    options: CompileOptions,
    out_path: Path,
    *,
    on_progress: OnProgress | None = None,
) -> CompileReport:
    """Build; see ``EngineBuilding.build_engine``.

    The engine is loaded once before it is written, so that none appears that does not load.
    """
    sdk = load_sdk()
    plan = plan_build(sdk, artifact, spec, options)
    check_place(out_path)  # from where the engine would be refused: better now than after minutes
    book = ProgressBook(on_progress)
    layer = choose_layer(plan.limits.options.cuda)
    owner = OwnerThread('engine-build')
    with ExitStack() as undo:
        undo.callback(owner.stop, STOP_S)
        cuda = owner.call(lambda: open_cuda(layer, plan.device.index))
        undo.callback(owner.call, cuda.close)
        owner.call(lambda: check_accelerator(sdk, plan.limits.options.dla_core))
        # One call each: what a failed one held is dropped before the context is given back.
        blob, fused = owner.call(lambda: _serialised(sdk, plan, book))
        book.announce('trying the engine')
        built = _Built(blob, *owner.call(lambda: _tried(sdk, plan, blob)), fused)
    precision = _effective(plan, built, options.precision)
    key = replace(plan.key, precision=precision)
    write_engine(out_path, built.plan, key, request=plan.key.digest())
    return CompileReport('tensorrt', sdk.version, str(plan.device), precision, built.fused)


def _effective(plan: BuildPlan, built: _Built, wanted: str) -> str:
    """Give what the engine itself says it computes in.

    Where it is silent, the types of the file hold, unless a flag left the choice to TensorRT. An
    accelerator has no choice: it cannot do fp32.
    """
    planned, file = plan.limits.precision, plan.network.path
    if planned.effective == 'mixed':
        return 'mixed'
    told = built.precision
    if told == UNKNOWN and (built.on_accelerator or not planned.flags):
        told = planned.effective
    remedy = conversion(wanted, file)
    if plan.limits.options.dla_core >= 0:  # a file of another type is built in the same way
        remedy = 'leave --dla-core out, or set precision: auto'
    check_precision(wanted, told, file.name, remedy=remedy)
    return told


def _serialised(sdk: Sdk, plan: BuildPlan, book: ProgressBook) -> tuple[bytes, tuple[str, ...]]:
    file = plan.network.path
    book.announce('reading the network')
    builder = make_builder(sdk)
    network = make_network(sdk, builder, strongly_typed=plan.limits.precision.strongly_typed)
    parse_onnx(sdk, network, file)
    check_unchanged(plan.network)
    fit = fit_network(sdk, network, plan.spec, file.name)
    mark = sdk.ring.mark()
    config = builder.create_builder_config()
    if config is None:
        refuse(sdk, mark, 'TensorRT makes no builder configuration')
    configure(sdk, config, plan.limits)
    add_profile(sdk, builder, network, config, fit)
    monitor = watch(sdk, config, book)
    blob = _run(sdk, builder, network, config, book, file.name)
    del monitor  # TensorRT calls it until here
    if plan.limits.options.timing_cache is not None:
        keep_timings(config, plan.limits.options.timing_cache)
    return blob, fit.fused


def _run(
    sdk: Sdk, builder: Any, network: Any, config: Any, book: ProgressBook, file: str
) -> bytes:
    mark = sdk.ring.mark()
    goes_on = book.announce('building')
    serialised = builder.build_serialized_network(network, config) if goes_on else None
    if book.cancelled:
        raise CompileFailed(f'building the engine of {file} was cancelled')
    if serialised is None:
        refuse(sdk, mark, f'TensorRT cannot build {file}')
    return bytes(serialised)


def _tried(sdk: Sdk, plan: BuildPlan, blob: bytes) -> tuple[str, bool]:
    """Load the engine as the node will.

    Returns:
        In which precision it computes, and whether it does so on an accelerator.
    """
    name, core = plan.network.path.name, plan.limits.options.dla_core
    engine = LoadedEngine(
        sdk,
        EngineFile(name, blob, read_plan_header(blob, name), None),
        dla_core=core,
    )
    try:
        return engine.precision, core >= 0 and engine.on_accelerator
    finally:
        engine.close()
