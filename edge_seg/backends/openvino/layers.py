"""The time of each layer, from OpenVINO's performance counters."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.openvino import devices
from edge_seg.backends.openvino.devices import readable, SDK_ERRORS
from edge_seg.backends.openvino.engine import compile_graph
from edge_seg.backends.openvino.graph import fit
from edge_seg.core.values import ModelSpec
from edge_seg.errors import InferenceFailed
import numpy as np
import openvino as ov

_WARM_UP = 5
_PRECISIONS = {
    'f32': 'fp32', 'fp32': 'fp32', 'f16': 'fp16', 'fp16': 'fp16', 'bf16': 'bf16',
    'i8': 'int8', 'u8': 'int8',
}  # fmt: skip


@dataclass
class _Sum:
    kind: str = ''
    implementation: str = ''
    times_ms: list[float] = field(default_factory=list)


def profile_layers(
    artifact: Path, spec: ModelSpec, options: CompileOptions, *, runs: int
) -> tuple[LayerTime, ...]:
    """Run a file with counters; see ``LayerProfiling``."""
    device = devices.resolve(options.device)
    graph = fit(artifact, spec, argmax=options.argmax_in_graph)
    counting = replace(options, cache_dir=None, extra=(*options.extra, ('PERF_COUNT', 'YES')))
    compiled = compile_graph(graph, device, counting, artifact.name)
    sums: defaultdict[str, _Sum] = defaultdict(_Sum)
    noise = np.random.default_rng(0).integers(0, 256, tuple(compiled.input(0).shape), np.uint8)
    try:
        request = compiled.create_infer_request()
        for number in range(_WARM_UP + runs):
            request.infer([noise])
            if number >= _WARM_UP:
                _add(request, sums)
    except SDK_ERRORS as error:
        raise InferenceFailed(f'OpenVINO failed: {readable(error)}') from error
    layers = (_layer(name, each) for name, each in sums.items())
    return tuple(sorted(layers, key=lambda layer: -(layer.mean_ms or 0.0)))


def _add(request: ov.InferRequest, sums: defaultdict[str, _Sum]) -> None:
    for info in request.get_profiling_info():
        if info.status != ov.ProfilingInfo.Status.EXECUTED:
            continue  # fused into another layer
        layer = sums[info.node_name]
        layer.kind, layer.implementation = info.node_type, info.exec_type
        layer.times_ms.append(info.real_time.total_seconds() * 1e3)


def _layer(name: str, measured: _Sum) -> LayerTime:
    # On a CPU the last part of the kernel's name is the type, e.g. brgconv_avx512_amx_I8.
    kernel, _, suffix = measured.implementation.rpartition('_')
    precision = _PRECISIONS.get(suffix.lower(), '')
    return LayerTime(
        name=name,
        kind=measured.kind,
        implementation=kernel if precision else measured.implementation,
        precision=precision,
        mean_ms=float(np.mean(measured.times_ms)),
    )
