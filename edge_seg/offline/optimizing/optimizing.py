"""From a model to a smaller, faster version of it: converted, compared, published."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
import time

from edge_seg.errors import StoreError
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.offline.evaluation.frames import open_frames
from edge_seg.offline.evaluation.running import artifact_bytes
from edge_seg.offline.evaluation.scoring import check_all_or_none
from edge_seg.offline.optimizing.attempts import (
    Attempt,
    Attempts,
    facts,
    OnStep,
    OptimizeRequest,
    READING,
    tell_nobody,
)
from edge_seg.offline.optimizing.calibration import Calibration
from edge_seg.offline.optimizing.description import next_version
from edge_seg.offline.optimizing.results import ArtifactSize, OptimizationResult


def optimize(
    stores: LayeredStore, model: str, request: OptimizeRequest, *, on_step: OnStep = tell_nobody
) -> OptimizationResult:
    """Make an optimised version of a model and publish it, whole or not at all.

    Args:
        stores: where the model is looked up; it is published into ``stores.own``.
        model: name, name@version or path.
        request: what is wanted.
        on_step: told how it goes.

    Raises:
        AccuracyLost: more than ``max_drop`` points are lost; nothing is published.
        SourceUnavailable: frames to calibrate or compare with cannot be used, or only some of
            those to compare with have labels.
        BackendUnavailable: NNCF or another tool is missing.
        CompileFailed, IncompatibleModel: the network cannot be optimised.
        ModelRejected: original or result does not run.
        ModelNotFound, ManifestInvalid, IntegrityError, StoreError: as the store says.
    """
    begin_s = time.monotonic()
    original = stores.resolve(model)
    verify_artifacts(original)
    version = _free_version(stores, original, request.version)
    data = open_frames(request.data, progress=lambda found, _: on_step(READING, found, 0))
    check_all_or_none(data, request.data.pairing)
    with TemporaryDirectory(prefix='edge_seg_optimize_') as scratch:
        work = Attempts(stores, original, request, data, version, Path(scratch), on_step)
        calibration = work.calibration()
        attempt = work.best(calibration)
        on_step('publishing', 0, 0)
        published = stores.own.publish(work.described(attempt, calibration))
    return _result(work, attempt, calibration, published, time.monotonic() - begin_s)


def _free_version(stores: LayeredStore, original: ModelPackage, wanted: str) -> str:
    name = original.manifest.spec.name
    version = wanted or next_version(stores, original)
    if (stores.own.root / name / version).exists():
        raise StoreError(
            f'{name}@{version} is in the store already',
            expected='a new version: a published one never changes',
        )
    return version


def _result(
    work: Attempts,
    attempt: Attempt,
    calibration: Calibration | None,
    published: ModelPackage,
    elapsed_s: float,
) -> OptimizationResult:
    compared = attempt.comparison
    before, after = compared.original, compared.optimized
    run = replace(after.run, model_sha256=published.manifest_sha256)
    return OptimizationResult(
        precision=work.request.precision,
        original=before,
        optimized=replace(after, run=run),
        artifacts=_sizes(work.original, published, before.run.size_bytes),
        calibration=facts(calibration),
        data=work.data.description,
        frames=compared.frames,
        agreement=compared.agreement,
        agreement_miou=compared.agreement_miou,
        miou_drop=compared.miou_drop,
        size_ratio=after.run.size_bytes / before.run.size_bytes,
        infer_ratio=after.infer.p50_ms / before.infer.p50_ms,
        total_ratio=after.total.p50_ms / before.total.p50_ms,
        kept=attempt.converted.kept,
        elapsed_s=elapsed_s,
    )


def _sizes(
    original: ModelPackage, published: ModelPackage, main_bytes: int
) -> tuple[ArtifactSize, ...]:
    sizes = []
    for artifact in published.manifest.artifacts:
        same = original.manifest.artifact(artifact.format)
        before = main_bytes if same is None else artifact_bytes(original, same)
        size = artifact_bytes(published, artifact)
        sizes.append(
            ArtifactSize(format=artifact.format.value, size_bytes=size, share=size / before)
        )
    return tuple(sizes)
