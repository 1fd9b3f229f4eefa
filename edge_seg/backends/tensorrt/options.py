"""The TensorRT backend's own settings, from ``CompileOptions``."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast, Literal

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.cuda.opening import CudaLayer
from edge_seg.errors import CompileFailed

MemoryMode = Literal['auto', 'pinned', 'mapped']
_CHOICES = {
    'memory': ('pinned', 'auto', 'mapped'),
    'cuda': ('auto', 'pycuda', 'cuda-bindings'),
    'cuda_graph': ('false', 'true'),
    'unrecorded': ('false', 'true'),
}
_DLA_CORE = 'dla_core'
BUILD_OPTIONS = ('workspace_mib', 'optimisation_level', 'timing_cache')
"""Extras that only the builder reads; known here so that they are no mistake."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How an engine is run.

    Attributes:
        memory: 'pinned' copies between pinned host and device buffers; 'mapped' lets an
            integrated GPU use host memory in place; 'auto' is mapped on an integrated GPU and
            pinned on any other.
        cuda: which Python layer is used for CUDA; 'auto' prefers PyCUDA.
        cuda_graph: launch each frame as one recorded CUDA graph.
        dla_core: deep learning accelerator to load the engine for; -1 for the GPU.
        unrecorded: take an engine that has no record of what it was built for.
    """

    memory: MemoryMode = 'pinned'
    cuda: CudaLayer = 'auto'
    cuda_graph: bool = False
    dla_core: int = -1
    unrecorded: bool = False

    def mapped(self, device: DeviceInfo) -> bool:
        """Whether buffers are mapped.

        Raises:
            CompileFailed: mapped memory was asked for on a GPU with memory of its own.
        """
        if self.memory == 'mapped' and not device.integrated:
            raise CompileFailed(
                f'memory: mapped on {device}, which has memory of its own',
                expected='an integrated GPU',
                remedy='set memory: pinned',
            )
        return self.memory != 'pinned' and device.integrated


def run_options(options: CompileOptions) -> RunOptions:
    """Read ``options.extra``.

    Raises:
        CompileFailed: an unknown name or value.
    """
    values: dict[str, str] = {}
    for name, value in options.extra:
        known = (*_CHOICES, _DLA_CORE, *BUILD_OPTIONS)
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise CompileFailed(
                f"the tensorrt backend has no option '{name}'",
                expected=' or '.join(near or known),
            )
        values[name] = value.strip().lower()
    for name, choices in _CHOICES.items():
        if values.setdefault(name, choices[0]) not in choices:
            raise CompileFailed(f'{name}: {values[name]}', expected=' or '.join(choices))
    return RunOptions(
        cast(MemoryMode, values['memory']),
        cast(CudaLayer, values['cuda']),
        values['cuda_graph'] == 'true',
        _core(values.get(_DLA_CORE, '-1')),
        values['unrecorded'] == 'true',
    )


def _core(text: str) -> int:
    try:
        core = int(text)
    except ValueError:
        core = -2
    if core < -1:
        raise CompileFailed(f'{_DLA_CORE}: {text}', expected='0, 1, ... or -1 for the GPU')
    return core
