"""What a report says, collected from the model, the store beside it and the KPI database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_seg.errors import IntegrityError
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, signed_bytes
from edge_seg.models.reference import version_key
from edge_seg.models.signature import check_signature, SignaturePolicy, SignatureReport
from edge_seg.offline.kpi.comparing import differences
from edge_seg.offline.kpi.run import KpiRow
from edge_seg.offline.reporting.samples import Samples

LABELS = 'labels'
"""Truth of an evaluation against label maps, as ``EvaluationResult`` has it."""


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """One class: name, colour as in the manifest, IoU 0-1 or None, pixels that truly are it."""

    name: str
    color: tuple[int, int, int]
    iou: float | None
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """An evaluation of this very model.

    Attributes:
        row: where it stands in the KPI database.
        data: the frames in words.
        truth: 'labels', or the model whose masks stood in for them.
        frames: how many.
        miou: 0-1, or None.
        pixel_accuracy: 0-1, or None.
        classes: in the order of their ids.
        confusion: pixels as [truth][prediction]; the last column is 'no class'.
    """

    row: KpiRow
    data: str
    truth: str
    frames: int
    miou: float | None
    pixel_accuracy: float | None
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the model, this one too.

    Attributes:
        package: in the store.
        size_bytes: of all its files.
        labels: that point to it.
        run: its newest run that is comparable, or None.
    """

    package: ModelPackage
    size_bytes: int
    labels: tuple[str, ...]
    run: KpiRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """All that a report says.

    Attributes:
        package: the model.
        manifest_text: its manifest as it stands in the file.
        signature: what its signature is worth; None when it is wrong.
        signature_problem: why it is wrong, or ''.
        accuracy: the newest evaluation against labels, else against a model; or None.
        runs: the newest run of each kind, backend, device and precision, newest first.
        versions: of this name, newest first.
        samples: frames with masks.
    """

    package: ModelPackage
    manifest_text: str
    signature: SignatureReport | None
    signature_problem: str
    accuracy: Accuracy | None
    runs: tuple[KpiRow, ...]
    versions: tuple[Version, ...]
    samples: Samples


def collect(
    stores: LayeredStore,
    package: ModelPackage,
    rows: Sequence[KpiRow],
    samples: Samples,
    policy: SignaturePolicy | None = None,
) -> ModelReport:
    """Collect what a report says.

    Args:
        stores: where other versions are looked for.
        package: the model.
        rows: of the KPI database, oldest first.
        samples: frames with masks.
        policy: which keys are trusted; None = none.

    Raises:
        IntegrityError, ManifestInvalid: the manifest changed meanwhile.
        SettingsInvalid: a key cannot be used.
    """
    signature, problem = None, ''
    try:
        signature = check_signature(package, policy or SignaturePolicy())
    except IntegrityError as error:
        problem = str(error)
    own = [row for row in reversed(rows) if row.run.model_sha256 == package.manifest_sha256]
    accuracy = _accuracy(own, package)
    like = accuracy.row if accuracy is not None else next(iter(own), None)
    return ModelReport(
        package=package,
        manifest_text=signed_bytes(package).decode('utf-8', 'replace'),
        signature=signature,
        signature_problem=problem,
        accuracy=accuracy,
        runs=_newest(own),
        versions=_versions(stores, package, rows, like),
        samples=samples,
    )


def size_of(package: ModelPackage) -> int:
    """Return the bytes of a model's files."""
    return sum(package.path_of(file).stat().st_size for file in package.manifest.files())


def _newest(rows: Sequence[KpiRow]) -> tuple[KpiRow, ...]:
    """Keep the first row of each sort."""
    kept: dict[tuple[str, ...], KpiRow] = {}
    for row in rows:
        if row.run.p50_ms is not None:
            sort = (row.run.kind, row.run.backend, row.run.device, row.run.precision)
            kept.setdefault(sort, row)
    return tuple(kept.values())


def _versions(
    stores: LayeredStore, package: ModelPackage, rows: Sequence[KpiRow], like: KpiRow | None
) -> tuple[Version, ...]:
    found = []
    for listed in stores.entries():
        other = listed.entry.package
        if other is None or other.manifest.spec.name != package.manifest.spec.name:
            continue
        run = like if like is not None and other.path == package.path else None
        if run is None:
            own = [r for r in reversed(rows) if r.run.model_sha256 == other.manifest_sha256]
            run = next((row for row in own if _comparable(row, like)), None)
        found.append(Version(other, size_of(other), listed.entry.labels, run))
    newest = sorted(found, key=lambda one: version_key(one.package.manifest.spec.version))
    return tuple(reversed(newest))


def _comparable(row: KpiRow, like: KpiRow | None) -> bool:
    """Say whether a run is of the same sort, on the same machine, over the same frames."""
    return like is None or not differences(row.run, like.run)


def _accuracy(rows: Sequence[KpiRow], package: ModelPackage) -> Accuracy | None:
    known = [found for row in rows if (found := _read(row, package)) is not None]
    best = [each for each in known if each.truth == LABELS]
    return next(iter([*best, *known]), None)


def _read(row: KpiRow, package: ModelPackage) -> Accuracy | None:
    """Read an evaluation from its row; None when it is of another form, or of other classes."""
    document = row.run.document
    if row.run.kind != 'evaluate':
        return None
    try:
        return _evaluation(row, document, package)
    except (KeyError, TypeError, ValueError):
        return None  # written by another version of edge_seg


def _evaluation(row: KpiRow, document: Mapping[str, Any], package: ModelPackage) -> Accuracy:
    classes = tuple(
        ClassAccuracy(
            info.name,
            info.color,
            None if entry['iou'] is None else float(entry['iou']),
            int(entry['pixels']),
        )
        for info, entry in zip(package.manifest.spec.classes, document['classes'], strict=True)
    )
    miou, right = document['miou'], document['pixel_accuracy']
    return Accuracy(
        row=row,
        data=str(document['data']),
        truth=str(document['truth']),
        frames=int(document['frames']),
        miou=None if miou is None else float(miou),
        pixel_accuracy=None if right is None else float(right),
        classes=classes,
        confusion=tuple(tuple(int(count) for count in line) for line in document['confusion']),
    )
