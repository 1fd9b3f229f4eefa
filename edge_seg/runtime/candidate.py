"""Makes a model that can serve from a name, stage by stage, or says which stage refused it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
import time

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import BackendChoice, choose
from edge_seg.core.values import DecodedImage, Size
from edge_seg.errors import EdgeSegError, InferenceFailed, LoadStage, ModelRejected
from edge_seg.models.store import ModelPackage, ModelStore, verify_artifacts
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.stopwatch import Stopwatch
import numpy as np

OnStage = Callable[[LoadStage], None]


@dataclass(frozen=True, slots=True)
class CandidateOptions:
    """How candidates are made.

    Attributes:
        backend: 'auto' or the name of a backend.
        compile: device, threads, precision, cache.
        warmup_runs: inferences before a model may serve; the first one is slow everywhere.
    """

    backend: str
    compile: CompileOptions
    warmup_runs: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What warming up measured, in seconds: a robot's first frame does not pay ``first_s``."""

    first_s: float
    steady_s: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that passed every stage before the swap."""

    package: ModelPackage
    model: ServingModel
    choice: BackendChoice
    warm_up: WarmUp


class CandidateFactory:
    """Resolves, verifies, loads, checks and warms models. One thread at a time."""

    def __init__(self, store: ModelStore, options: CandidateOptions) -> None:
        self._store = store
        self._options = options

    def resolve(self, request: str) -> ModelPackage:
        """Find the model that ``request`` names; quick, touches manifests only.

        Raises:
            ModelRejected: at RESOLVE.
        """
        with _stage(LoadStage.RESOLVE):
            return self._store.resolve(request)

    def reference(self, package: ModelPackage) -> str:
        """Give the text that ``resolve`` turns into this package again."""
        inside = package.path.parent.parent == self._store.root
        return package.identity if inside else str(package.path)

    def make(self, package: ModelPackage, *, camera: Size | None, on_stage: OnStage) -> Candidate:
        """Take a resolved model through every stage before the swap.

        Args:
            package: what ``resolve`` gave.
            camera: present size of the camera image, for the warm-up; None when unknown.
            on_stage: told of each stage as it begins.

        Raises:
            ModelRejected: names the stage; nothing stays loaded.
        """
        spec = package.manifest.spec
        with _stage(LoadStage.VERIFY, on_stage):
            verify_artifacts(package)
        with ExitStack() as undo:
            with _stage(LoadStage.LOAD, on_stage):
                formats = [artifact.format for artifact in package.manifest.artifacts]
                choice = choose(self._options.backend, formats)
                artifact = package.artifact_for(choice.backend.formats)
                compiled = choice.backend.compile_model(artifact, spec, self._options.compile)
                undo.callback(compiled.close)
            with _stage(LoadStage.CHECK, on_stage):
                model = ServingModel(spec, compiled, sha256=package.manifest_sha256)
            with _stage(LoadStage.WARM, on_stage):
                warm_up = warm(model, camera or spec.input.size, runs=self._options.warmup_runs)
            undo.pop_all()
        return Candidate(package=package, model=model, choice=choice, warm_up=warm_up)


def warm(model: ServingModel, camera: Size, *, runs: int) -> WarmUp:
    """Run a model on noise at camera geometry until it is at speed.

    Raises:
        InferenceFailed: it fails or gives NaN or infinite scores.
    """
    noise = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), np.uint8)
    image = DecodedImage(pixels=noise, order='rgb')
    durations_s = []
    for _ in range(max(1, runs)):
        begin_s = time.monotonic()
        model.segment(image, confidence=True, watch=Stopwatch())
        durations_s.append(time.monotonic() - begin_s)
    if not model.outputs_are_finite(image):
        raise InferenceFailed(
            f'{model.identity} gives NaN or infinite scores',
            expected='finite numbers',
            remedy='check the exported weights and the precision (try precision: fp32)',
        )
    return WarmUp(first_s=durations_s[0], steady_s=durations_s[-1])


@contextmanager
def _stage(stage: LoadStage, on_stage: OnStage | None = None) -> Iterator[None]:
    """Give errors inside the block the name of the stage."""
    if on_stage is not None:
        on_stage(stage)
    try:
        yield
    except ModelRejected:
        raise
    except EdgeSegError as error:
        raise ModelRejected(
            stage, error.met, expected=error.expected, remedy=error.remedy
        ) from error
