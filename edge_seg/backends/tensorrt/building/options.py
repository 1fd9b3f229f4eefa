"""The settings of a TensorRT build, from ``CompileOptions``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
import shlex

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.cuda.opening import CudaLayer
from edge_seg.backends.tensorrt.files.key import EngineKey
from edge_seg.backends.tensorrt.library.translate import BUILD_COMMAND
from edge_seg.backends.tensorrt.options import run_options
from edge_seg.errors import CompileFailed

WORKSPACE, LEVEL, TIMING_CACHE = 'workspace_mib', 'optimisation_level', 'timing_cache'
DEFAULT_LEVEL = 3
MAX_LEVEL = 5
# TensorRT's own default is all memory of the GPU, on Jetson that of the whole robot.
WORKSPACE_INTEGRATED_MIB = 1024
WORKSPACE_DISCRETE_MIB = 4096
_READ_HERE = (WORKSPACE, LEVEL, TIMING_CACHE)
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        precision: 'auto' takes the types of the ONNX file; a named one is met or refused.
        workspace_mib: most scratch memory a layer may take; 0 = a bound that suits the GPU.
        optimisation_level: 0 (fast build) to 5 (fast engine).
        dla_core: deep learning accelerator to build for; -1 for the GPU.
        timing_cache: file that makes later builds faster; None = none.
        cuda: which Python layer is used for CUDA.
    """

    precision: str = 'auto'
    workspace_mib: int = 0
    optimisation_level: int = DEFAULT_LEVEL
    dla_core: int = -1
    timing_cache: Path | None = None
    cuda: CudaLayer = 'auto'

    def unmet_by(self, key: EngineKey) -> str:
        """Say which settings an engine with this key does not meet; '' for none.

        One left at its default takes the engine as it is, but for the accelerator: an engine runs
        on the one that it was built for.
        """
        pairs: list[tuple[str, object, object]] = [('DLA core', self.dla_core, key.dla_core)]
        if self.precision != 'auto':
            pairs.append(('precision', self.precision, key.precision))
        if self.precision == 'fp32':
            pairs.append(('TF32', 'off', 'on' if key.tf32 else 'off'))
        if self.workspace_mib:
            pairs.append(('workspace MiB', self.workspace_mib, key.workspace_bytes // _MIB))
        if self.optimisation_level != DEFAULT_LEVEL:
            pairs.append(('level', self.optimisation_level, key.optimisation_level))
        return '; '.join(
            f'{what} {own}, asked for is {wanted}' for what, wanted, own in pairs if wanted != own
        )

    def workspace_bytes(self, device: DeviceInfo) -> int:
        """Give the limit for a GPU."""
        bound = WORKSPACE_INTEGRATED_MIB if device.integrated else WORKSPACE_DISCRETE_MIB
        return (self.workspace_mib or bound) * _MIB


def build_options(options: CompileOptions) -> BuildOptions:
    """Read what concerns the build; the rest is checked too.

    Raises:
        CompileFailed: an unknown name or value.
    """
    own = {name: value for name, value in options.extra if name in _READ_HERE}
    rest = tuple(pair for pair in options.extra if pair[0] not in _READ_HERE)
    running = run_options(replace(options, extra=rest))
    cache = own.get(TIMING_CACHE, '')
    return BuildOptions(
        options.precision,
        _number(own, WORKSPACE, 0, largest=1 << 20),
        _number(own, LEVEL, DEFAULT_LEVEL, largest=MAX_LEVEL),
        running.dla_core,
        Path(cache).expanduser() if cache else None,
        running.cuda,
    )


def command_line(identity: str, options: CompileOptions) -> str:
    """Give the command that builds with these options what the loader would build."""
    wanted = build_options(options)
    words = [*BUILD_COMMAND.split(), identity]
    if wanted.precision != 'auto':
        words += ['--precision', wanted.precision]
    if wanted.workspace_mib:
        words += ['--workspace', str(wanted.workspace_mib)]
    if wanted.optimisation_level != DEFAULT_LEVEL:
        words += ['--opt-level', str(wanted.optimisation_level)]
    if wanted.dla_core >= 0:
        words += ['--dla-core', str(wanted.dla_core)]
    if wanted.cuda != 'auto':
        words += ['--cuda', wanted.cuda]
    _, _, index = options.device.partition('.')
    if index:
        words += ['--device', index]
    return shlex.join(words)


def _number(values: Mapping[str, str], name: str, default: int, *, largest: int) -> int:
    text = values.get(name, str(default)).strip()
    if not text.isdecimal() or int(text) > largest:
        raise CompileFailed(f'{name}: {text}', expected=f'0 to {largest}')
    return int(text)
