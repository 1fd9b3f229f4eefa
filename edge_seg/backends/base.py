"""The protocol of an inference backend and the values that it takes and gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.values import (
    AnyArray,
    ArtifactFormat,
    ColorOrder,
    DecodedImage,
    ModelSpec,
    OutputKind,
    TensorSpec,
)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend can run here.

    Attributes:
        available: SDK, driver and at least one device are usable.
        version: version of the SDK, '' when it is missing.
        devices: names accepted as ``device`` here, e.g. ('CPU', 'GPU.0', 'AUTO').
        reason: why not, '' when available.
        remedy: the install hint, '' when available.
    """

    available: bool
    version: str = ''
    devices: tuple[str, ...] = ()
    reason: str = ''
    remedy: str = ''


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How a model is compiled.

    Attributes:
        device: a name from ``Availability.devices``; 'AUTO' lets the backend choose.
        threads: inference threads, 0 = the backend's own choice, which may leave a core free.
        pin_threads: bind inference threads to cores. Off by default: a robot has other busy
            processes, and two pinned processes sit on the same core.
        precision: 'auto' leaves it to the backend; a named one is met or refused, never
            replaced silently.
        device_precision: with precision 'auto', let the device compute in the precision that suits
            it best, such as bf16 on a processor with AMX; else it is the model's own.
        cache_dir: where compiled blobs are kept; None = no cache.
        argmax_in_graph: take the winning class inside the graph, when the backend can.
        extra: backend-specific settings as name/value pairs, passed through. A name with a dot,
            as in ('tensorrt.memory', 'auto'), is meant for the backend before the dot only.
    """

    device: str = 'AUTO'
    threads: int = 0
    pin_threads: bool = False
    precision: Literal['auto', 'fp32', 'fp16', 'bf16', 'int8'] = 'auto'
    device_precision: bool = False
    cache_dir: Path | None = None
    argmax_in_graph: bool = False
    extra: tuple[tuple[str, str], ...] = field(default=())

    def for_backend(self, name: str) -> 'CompileOptions':
        """Give what concerns one backend: its own settings without its name, no other's."""
        meant = (
            (setting, value)
            for backend, setting, value in map(_split, self.extra)
            if backend in ('', name)
        )
        return replace(self, extra=tuple(meant))


def _split(pair: tuple[str, str]) -> tuple[str, str, str]:
    backend, _, setting = pair[0].rpartition('.')
    return backend, setting, pair[1]


@dataclass(frozen=True, slots=True)
class CompileReport:
    """What compiling came to.

    Attributes:
        backend: registry name.
        backend_version: version of the SDK.
        device: full name of the device taken, e.g. 'CPU (Intel Xeon ...)'.
        precision: effective precision of the computation, e.g. 'fp32'.
        fused: what was built into the graph, e.g. ('uint8_input', 'normalise', 'argmax').
        from_cache: True when a cached blob was loaded in place of compiling.
    """

    backend: str
    backend_version: str
    device: str
    precision: str
    fused: tuple[str, ...] = ()
    from_cache: bool = False


class CompiledModel(Protocol):
    """A model ready to run. One thread at a time calls ``infer``; ``close`` comes from any."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs as the caller must fill them.

        uint8 means raw pixels in the model's colour order: normalisation happens inside. Any
        float dtype: the caller normalises.
        """

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs as ``infer`` gives them."""

    @property
    def output_kind(self) -> OutputKind:
        """Meaning of ``outputs[0]``; LABELS when argmax was built into the graph."""

    @property
    def report(self) -> CompileReport:
        """What compiling came to."""

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        """Run one batch.

        Args:
            tensors: one C-contiguous array per input, with its shape and dtype.

        Returns:
            One array per output. They may be the backend's own buffers: valid until the next
            call of ``infer`` or ``close``, not to be written to.

        Raises:
            InferenceFailed: the backend failed; the model may be used again.
        """

    def close(self) -> None:
        """Free everything; twice is fine, and it never raises.

        ``infer`` afterwards raises InferenceFailed.
        """


@runtime_checkable
class LendsInput(Protocol):
    """The part of a CompiledModel whose input must lie in memory of its own kind.

    What is written there need not be copied there. A model that runs on any array has no use for
    this.
    """

    def infer_written(self, write: Callable[[AnyArray], None]) -> Sequence[AnyArray]:
        """Run what ``write`` puts into the model's own memory; otherwise as ``infer``.

        Args:
            write: called once, before this returns, with an array as ``inputs[0]`` says, which it
                must not touch afterwards. It is the same object as in the last call when nothing
                else has been written there since. For one writer only: two would each take for
                their own what the other one wrote.

        Raises:
            InferenceFailed: as ``infer``; what ``write`` raises is raised too, and nothing runs.
        """


@runtime_checkable
class TakesImages(Protocol):
    """The part of a CompiledModel that can preprocess on its own device.

    What comes out differs from the preprocessing on the CPU by one grey level at most.
    """

    def prepare_images(self, plan: GeometryPlan, order: ColorOrder) -> None:
        """Make ready for camera images of one size; takes seconds. From any thread.

        Args:
            plan: where the camera image lies in the network's input.
            order: channels of the camera image.

        Raises:
            BackendUnavailable: something is missing on this machine.
            CompileFailed: this device cannot do it.
        """

    def takes_images(self, plan: GeometryPlan, order: ColorOrder) -> bool:
        """Whether ``infer_image`` takes such images now; from any thread."""

    def infer_image(self, image: DecodedImage, plan: GeometryPlan) -> Sequence[AnyArray]:
        """Run one frame; otherwise as ``CompiledModel.infer``."""


class Backend(Protocol):
    """An inference engine."""

    name: str
    formats: tuple[ArtifactFormat, ...]
    """Artifact formats it takes, best first."""

    def probe(self) -> Availability:
        """Say whether the backend can run here; never raises, imports its SDK on demand."""

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Load and compile.

        Args:
            artifact: main file, in one of ``formats``.
            spec: what the manifest declares; compared with what the file really has.
            options: device, threads, cache and so on.

        Raises:
            BackendUnavailable: SDK, driver or device missing.
            CompileFailed: the file cannot be read or compiled.
            IncompatibleModel: the file's inputs or outputs are not what ``spec`` says.
        """


class PrebuildingBackend(Backend, Protocol):
    """A backend whose compilation can be done ahead, in another process."""

    prebuilt_suffix: str
    """Ending of the files that ``build`` writes and ``compile_model`` takes."""

    def build(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, out_path: Path
    ) -> CompileReport:
        """Compile into a file that ``compile_model`` only has to import.

        The file belongs to this SDK version, device and ``spec``; ``compile_model`` refuses it
        anywhere else. It appears under its name only when it is whole.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel: as ``compile_model``.
        """
