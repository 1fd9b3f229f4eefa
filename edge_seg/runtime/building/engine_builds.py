"""Gives the engine of a model from the cache, and builds it when that is permitted."""

from dataclasses import dataclass, replace
import logging
from pathlib import Path
import shlex
import threading
from typing import Literal

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import BuildProgress, EngineBuilding
from edge_seg.backends.registry import BackendChoice
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import CompileFailed, NotBuilt
from edge_seg.models.package import ModelPackage
from edge_seg.runtime.building.build_cache import BuildCache, cache_key
from edge_seg.runtime.building.build_worker import BuildRequest
from edge_seg.runtime.building.engine_child import OnBuild, run_build
from edge_seg.runtime.building.memory import BUILD_LESS, check_fits

logger = logging.getLogger(__name__)

BuildMode = Literal['on_demand', 'never']
TIMING_CACHE = 'timing_cache'
_TIMINGS = '.timings'
"""In the cache's folder; the dot keeps it from being counted and removed as an entry."""


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """What a backend loads.

    Attributes:
        file: compiled ahead, or the artifact itself.
        fresh: it was compiled just now, for whoever asked.
    """

    file: Path
    fresh: bool = False


def tell_nobody(progress: BuildProgress) -> None:
    """Ignore how far a build is."""


@dataclass(frozen=True, slots=True)
class EngineBuilds:
    """Engines of one cache.

    Attributes:
        cache: where they are kept.
        options: what they are built for.
        mode: 'never' refuses a model without an engine, naming the command that builds it.
        cancelled: ends the build under way and refuses further ones.
        on_build: told how far a build is, in the calling thread.
    """

    cache: BuildCache
    options: CompileOptions
    mode: BuildMode
    cancelled: threading.Event
    on_build: OnBuild = tell_nobody

    def engine(
        self,
        package: ModelPackage,
        backend: EngineBuilding,
        artifact: Path,
        *,
        build: bool = True,
    ) -> Prebuilt:
        """Give the engine of a model.

        Args:
            package: the model.
            backend: what builds and loads it.
            artifact: the model's file that it is built from; an engine is given back as it is.
            build: False only looks for it this time.

        Raises:
            BackendUnavailable: SDK, driver or device missing.
            CompileFailed: there is none and none may be built, or the build failed, crashed or
                was cancelled.
            IncompatibleModel: the artifact is not what the manifest says.
            StoreError: the cache cannot be used.
        """
        suffix = backend.prebuilt_suffix
        if artifact.suffix == suffix:
            return Prebuilt(artifact)
        spec = package.manifest.spec
        options = self.options.for_backend(backend.name)
        parts = backend.build_key_parts(artifact, spec, options)
        key = cache_key((package.manifest_sha256, backend.name, *parts))
        entry = self.cache.entry(key, suffix)
        problem = self._problem(backend, entry, parts)
        if not problem:
            return Prebuilt(entry)
        if not build or self.mode == 'never':
            raise NotBuilt(
                f'{package.identity} has no {backend.name} engine for this machine ({problem}), '
                'and building takes minutes',
                remedy=f'run once: {_command(package, backend, options, entry)}'
                + ('; or set build: on_demand' if self.mode == 'never' else ''),
            )
        with self.cache.building(entry, cancelled=self.cancelled):
            problem = self._problem(backend, entry, parts)
            if problem:  # else another node has built it meanwhile
                if entry.exists():
                    self.cache.set_aside(entry, problem)
                check_fits(artifact, package, remedy=BUILD_LESS)
                self._build(package, backend.name, artifact, entry)
                self._check_built(backend, entry, parts)
                self.cache.trim(keep=entry)
        return Prebuilt(entry, fresh=bool(problem))

    def published(
        self,
        package: ModelPackage,
        backend: EngineBuilding,
        engine: Path,
        *,
        refused: str = '',
        build: bool = True,
    ) -> Prebuilt:
        """Give the engine that a model came with, or one as asked for when it is another.

        Args:
            package: the model.
            backend: what builds and loads it.
            engine: came with the model.
            refused: why the backend does not load it; '' when it was not tried.
            build: as of ``engine``.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel, StoreError: as ``engine``.
        """
        source = _network(package)
        if source is None:
            return Prebuilt(engine)
        options = self.options.for_backend(backend.name)
        mismatch = refused or backend.mismatch(engine, source, options)
        if not mismatch:
            return Prebuilt(engine)
        logger.info('the engine that %s came with is passed over: %s', package.identity, mismatch)
        try:
            return self.engine(package, backend, source, build=build)
        except NotBuilt as missing:
            raise NotBuilt(f'{missing.met}; {mismatch}', remedy=missing.remedy) from None

    def _check_built(self, backend: EngineBuilding, entry: Path, parts: tuple[str, ...]) -> None:
        """Refuse what a child built from something else than was verified here."""
        problem = backend.entry_problem(entry, parts)
        if problem:
            self.cache.set_aside(entry, problem)
            raise CompileFailed(
                problem, remedy='the model was changed while it was built: load it again'
            )

    def _problem(self, backend: EngineBuilding, entry: Path, parts: tuple[str, ...]) -> str:
        """Say why the cache has no engine for these key parts; '' when it has one."""
        if not self.cache.use(entry):
            return 'none was built'
        return backend.entry_problem(entry, parts)

    def _build(self, package: ModelPackage, backend: str, artifact: Path, entry: Path) -> None:
        options = self.options.for_backend(backend)
        if TIMING_CACHE not in dict(options.extra):
            timings = (TIMING_CACHE, str(entry.with_name(_TIMINGS)))
            options = replace(options, extra=(*options.extra, timings))
        run_build(
            BuildRequest(backend, package.path, artifact, entry, options),
            identity=package.identity,
            cancelled=self.cancelled,
            on_build=self.on_build,
        )


