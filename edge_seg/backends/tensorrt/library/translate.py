"""TensorRT's error texts in the words of a person who has to repair something.

Only messages are made from these texts; nothing is decided by them.
"""

from collections.abc import Sequence
import re
from typing import NamedTuple

from edge_seg.backends.tensorrt.library.version import TensorRtVersion

RESTART = 'restart the node; look for Xid or NVRM in the kernel log'
BUILD_COMMAND = 'edge_seg model build-engine'
ANY_MODEL = 'MODEL'
"""In a command line where nobody knows which."""


def rebuild(model: str) -> str:
    """Say how an engine is built where it will run.

    Args:
        model: name@version.
    """
    return f'build it here: {BUILD_COMMAND} {model}'


class Explanation(NamedTuple):
    """A failure in plain words; ``remedy`` may be ''."""

    met: str
    remedy: str = ''


_REBUILD = rebuild('{model}')
# CUDA gives these back to every later call, and all models of a process share the context.
_STAYING = (
    r'(?i)illegal.(memory.access|address|instruction)|misaligned.address|uncorrectable'
    r'|launch.(timed.out|timeout)|hardware.stack|invalid.pc|device.assert'
)
_GONE = Explanation('the GPU failed and does nothing more for this process', RESTART)
_KNOWN = (
    (
        'Version tag does not match',
        Explanation('the engine was built by another TensorRT', _REBUILD),
    ),
    (
        r'expecting compute (?P<built>[\d.]+) got compute (?P<here>[\d.]+)',
        Explanation(
            'the engine was built for a GPU of compute capability {built}, this one has {here}',
            _REBUILD,
        ),
    ),
    (
        'incompatible device',
        Explanation('the engine was built for another GPU', _REBUILD),
    ),
    (
        r'CUDA initialization failure with error: (?P<code>\d+)',
        Explanation(
            'the NVIDIA driver is missing or too old (CUDA error {code})',
            'install the driver that this TensorRT needs, see docs/tensorrt.md',
        ),
    ),
    (
        'factory function returned nullptr',
        Explanation(
            'TensorRT could not start: the driver or a library does not match it',
            'compare the versions with the table in docs/tensorrt.md',
        ),
    ),
    (
        r'IPluginCreator not found|[Cc]ould not find plugin|Cannot find plugin',
        Explanation(
            'the engine uses a plugin that this TensorRT does not have',
            'take a network without it, plugins of others are not loaded; or {rebuild}',
        ),
    ),
    (
        'does not support UINT8 types for intermediate tensors',
        Explanation(
            'the network uses uint8 inside, which TensorRT takes only at inputs and outputs',
            'run: edge_seg model fuse {model} --as VERSION',
        ),
    ),
    (_STAYING, _GONE),
    (
        r'(out of memory|OutOfMemory|Cuda Runtime \(out of memory\))',
        Explanation(
            'the GPU is out of memory',
            'set swap: exclusive, take a smaller model, or end other GPU programs',
        ),
    ),
    (r'(?i)launch.(failed|failure)', _GONE),  # not where memory was short for the launch
)  # fmt: skip
_MAX_LENGTH = 400


def explain(messages: Sequence[str], *, model: str = ANY_MODEL) -> Explanation:
    """Explain a failure from what TensorRT logged.

    Args:
        messages: TensorRT's errors, oldest first; or the text of an exception.
        model: name@version, for commands.

    Returns:
        The first known explanation, TensorRT's own words behind it in brackets; its own words
        alone when nothing is known.
    """
    text = ' | '.join(message for message in messages if message)
    quoted = text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + '…'
    for pattern, known in _KNOWN:
        match = re.search(pattern, text)
        if match is not None:
            met = known.met.format(**match.groupdict())
            remedy = known.remedy.format(model=model, rebuild=rebuild(model))
            return Explanation(f'{met} (TensorRT: {quoted})', remedy)
    return Explanation(quoted or 'TensorRT gave no reason')


def version_mismatch(file: str, built: TensorRtVersion, here: str) -> str:
    """Word an engine of another TensorRT; both versions come from us, not from TensorRT."""
    return f'{file} was built by TensorRT {built}, here is {here}'
