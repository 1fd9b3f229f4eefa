"""What a demo run came to: the figures, the verdict, summary.json and the table on the screen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import importlib.metadata
import json
import math
import os
from pathlib import Path
import platform
from typing import Any

import cv2
import edge_seg
from edge_seg.cli.demo.meter import MaskMeter, Percentiles
from edge_seg.core.values import ClassInfo
import numpy as np
from rich.table import Table

LEAST_MIOU = 0.5
"""Below it the masks are not the ones of this camera."""
PROMISED_MODEL, PROMISED_MIOU = 'floor@2', 0.85
"""What the newest model of the package reaches on the scenes of a camera left as it is."""
PROMISES = ((60, PROMISED_MIOU), (10, 0.8))
"""So many scored masks, and their mIoU: single frames of the first scenes are at 0.5 to 0.95, the
first 40 masks together at 0.84, all after the 60th at 0.866 or more."""
CAMERA_FIGURES = ('published', 'late_frames', 'rate_hz')

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """The figures of one run.

    Attributes:
        source: as asked for.
        seconds: from the first mask to the end.
        start_s: from the start of the processes to the first mask.
        frames_in: frames that reached the segmentation node.
        masks_out: masks that it published.
        masks_received: masks that reached the viewer, another process.
        fps: masks received a second, the first second left out.
        age_ms: stamp of the camera frame to arrival of its mask, percentiles.
        miou: against the camera's ground truth; None without it.
        least_miou: what it must reach; None = the source has no ground truth.
        iou: the same by class.
        masks_scored: masks that the two were computed from.
        drops: frames without a mask, by reason.
        camera: what the camera node said of itself.
        model: name@version.
        inference: backend, device and precision.
        versions: of everything that matters.
    """

    source: str
    seconds: float
    start_s: float | None
    frames_in: int
    masks_out: int
    masks_received: int
    fps: float
    age_ms: Percentiles
    miou: float | None
    least_miou: float | None
    iou: dict[str, float]
    masks_scored: int
    drops: dict[str, int]
    camera: dict[str, float]
    model: str
    inference: dict[str, str]
    versions: dict[str, str]

    def problems(self) -> list[str]:
        """Say what keeps this run from being a success; [] for nothing."""
        if not self.masks_received:
            return ['no mask came']
        if self.least_miou is None:
            return []
        if self.miou is None:
            return ['no ground truth came from the camera, so the masks could not be judged']
        if not self.masks_scored:
            return ['no mask has the stamp and size of a ground-truth image']
        if not self.miou >= self.least_miou:
            return [
                f'the masks are wrong: mIoU {self.miou:.3f}, expected {self.least_miou} or more'
            ]
        return []


def least_miou(model: str, masks_scored: int, *, default_camera: bool) -> float:
    """Say what mIoU on rendered scenes makes a run a success.

    Args:
        model: name@version.
        masks_scored: how many masks the mIoU is of.
        default_camera: whether the scenes are those of a camera without parameters of the user's:
            other seeds, sizes and encodings may be harder.
    """
    if model != PROMISED_MODEL or not default_camera:
        return LEAST_MIOU
    return next((miou for masks, miou in PROMISES if masks_scored >= masks), LEAST_MIOU)


def summarise(
    meter: MaskMeter,
    *,
    source: str,
    classes: tuple[ClassInfo, ...],
    segmentation: Values,
    camera: Values,
    now_s: float,
    start_s: float | None,
    middleware: str,
    truth: bool,
    default_camera: bool,
) -> DemoSummary:
    """Collect the figures.

    Args:
        meter: what the viewer measured.
        source: as asked for.
        classes: of the model, () when they never came.
        segmentation: last diagnostic values of the segmentation node.
        camera: last diagnostic values of the camera node.
        now_s: end of the measurement, on the clock of ``meter``.
        start_s: seconds from the start to the first mask.
        middleware: name of the RMW implementation.
        truth: whether the source has ground truth.
        default_camera: whether the user gave the camera no parameters.
    """
    model = segmentation.get('model', '')
    first_s = now_s if meter.first_mask_s is None else meter.first_mask_s
    return DemoSummary(
        source=source,
        seconds=round(now_s - first_s, 2),
        start_s=None if start_s is None else round(start_s, 2),
        frames_in=int(segmentation.get('frames_in', 0)),
        masks_out=int(segmentation.get('masks_out', 0)),
        masks_received=meter.received,
        fps=round(meter.fps(now_s), 2),
        age_ms=_rounded(meter.age_ms()),
        miou=round(meter.miou(), 4) if meter.truths_seen else None,
        least_miou=(
            least_miou(model, meter.scored, default_camera=default_camera) if truth else None
        ),
        iou=_iou_by_class(meter, classes),
        masks_scored=meter.scored,
        drops=drops_of(segmentation),
        camera={key: float(camera[key]) for key in CAMERA_FIGURES if camera.get(key)},
        model=model,
        inference={key: segmentation.get(key, '') for key in ('backend', 'device', 'precision')},
        versions=_versions(segmentation, middleware),
    )


def _iou_by_class(meter: MaskMeter, classes: tuple[ClassInfo, ...]) -> dict[str, float]:
    return {
        info.name: round(value, 4)
        for info, value in zip(classes, meter.iou(), strict=False)
        if not math.isnan(value)
    }


def drops_of(values: Values) -> dict[str, int]:
    """Read the drops by reason out of diagnostic values; those that never occurred are absent."""
    drops = {
        key[len('drops.') :]: int(value)
        for key, value in values.items()
        if key.startswith('drops.')
    }
    drops['lost_in_transport'] = int(values.get('lost_in_transport', 0))
    return {reason: count for reason, count in drops.items() if count}


def write_summary(path: Path, summary: DemoSummary, problems: list[str]) -> None:
    """Write summary.json; numbers that are not known become null."""
    document = asdict(summary) | {'ok': not problems, 'problems': problems}
    path.write_text(json.dumps(_known(document), indent=2) + '\n', 'utf-8')


def table_of(summary: DemoSummary) -> Table:
    """Make the table for the screen."""
    table = Table(show_header=False, title='Summary', title_justify='left')
    inference = ' '.join(value for value in summary.inference.values() if value)
    masks = (
        f'{summary.masks_received} received, {summary.masks_out} sent, from '
        f'{summary.frames_in} frames in {summary.seconds:.1f} s'
    )
    rows = [
        ('model', f'{summary.model} with {inference}' if summary.model else 'none'),
        ('masks', masks),
        ('rate', f'{summary.fps:.1f} masks a second'),
        ('age of a mask', _age_text(summary.age_ms)),
        ('mIoU', _miou_text(summary)),
        ('dropped frames', drops_text(summary.drops)),
        ('first mask', '-' if summary.start_s is None else f'{summary.start_s:.1f} s after start'),
    ]
    for name, value in rows:
        table.add_row(name, value)
    return table


def drops_text(drops: Mapping[str, int]) -> str:
    """Say the drops in one line."""
    return ', '.join(f'{count} {reason}' for reason, count in drops.items()) or 'none'


def _miou_text(summary: DemoSummary) -> str:
    if summary.miou is None:
        return 'no ground truth came' if summary.least_miou else 'the source has no ground truth'
    if not summary.masks_scored:
        return 'nothing to compare'
    classes = ', '.join(f'{name} {value:.2f}' for name, value in summary.iou.items())
    return f'{summary.miou:.3f} over {summary.masks_scored} masks ({classes})'


def _age_text(age: Percentiles) -> str:
    if math.isnan(age.p50):
        return '-'
    return f'{age.p50:.1f} / {age.p95:.1f} / {age.p99:.1f} ms (p50 / p95 / p99)'


def _rounded(age: Percentiles) -> Percentiles:
    return Percentiles(round(age.p50, 2), round(age.p95, 2), round(age.p99, 2))


def _versions(segmentation: Values, middleware: str) -> dict[str, str]:
    versions = {
        'edge_seg': edge_seg.__version__,
        'python': platform.python_version(),
        'ros': os.environ.get('ROS_DISTRO', ''),
        'rclpy': _installed('rclpy'),
        'rmw': middleware,
        'numpy': np.__version__,
        'opencv': cv2.__version__,
    }
    if segmentation.get('backend'):
        versions[segmentation['backend']] = segmentation.get('backend_version', '')
    return {name: version for name, version in versions.items() if version}


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ''


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