def without_cache(package: ModelPackage, choice: BackendChoice, options: CompileOptions) -> Path:
    """Give the file that a backend loads where nothing can be built, nor kept.

    Raises:
        NotBuilt: the model has no engine, or one that is not of the network beside it, of this
            machine or as asked for.
        BackendUnavailable, CompileFailed: as ``EngineBuilding.mismatch``.
    """
    backend, artifact = choice.backend, package.artifact_for([choice.artifact_format])
    if not isinstance(backend, EngineBuilding):
        return artifact
    problem = f'{artifact.name} is none'
    if choice.artifact_format is ArtifactFormat.TENSORRT_ENGINE:
        source = _network(package)
        options = options.for_backend(backend.name)
        problem = '' if source is None else backend.mismatch(artifact, source, options)
    if problem:
        raise NotBuilt(
            f'{package.identity} has no {backend.name} engine for this machine ({problem}), '
            'and there is no cache to find one in',
            remedy='set cache_dir, or publish one: edge_seg model build-engine '
            f'{package.identity} --publish-as VERSION',
        )
    return artifact


def _network(package: ModelPackage) -> Path | None:
    """Give the file that an engine is built from, if the model has one."""
    network = package.manifest.artifact(ArtifactFormat.ONNX)
    return None if network is None else package.path_of(network.main)


def _command(
    package: ModelPackage, backend: EngineBuilding, options: CompileOptions, entry: Path
) -> str:
    """Give the command that builds this model into this cache, whoever's defaults apply."""
    spec, store = package.manifest.spec, package.path.absolute().parents[1]
    places = ['--cache-dir', str(entry.absolute().parent)]
    if package.path.absolute() != store / spec.name / spec.version:
        model = str(package.path.absolute())  # it lies in no store
    else:
        model = package.identity
        places += ['--store', str(store)]
    return f'{backend.build_command(model, options)} {shlex.join(places)}'
