"""What a backend tells of the layers that it executes, and the protocol of those that do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """One layer as the backend executes it.

    Attributes:
        name: of the layer; of several layers when the backend has fused them.
        kind: e.g. 'Convolution'.
        implementation: kernel that the backend took, '' when it does not tell.
        precision: e.g. 'int8', '' when the backend does not tell.
        mean_ms: mean of the runs; None when the backend tells the layers, but not their time.
    """

    name: str
    kind: str
    implementation: str
    precision: str
    mean_ms: float | None


@runtime_checkable
class LayerProfiling(Protocol):
    """A backend that tells the layers of a model, with or without their times."""

    def profile_layers(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, *, runs: int
    ) -> tuple[LayerTime, ...]:
        """Run a model on noise and give its layers, slowest first.

        Args:
            artifact: what ``compile_model`` takes.
            spec: what the manifest declares.
            options: as for ``compile_model``.
            runs: inferences to average over, after some to warm up.

        Returns:
            The layers that take part; empty when the backend was told to hide them.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel: as ``compile_model``.
            InferenceFailed: it does not run.
        """
