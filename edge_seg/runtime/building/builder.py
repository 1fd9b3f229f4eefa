"""Compiles models ahead, in a child process, into the cache."""

from pathlib import Path
import subprocess
import sys
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import EngineBuilding
from edge_seg.backends.registry import BackendChoice
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import CompileFailed
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.building.build_cache import BuildCache, cache_key
from edge_seg.runtime.building.build_worker import BuildAnswer, BuildRequest, child_environment
from edge_seg.runtime.building.engine_builds import BuildMode, EngineBuilds, Prebuilt, tell_nobody
from edge_seg.runtime.building.engine_child import OnBuild
from edge_seg.runtime.building.memory import BUILD_LESS, check_fits

WATCH_S = 0.2


class Builder:
    """Gives the file that a backend loads fastest, building it when it is not in the cache.

    Args:
        cache: where compiled models are kept.
        options: what they are compiled for.
        engines: whether engines, which take minutes, are built or only looked up.
        on_build: told how far the build of an engine is, in the loading thread.
    """

    def __init__(
        self,
        cache: BuildCache,
        options: CompileOptions,
        *,
        engines: BuildMode = 'never',
        on_build: OnBuild = tell_nobody,
    ) -> None:
        self._cache = cache
        self._options = options
        self._cancelled = threading.Event()
        self._engines = EngineBuilds(cache, options, engines, self._cancelled, on_build)

    def prebuilt(
        self,
        package: ModelPackage,
        choice: BackendChoice,
        *,
        refused: str = '',
        build_engines: bool = True,
    ) -> Prebuilt:
        """Give a compiled file for a model, from the cache or freshly built.

        Args:
            package: the model.
            choice: what loads it.
            refused: why the engine that the model came with does not load; '' when it was not
                tried.
            build_engines: False builds no engine this time, whatever is permitted.

        Returns:
            A file that ``choice.backend.compile_model`` takes: a prebuilt one, or the artifact
            itself when the backend cannot build ahead.

        Raises:
            CompileFailed: memory is short, or the child failed, crashed or was cancelled.
            StoreError: the cache cannot be used.
        """
        artifact = package.artifact_for([choice.artifact_format])
        if isinstance(choice.backend, EngineBuilding):
            if choice.artifact_format is ArtifactFormat.TENSORRT_ENGINE:
                return self._engines.published(
                    package, choice.backend, artifact, refused=refused, build=build_engines
                )
            return self._engines.engine(package, choice.backend, artifact, build=build_engines)
        suffix = getattr(choice.backend, 'prebuilt_suffix', '')
        if not suffix:
            return Prebuilt(artifact)
        entry = self._cache.entry(self._key(package, choice), suffix)
        if self._cache.use(entry):
            return Prebuilt(entry)
        with self._cache.building(entry, cancelled=self._cancelled):
            fresh = not self._cache.use(entry)
            if fresh:  # else another node has built it meanwhile
                check_fits(artifact, package, remedy=BUILD_LESS)
                name = choice.backend.name
                options = self._options.for_backend(name)
                request = BuildRequest(name, package.path, artifact, entry, options)
                self._run(request, package.identity)
                self._cache.trim(keep=entry)
        return Prebuilt(entry, fresh)

    def discard(self, entry: Path, reason: str) -> None:
        """Take a cache entry that does not load out of use."""
        self._cache.set_aside(entry, reason)

    def cancel(self) -> None:
        """End the build under way and refuse further ones until ``renew``."""
        self._cancelled.set()

    def renew(self) -> None:
        """Forget an earlier ``cancel``."""
        self._cancelled.clear()

    def _key(self, package: ModelPackage, choice: BackendChoice) -> str:
        options = self._options.for_backend(choice.backend.name)
        return cache_key(
            (
                package.manifest_sha256,  # names the digest of every artifact
                choice.backend.name,
                choice.availability.version,
                choice.artifact_format.value,
                options.device,
                str(options.threads),
                str(options.pin_threads),
                options.precision,
                str(options.device_precision),
                str(options.argmax_in_graph),
                repr(options.extra),
                _processor(),
            )
        )

    def _run(self, request: BuildRequest, identity: str) -> None:
        with subprocess.Popen(
            [sys.executable, '-m', 'edge_seg.runtime.building.build_worker'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
        ) as child:
            output, errors = self._watch(child, request.to_json() + '\n', identity)
        answer = _answer(output, errors, child.returncode, identity)
        if answer.met:
            raise CompileFailed(answer.met, expected=answer.expected, remedy=answer.remedy)

    def _watch(
        self, child: 'subprocess.Popen[str]', request: str, identity: str
    ) -> tuple[str, str]:
        """Wait for the child; it is killed when the build is cancelled."""
        text: str | None = request
        while True:
            try:
                return child.communicate(text, timeout=WATCH_S)
            except subprocess.TimeoutExpired:
                text = None  # communicate keeps what was not written yet
            if self._cancelled.is_set():
                child.kill()
                child.communicate()
                raise CompileFailed(f'building {identity} was cancelled')


def _answer(output: str, errors: str, returncode: int, identity: str) -> BuildAnswer:
    lines = output.strip().splitlines()
    if returncode == 0 and lines:
        return BuildAnswer.from_json(lines[-1])
    told = errors.strip().splitlines()[-1:] or ['it said nothing']
    how = f'signal {-returncode}' if returncode < 0 else f'exit code {returncode}'
    return BuildAnswer(
        f'the process that was building {identity} died ({how}): {told[0]}',
        remedy='the artifact may be damaged, or memory ran out; the kernel log tells',
    )


def _processor() -> str:
    """Name the processor: code compiled for one may not run on another of the same cluster."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            wanted = ('model name', 'flags', 'Features', 'CPU part')
            lines = [line for line in file if line.startswith(wanted)]
    except OSError:
        return ''
    return ''.join(sorted(set(lines)))
