"""In which precision an engine is to be built, and what that takes in this TensorRT.

TensorRT 11 has no precision flags: a network computes in the types that stand in the ONNX file.
Older ones can lower an fp32 network by a flag. Nothing here ever falls back to fp32 silently.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.tensorrt.building.network import NetworkFacts
from edge_seg.errors import CompileFailed

_FLAGS = {'fp16': 'BuilderFlag.FP16', 'bf16': 'BuilderFlag.BF16', 'int8': 'BuilderFlag.INT8'}
_STRONG = 'NetworkDefinitionCreationFlag.STRONGLY_TYPED'
_AUTOCAST = (
    'convert it once, on any machine: python -m modelopt.onnx.autocast --onnx_path {file} '
    '--output_path {stem}_{wanted}.onnx, add the result as a new version, or set precision: auto'
)
_QUANTISE = (
    'quantise it with NVIDIA Model Optimizer (python -m modelopt.onnx.quantization), which puts '
    'Q/DQ nodes into the file, add the result as a new version, or set precision: auto'
)


@dataclass(frozen=True, slots=True)
class PrecisionPlan:
    """How a precision is reached.

    Attributes:
        effective: what the engine computes in: fp32, fp16, bf16, int8 or mixed.
        strongly_typed: the network keeps the types of the file.
        flags: builder flags to set, by their names in this TensorRT.
        tf32: fp32 may be computed in TF32.
    """

    effective: str
    strongly_typed: bool = False
    flags: tuple[str, ...] = ()
    tf32: bool = True


def plan_precision(
    wanted: str, network: NetworkFacts, has: Callable[[str], bool], *, on_dla: bool
) -> PrecisionPlan:
    """Decide.

    Args:
        wanted: 'auto', or the precision that is met or refused.
        network: the ONNX file.
        has: tells whether this TensorRT has a member, e.g. 'BuilderFlag.FP16'.
        on_dla: for a deep learning accelerator, which takes fp16 and int8 only, and no network
            that is strongly typed where there is another way.

    Raises:
        CompileFailed: this file does not give that precision here; the message says what would.
    """
    target = network.precision if wanted == 'auto' else wanted
    if on_dla and target not in ('fp16', 'int8'):
        raise CompileFailed(
            f'{target} on a deep learning accelerator',
            expected='fp16 or int8',
            remedy='add --precision fp16, or leave --dla-core out',
        )
    if target == network.precision:
        return _as_typed(target, network, has, on_dla=on_dla, named=wanted != 'auto')
    if target == 'int8':
        raise CompileFailed(
            f'{network.path.name} is not quantised',
            expected='Q/DQ nodes in the file: TensorRT 11 has no calibration any more',
            remedy=conversion(target, network.path),
        )
    flag = _FLAGS.get(target, '')
    if network.precision == 'fp32' and flag and has(flag):
        return PrecisionPlan(target, flags=(flag,))
    raise _refused(target, network)


def conversion(wanted: str, file: Path) -> str:
    """Say how a file is made that computes in a precision by its own types."""
    if wanted == 'int8':
        return _QUANTISE
    return _AUTOCAST.format(file=file.name, stem=file.stem, wanted=wanted)


def _as_typed(
    target: str,
    network: NetworkFacts,
    has: Callable[[str], bool],
    *,
    on_dla: bool,
    named: bool,
) -> PrecisionPlan:
    """Plan for a network that has the types already."""
    if target == 'fp32':
        return PrecisionPlan(target, tf32=not named)
    flags = _weak_flags(target, has)
    if has(_STRONG) and not (on_dla and flags):
        return PrecisionPlan(target, strongly_typed=True)
    if not flags:
        raise _refused(target, network)
    return PrecisionPlan(target, flags=flags)


def _weak_flags(target: str, has: Callable[[str], bool]) -> tuple[str, ...]:
    """Give the flags that permit the types of a file where networks are weakly typed."""
    wanted = {'int8': ('int8', 'fp16'), 'mixed': ('fp16',)}.get(target, (target,))
    flags = tuple(_FLAGS[name] for name in wanted)
    return flags if all(has(flag) for flag in flags) else ()


def _refused(target: str, network: NetworkFacts) -> CompileFailed:
    file = network.path
    if network.precision == 'fp32':
        return CompileFailed(
            f'{file.name} is fp32 and this TensorRT cannot lower it to {target}',
            expected=f'a file in {target}',
            remedy=conversion(target, file),
        )
    return CompileFailed(
        f'{file.name} computes in {network.precision}',
        expected=f'a file in {target}',
        remedy='set precision: auto, or export the network again',
    )
