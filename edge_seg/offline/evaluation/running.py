"""Models run as the node runs them: same loading, same pre- and postprocessing, timed by stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import EngineBuilding
from edge_seg.backends.registry import AUTO, choose
from edge_seg.core.values import ArtifactFormat, DecodedImage, LabelArray, ModelSpec, Size
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact
from edge_seg.models.package import ModelPackage
from edge_seg.offline.evaluation.results import Latency, ModelRun
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions, LoadedModel
from edge_seg.runtime.parameters.settings import SegmentationSettings
import numpy as np

WARM_UP_RUNS = 5
CACHE_LIMIT_BYTES = 1 << 40
"""Nothing is removed from the node's cache here: the node knows its own limit."""
FRAME_PATH = (Stage.PREPROCESS, Stage.INFER, Stage.POSTPROCESS)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """On what a model is run.

    Attributes:
        backend: registry name or 'auto'.
        compile: device, threads, precision.
    """

    backend: str = AUTO
    compile: CompileOptions = CompileOptions()


AS_THE_NODE = RunOptions(compile=CompileOptions(device_precision=True))
"""What a node has without parameters."""


class RunningModel:
    """A loaded model that notes how long each stage of each frame takes; for one thread.

    Args:
        loaded: from ``CandidateFactory``; closed by ``running_model``.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._laps: dict[Stage, list[float]] = {stage: [] for stage in FRAME_PATH}

    @property
    def spec(self) -> ModelSpec:
        """What the manifest declares."""
        return self.model.spec

    @property
    def model(self) -> ServingModel:
        """What the node would serve."""
        return self.loaded.model

    @property
    def run(self) -> ModelRun:
        """Describe the model as it runs."""
        package, report = self.loaded.package, self.model.report
        artifact_format, size = self.artifact.format, artifact_bytes(package, self.artifact)
        file = self.loaded.file
        if package.path not in file.parents:  # built from the artifact, into the cache
            artifact_format, size = ArtifactFormat.TENSORRT_ENGINE, file.stat().st_size
        return ModelRun(
            model=package.identity,
            model_sha256=package.manifest_sha256,
            backend=report.backend,
            backend_version=report.backend_version,
            device=report.device,
            precision=report.precision,
            format=artifact_format.value,
            size_bytes=size,
        )

    @property
    def artifact(self) -> Artifact:
        """The artifact that the backend took."""
        artifact = self.loaded.package.manifest.artifact(self.loaded.choice.artifact_format)
        assert artifact is not None, 'the backend took it from the manifest'
        return artifact

    def segment(self, image: DecodedImage) -> LabelArray:
        """Make the mask of one image, exactly as the node does.

        Raises:
            InferenceFailed: the backend failed.
        """
        watch = Stopwatch()
        labels = self.model.segment(image, confidence=False, watch=watch).labels
        for stage, duration_s in watch.laps:
            self._laps[stage].append(duration_s)
        return labels

    def latency(self, stage: Stage) -> Latency:
        """Summarise one stage of the frames so far."""
        return summarise(self._laps[stage])

    @property
    def total(self) -> Latency:
        """Summarise from decoded frame to mask."""
        return summarise(self.totals_s)

    @property
    def totals_s(self) -> list[float]:
        """Give the seconds of each frame so far."""
        return [sum(laps) for laps in zip(*self._laps.values(), strict=True)]


@contextmanager
def running_model(
    stores: LayeredStore, model: str | ModelPackage, options: RunOptions
) -> Iterator[RunningModel]:
    """Load, check and warm a model; it is closed at the end of the block.

    Args:
        stores: where names are looked up.
        model: what was asked for, or a package that was found before.
        options: on what it runs.

    Raises:
        ModelNotFound, ManifestInvalid, IntegrityError, StoreError: there is no such model.
        ModelRejected: names the stage that failed.
    """
    package = stores.resolve(model) if isinstance(model, str) else model
    factory = CandidateFactory(
        stores,
        CandidateOptions(options.backend, options.compile, warmup_runs=WARM_UP_RUNS),
        _engines(package, options),
    )
    prepared = factory.prepare(package, on_stage=lambda stage: None)
    loaded = factory.bring_up(prepared, camera=Size(640, 480), on_stage=lambda stage: None)
    try:
        yield RunningModel(loaded)
    finally:
        loaded.model.close()


def _engines(package: ModelPackage, options: RunOptions) -> Builder | None:
    """Give what finds engines in the node's cache; None where the backend needs none."""
    formats = [artifact.format for artifact in package.manifest.artifacts]
    if not isinstance(choose(options.backend, formats).backend, EngineBuilding):
        return None
    folder = SegmentationSettings.from_values({}).cache_directory()
    if folder is None:
        return None
    cache = BuildCache(folder, limit_bytes=CACHE_LIMIT_BYTES)
    return Builder(cache, options.compile, engines='never')


def artifact_bytes(package: ModelPackage, artifact: Artifact) -> int:
    """Return the size of an artifact, all its files."""
    return sum(package.path_of(file).stat().st_size for file in artifact.files)


def summarise(durations_s: list[float]) -> Latency:
    """Return median and 95th percentile in milliseconds; of nothing, NaN."""
    if not durations_s:
        return Latency(float('nan'), float('nan'))
    p50, p95 = np.percentile(durations_s, [50, 95]) * 1e3
    return Latency(float(p50), float(p95))
