"""What a long build tells while it runs, and the protocol of backends whose builds are long."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Protocol, runtime_checkable

from edge_seg.backends.base import CompileOptions, CompileReport
from edge_seg.core.values import ModelSpec


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        phase: what is being done, in the builder's words.
        share: of the whole build, 0 to 1; None when the builder does not tell.
        elapsed_s: since the build began.
    """

    phase: str
    share: float | None
    elapsed_s: float

    def to_json(self) -> str:
        """Give it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> 'BuildProgress':
        """Read what ``to_json`` wrote."""
        fields = json.loads(line)
        share = fields['share']
        return cls(
            str(fields['phase']),
            None if share is None else float(share),
            float(fields['elapsed_s']),
        )

    def __str__(self) -> str:
        percent = '' if self.share is None else f' {self.share:.0%}'
        return f'{self.phase}{percent}, {self.elapsed_s:.0f} s'


OnProgress = Callable[[BuildProgress], bool]
"""Told how far a build is, from any thread; gives False to cancel it."""


@runtime_checkable
class EngineBuilding(Protocol):
    """A backend that compiles into an engine, which may take minutes: it is never done unasked."""

    name: str
    prebuilt_suffix: str

    def build_key_parts(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> tuple[str, ...]:
        """Give everything that changes the engine, so that a cache can tell engines apart.

        Raises:
            BackendUnavailable, CompileFailed: as ``build_engine``, as far as it shows by now.
        """

    def entry_problem(self, engine: Path, parts: tuple[str, ...]) -> str:
        """Say why an engine is not the one that these key parts stand for; '' when it is."""

    def mismatch(self, engine: Path, artifact: Path, options: CompileOptions) -> str:
        """Say why an engine that a model came with is not what is asked for; '' when it is.

        Args:
            engine: built elsewhere or earlier.
            artifact: what another one would be built from.
            options: what is asked for.

        Raises:
            BackendUnavailable: SDK, driver or device missing.
            CompileFailed: others can write what is known of the engine, or an option is wrong.
        """

    def build_engine(
        self,
        artifact: Path,
        spec: ModelSpec,
        options: CompileOptions,
        out_path: Path,
        *,
        on_progress: OnProgress | None,
    ) -> CompileReport:
        """Compile into ``out_path``, which appears only when it is whole.

        Raises:
            BackendUnavailable: SDK, driver or device missing.
            CompileFailed: the artifact cannot be compiled as asked, or ``on_progress`` gave False.
            IncompatibleModel: the artifact is not what ``spec`` says.
        """

    def build_command(self, identity: str, options: CompileOptions) -> str:
        """Give the command line that builds the engine of model ``identity``."""
