"""In which precision an engine computes: as recorded, or as the engine itself tells."""

from collections import Counter
import json
from typing import Any

from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.tensorrt.library.sdk import optional, Sdk
from edge_seg.errors import CompileFailed, PrebuiltUnusable

UNKNOWN = 'unknown'
_WORDS = {
    'fp32': 'fp32', 'float': 'fp32', 'tf32': 'fp32', 'fp16': 'fp16', 'half': 'fp16',
    'bf16': 'bf16', 'bfloat16': 'bf16', 'int8': 'int8', 'fp8': 'fp8',
}  # fmt: skip
_HEAVY = ('conv', 'gemm', 'matmul', 'matrixmultiply', 'fullyconnected')
# Many layers of the network as one, of which the engine does not tell what is inside.
_BLOCK_KINDS = ('myelin', 'foreignnode', 'dla')
_BLOCK_NAME = '{foreignnode['


def engine_precision(sdk: Sdk, engine: Any) -> str:
    """Ask an engine in which precision most of its heavy layers compute.

    Engines tell only when they were built with detailed profiling information.

    Returns:
        fp32, fp16, bf16, int8, fp8 or 'unknown'.
    """
    return precision_of_layers(layer_information(sdk, engine))


def layer_information(sdk: Sdk, engine: Any) -> str:
    """Ask an engine for its layers: JSON, '' when there is no inspector."""
    json_format = optional(sdk.trt, 'LayerInformationFormat.JSON')
    inspector = None if json_format is None else engine.create_engine_inspector()
    return '' if inspector is None else str(inspector.get_engine_information(json_format))


def layers_of(text: str) -> tuple[LayerTime, ...]:
    """Read the layers out of the inspector's JSON, in the engine's order.

    An engine without detailed profiling information tells names only: the rest is ''.
    """
    try:
        layers = json.loads(text)['Layers']
    except (ValueError, KeyError, TypeError):
        return ()
    if not isinstance(layers, list):
        return ()
    return tuple(_described(layer) for layer in layers if isinstance(layer, (dict, str)))


def precision_of_layers(text: str) -> str:
    """Read the precision out of the inspector's JSON; 'unknown' when it does not say."""
    try:
        layers = json.loads(text)['Layers']
    except (ValueError, KeyError, TypeError):
        return UNKNOWN
    votes = Counter(_vote(layer) for layer in layers if isinstance(layer, dict))
    del votes['']
    return votes.most_common(1)[0][0] if votes else UNKNOWN


def on_accelerator(text: str) -> bool:
    """Whether the inspector's JSON has a block of layers that is not one for the GPU (Myelin)."""
    return any(
        _is_block(layer.name, layer.kind) and 'myelin' not in layer.kind.lower()
        for layer in layers_of(text)
    )


def settled_precision(recorded: str, told: str, file: str) -> str:
    """Give the precision of an engine from its record, which must agree with what it tells.

    Args:
        recorded: by the builder, who knows when a network is of mixed types; 'unknown' when a
            flag left the choice to TensorRT and the engine did not tell what came of it.
        told: by the engine itself; 'unknown' when it tells nothing.
        file: file name, for the message.

    Raises:
        PrebuiltUnusable: they contradict each other.
    """
    if recorded == UNKNOWN:
        return told
    if told in (UNKNOWN, recorded) or recorded == 'mixed':
        return recorded
    raise PrebuiltUnusable(
        f'{file} computes in {told}, and its record says {recorded}',
        remedy='rebuild it; its record was changed',
    )


def check_precision(wanted: str, effective: str, file: str, *, remedy: str = '') -> None:
    """Refuse an engine that does not compute in the precision that was named.

    Args:
        wanted: 'auto', or the precision that is met or refused.
        effective: what the engine computes in; 'unknown' when nobody tells.
        file: file name, for the message.
        remedy: what to do; '' = build another one.

    Raises:
        CompileFailed: it computes in another one, or does not say.
    """
    if wanted in ('auto', effective):
        return
    remedy = remedy or f'build it with --precision {wanted}, or set precision: auto'
    if effective == UNKNOWN:
        raise CompileFailed(
            f'{file} does not say in which precision it computes', expected=wanted, remedy=remedy
        )
    raise CompileFailed(f'{file} computes in {effective}', expected=wanted, remedy=remedy)


def _described(layer: dict[str, Any] | str) -> LayerTime:
    facts: dict[str, Any] = {'Name': layer} if isinstance(layer, str) else layer
    return LayerTime(
        name=str(facts.get('Name', '')),
        kind=str(facts.get('LayerType', '')),
        implementation=str(facts.get('TacticName', '')),
        precision=_of_layer(facts),
        mean_ms=None,
    )


def _vote(layer: dict[str, Any]) -> str:
    """Give the precision of a layer that counts; '' for others."""
    if _is_block(str(layer.get('Name', '')), str(layer.get('LayerType', ''))):
        # In fp32 it may be given what it computes in less; what is given less was lowered.
        return _of_layer(layer).replace('fp32', '')
    return _of_layer(layer) if _is_heavy(layer) else ''


def _is_block(name: str, kind: str) -> bool:
    return kind.lower() in _BLOCK_KINDS or name.lower().startswith(_BLOCK_NAME)


def _is_heavy(layer: dict[str, Any]) -> bool:
    kind = f'{layer.get("LayerType", "")} {layer.get("ParameterType", "")}'.lower()
    return any(word in kind for word in _HEAVY)


def _of_layer(layer: dict[str, Any]) -> str:
    """Take the type of a layer's first input: outputs may already be converted."""
    inputs = layer.get('Inputs')
    first = inputs[0] if isinstance(inputs, list) and inputs else {}
    if not isinstance(first, dict):
        return ''
    words = str(first.get('Format/Datatype', first.get('Datatype', ''))).lower().split()
    found = [_WORDS[word] for word in words if word in _WORDS]
    return found[0] if found else ''
