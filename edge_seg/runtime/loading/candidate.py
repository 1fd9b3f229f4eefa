"""Makes a model that can serve from a name, stage by stage, or says which stage refused it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, ExitStack
from dataclasses import dataclass
from pathlib import Path
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import AUTO, BackendChoice, choose
from edge_seg.core.values import Size
from edge_seg.errors import CompileFailed, EdgeSegError, LoadStage, ModelRejected
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.models.signature import check_signature, SignaturePolicy
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.building.memory import check_fits, LOAD_LESS
from edge_seg.runtime.frames.feeding import PreprocessMode
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.loading.compiling import ChooseBackend, Compiling, Prepared
from edge_seg.runtime.loading.golden import check_golden
from edge_seg.runtime.loading.warm_up import no_pause, noise, Pause, warm, WarmUp

OnStage = Callable[[LoadStage], None]
CANCELLED = 'loading was cancelled'


@dataclass(frozen=True, slots=True)
class CandidateOptions:
    """How candidates are made.

    Attributes:
        backend: 'auto' or the name of a backend.
        compile: device, threads, precision.
        warmup_runs: inferences before a model may serve; the first one is slow everywhere.
        signatures: which signatures are asked for.
        preprocess: where images are preprocessed.
    """

    backend: str
    compile: CompileOptions
    warmup_runs: int
    signatures: SignaturePolicy = SignaturePolicy()
    preprocess: PreprocessMode = 'cpu'


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that passed every stage before the swap.

    Attributes:
        package: where it came from.
        model: what runs.
        choice: its backend, and why others were not taken.
        file: what the backend loaded.
        warm_up: what warming up measured.
        request: as it was asked for, e.g. 'floor@latest'; '' where nobody asks.
    """

    package: ModelPackage
    model: ServingModel
    choice: BackendChoice
    file: Path
    warm_up: WarmUp
    request: str = ''


class CandidateFactory:
    """Takes models through the stages before the swap. One thread at a time.

    Args:
        store: where names are looked up.
        options: backend, device, warm-up, signatures.
        builder: compiles ahead in a child process; None compiles in this process.
        pause: called before whatever takes the processor for milliseconds; returns when the
            frames in service leave it free.
        choose_backend: replaced in tests.
    """

    def __init__(
        self,
        store: LayeredStore,
        options: CandidateOptions,
        builder: Builder | None = None,
        *,
        pause: Pause = no_pause,
        choose_backend: ChooseBackend = choose,
    ) -> None:
        self._store = store
        self._pause = pause
        self._cancelled = threading.Event()
        self._options = options
        self._builder = builder
        self._compiling = Compiling(options.backend, options.compile, builder, choose_backend)

    @property
    def backend_is_free(self) -> bool:
        """True when the backend is chosen here, not named by the operator."""
        return self._options.backend == AUTO

    def resolve(self, request: str) -> ModelPackage:
        """Find the model that ``request`` names and judge its signature; reads no artifact.

        Raises:
            ModelRejected: at RESOLVE or VERIFY.
        """
        with _stage(LoadStage.RESOLVE):
            package = self._store.resolve(request)
        with _stage(LoadStage.VERIFY):
            check_signature(package, self._options.signatures)
        return package

    def reference(self, package: ModelPackage) -> str:
        """Give the text that ``resolve`` turns into this package again."""
        return self._store.reference(package)

    def prepare(
        self, package: ModelPackage, *, on_stage: OnStage, without: tuple[str, ...] = ()
    ) -> Prepared:
        """Verify a model's files and build it.

        Args:
            package: what ``resolve`` gave.
            on_stage: told of each stage as it begins.
            without: backends that are known not to work, passed over when the choice is free.

        Raises:
            ModelRejected: at VERIFY or BUILD.
        """
        with _stage(LoadStage.VERIFY, on_stage):
            verify_artifacts(package)
        with _stage(LoadStage.BUILD, on_stage):
            return self._compiling.prepare(package, without)

    def bring_up(
        self,
        prepared: Prepared,
        *,
        camera: Size | None,
        on_stage: OnStage,
        build_engines: bool = True,
    ) -> LoadedModel:
        """Load, check and warm a prepared model.

        Args:
            prepared: what ``prepare`` gave.
            camera: present size of the camera image, for the warm-up; None when unknown.
            on_stage: told of each stage as it begins.
            build_engines: False builds none in place of one that does not load.

        Raises:
            ModelRejected: at LOAD, CHECK or WARM; nothing stays loaded.
        """
        package = prepared.package
        spec = package.manifest.spec
        with ExitStack() as undo:
            with _stage(LoadStage.LOAD, on_stage):
                in_use = undo.enter_context(ExitStack())
                in_use.enter_context(self._store.in_use(package))
                check_fits(prepared.prebuilt.file, package, remedy=LOAD_LESS)
                self._take_turn()
                prepared, compiled = self._compiling.compile(prepared, build_engines=build_engines)
                undo.callback(compiled.close)
            with _stage(LoadStage.CHECK, on_stage):
                sha256 = package.manifest_sha256
                model = ServingModel(
                    spec,
                    compiled,
                    sha256=sha256,
                    on_close=in_use.close,
                    preprocess=self._options.preprocess,
                )
            with _stage(LoadStage.WARM, on_stage):
                size, runs = camera or spec.input.size, self._options.warmup_runs
                if camera is not None or self._options.preprocess == 'gpu':
                    model.settle(noise(size))
                warm_up = warm(model, size, runs=runs, pause=self._take_turn)
                self._take_turn()
                check_golden(package, model)
            undo.pop_all()
        choice, file = prepared.choice, prepared.prebuilt.file
        return LoadedModel(package, model, choice, file, warm_up)

    def keep(self, package: ModelPackage) -> AbstractContextManager[None]:
        """Keep a model from being removed from the store while the block runs.

        Raises:
            StoreError: it is gone already.
        """
        return self._store.in_use(package)

    def cancel(self) -> None:
        """Give up the candidate under way, and every later one until ``renew``."""
        self._cancelled.set()
        if self._builder is not None:
            self._builder.cancel()

    def renew(self) -> None:
        """Forget an earlier ``cancel``."""
        self._cancelled.clear()
        if self._builder is not None:
            self._builder.renew()

    @property
    def cancelled(self) -> bool:
        """True when the candidate under way was given up."""
        return self._cancelled.is_set()

    def _take_turn(self) -> None:
        if self.cancelled:
            raise CompileFailed(CANCELLED)
        self._pause()


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
