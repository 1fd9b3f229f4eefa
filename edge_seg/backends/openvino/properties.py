"""OpenVINO compile properties from our options, and the precision that came of them."""

from collections import Counter
import os

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino.devices import SDK_ERRORS
from edge_seg.errors import CompileFailed
import openvino as ov

Properties = dict[str, object]

FEW_CORES = 4
"""Up to so many, one core is left to the other processes of a robot."""

_HINTS = {'fp32': 'f32', 'fp16': 'f16', 'bf16': 'bf16'}
_PRECISION_NAMES = {
    'f32': 'fp32', 'fp32': 'fp32', 'f16': 'fp16', 'fp16': 'fp16', 'bf16': 'bf16',
    'i8': 'int8', 'u8': 'int8', 'int8': 'int8', 'uint8': 'int8',
    'float32': 'fp32', 'float16': 'fp16', 'bfloat16': 'bf16',
}  # fmt: skip
_COMPUTE_LAYERS = ('convolution', 'matmul', 'fullyconnected', 'deconvolution', 'gemm')


def compile_properties(device: str, options: CompileOptions) -> Properties:
    """Properties for ``Core.compile_model`` and ``Core.import_model``.

    Args:
        device: resolved device name.
        options: what is wanted; ``extra`` overrides everything else.
    """
    properties: Properties = {'PERFORMANCE_HINT': 'LATENCY'}
    if options.cache_dir is not None:
        properties['CACHE_DIR'] = str(options.cache_dir)
    if device == 'CPU':
        properties.update(_cpu_properties(options))
    elif ':' in device or device == 'AUTO':
        # These accept properties of a member only under its name.
        properties['DEVICE_PROPERTIES'] = {'CPU': _cpu_properties(options)}
    elif options.precision in _HINTS:
        properties['INFERENCE_PRECISION_HINT'] = _HINTS[options.precision]
    properties.update(options.extra)
    return properties


def _cpu_properties(options: CompileOptions) -> Properties:
    properties: Properties = {
        'NUM_STREAMS': 1,
        'ENABLE_CPU_PINNING': options.pin_threads,
    }
    if not (options.device_precision and options.precision == 'auto'):
        # Left alone, a processor with AMX or AVX512-BF16 computes in bfloat16.
        properties['INFERENCE_PRECISION_HINT'] = _HINTS.get(options.precision, 'f32')
    threads = options.threads or _threads_for(_cores())
    if threads > 0:
        properties['INFERENCE_NUM_THREADS'] = threads
    return properties


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _threads_for(cores: int) -> int:
    """Choose the inference threads: 0 = OpenVINO's own choice, which is one on each core.

    Camera, transport and consumer need a core too. On two cores, a second thread makes an
    inference wait whenever one of them runs; alone on the machine it would be faster by a third.
    """
    return max(1, cores - 1) if cores <= FEW_CORES else 0


def effective_precision(compiled: ov.CompiledModel) -> str:
    """Find in which precision most heavy layers run: fp32, fp16, bf16, int8 or unknown.

    Read from the compiled graph: the hint only says what was asked for.
    """
    try:
        operations = compiled.get_runtime_model().get_ops()
        votes = Counter(
            _PRECISION_NAMES.get(precision, 'unknown')
            for layer, precision in (_executed(operation) for operation in operations)
            if any(name in layer for name in _COMPUTE_LAYERS)
        )
        if votes:
            return votes.most_common(1)[0][0]
        hint = compiled.get_property('INFERENCE_PRECISION_HINT')
    except SDK_ERRORS:
        return 'unknown'
    return _PRECISION_NAMES.get(hint.get_type_name(), 'unknown')


def _executed(operation: ov.Node) -> tuple[str, str]:
    info = operation.get_rt_info()
    layer, precision, kernel = (
        str(info[key].value).lower() if key in info else ''
        for key in ('layerType', 'runtimePrecision', 'primitiveType')
    )
    # Of weights kept in half precision the precision tells; what computes is in the kernel's name.
    computes = kernel.rpartition('_')[2]
    return layer, computes if computes in _PRECISION_NAMES else precision


def check_precision(wanted: str, effective: str, device: str) -> None:
    """Refuse a model that does not compute in the precision that was named.

    Raises:
        CompileFailed: it computes in another one.
    """
    if wanted in ('auto', effective):
        return
    remedy = (
        'give the model an artifact quantised to INT8'
        if wanted == 'int8'
        else 'set precision: auto, or take another device or artifact'
    )
    raise CompileFailed(
        f'the model computes in {effective} on {device}', expected=wanted, remedy=remedy
    )
