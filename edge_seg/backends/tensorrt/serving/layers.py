"""The layers of an engine, as TensorRT's engine inspector tells them."""

from collections.abc import Callable
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.tensorrt.cuda.opening import open_cuda
from edge_seg.backends.tensorrt.cuda.owner import OwnerGone, OwnerThread
from edge_seg.backends.tensorrt.engine.loaded import LoadedEngine
from edge_seg.backends.tensorrt.library.sdk import Sdk
from edge_seg.backends.tensorrt.serving.loading import engine_request
from edge_seg.backends.tensorrt.serving.session import EngineRequest
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed

TIMEOUT_S = 60.0


def inspect_layers(
    artifact: Path, spec: ModelSpec, options: CompileOptions
) -> tuple[LayerTime, ...]:
    """Load an engine, ask for its layers, and free it; see ``LayerProfiling``."""
    sdk, layer, request = engine_request(artifact, spec, options)
    owner = OwnerThread(f'tensorrt inspector of {artifact.name}')
    closing: Callable[[], None] | None = None
    try:
        # Without a limit: a context that came after it would be left behind.
        cuda = owner.call(lambda: open_cuda(layer, request.device.index))
        closing = cuda.close
        # A call of its own: what a failed one held is dropped before the context is given back.
        return owner.call(lambda: _layers(sdk, request), timeout_s=TIMEOUT_S)
    except OwnerGone as error:
        raise CompileFailed(f'{artifact.name} cannot be inspected: {error}') from error
    finally:
        owner.stop(TIMEOUT_S, last=closing)


def _layers(sdk: Sdk, request: EngineRequest) -> tuple[LayerTime, ...]:
    engine = LoadedEngine(
        sdk, request.file, model=request.model, dla_core=request.options.dla_core
    )
    try:
        return engine.layers
    finally:
        engine.close()
