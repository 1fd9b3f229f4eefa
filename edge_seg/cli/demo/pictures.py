"""Draws what the demo saw: a contact sheet with a legend, and a short film."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
from edge_seg.cli.demo.moments import FramePictures
from edge_seg.core.palette import color_mask, Palette
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.core.values import ClassInfo, LabelArray, Size, UInt8Array
import numpy as np

PANEL_WIDTH = 320
GAP = 8
HEADING = 34
CAPTION = 22
PAPER = (250, 250, 248)
INK = (35, 35, 40)
FONT = cv2.FONT_HERSHEY_SIMPLEX
TITLE_SCALE = 0.55
FILM_HZ = 15.0
CODECS = (('mp4v', '.mp4'), ('MJPG', '.avi'))
"""Tried in this order; OpenCV without FFmpeg writes only the second."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the contact sheet."""

    title: str
    pixels: UInt8Array


def contact_sheet(
    moments: Sequence[FramePictures], classes: tuple[ClassInfo, ...], *, title: str
) -> UInt8Array:
    """Draw moments below each other: camera, mask, overlay and, where known, ground truth.

    Args:
        moments: complete frames, at least one; their sizes may differ.
        classes: what the labels mean.
        title: above everything.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    palette = Palette(classes)
    rows = [_columns(moment, palette) for moment in moments]
    widest = rows[max(range(len(rows)), key=lambda number: len(rows[number]))]
    width = len(widest) * (PANEL_WIDTH + GAP) + GAP
    height = 3 * HEADING + sum(_height(row) + CAPTION + GAP for row in rows)
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    _write(sheet, title, (GAP, 24), scale=0.6)
    _legend(sheet, classes, baseline=HEADING + 22)
    for index, column in enumerate(widest):
        _write(sheet, column.title, (GAP + index * (PANEL_WIDTH + GAP), 2 * HEADING + 22))
    top = 3 * HEADING
    for row, moment in zip(rows, moments, strict=True):
        bottom = top + _height(row)
        for index, column in enumerate(row):
            left = GAP + index * (PANEL_WIDTH + GAP)
            sheet[top:bottom, left : left + PANEL_WIDTH] = column.pixels
        _write(sheet, _caption(moment, len(classes)), (GAP, bottom + 16), scale=0.45)
        top = bottom + CAPTION + GAP
    return sheet


def film_panels(pictures: FramePictures, palette: Palette) -> tuple[Column, ...]:
    """Reduce the pictures of one frame to what the film needs, small and without titles."""
    return tuple(_columns(pictures, palette))


def film_picture(columns: Sequence[Column]) -> UInt8Array:
    """Put panels together, titles on them: four in two rows, else all in one."""
    panels = []
    for column in columns:
        corner = (_text_width(column.title, TITLE_SCALE) + 12, 26)
        cv2.rectangle(column.pixels, (0, 0), corner, INK, -1)
        _write(column.pixels, column.title, (6, 18), ink=PAPER)
        panels.append(column.pixels)
    if len(panels) == 4:
        return np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])])
    return np.hstack(panels)


def write_sheet(path: Path, sheet: UInt8Array) -> bool:
    """Write a PNG; False when that is impossible."""
    return bool(cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)))


def write_film(folder: Path, frames: Sequence[UInt8Array]) -> Path | None:
    """Write demo.mp4 or demo.avi, whatever this OpenCV can; None when it can neither.

    Args:
        folder: where to.
        frames: (H, W, 3) uint8 RGB, at least one; small ones get a margin.
    """
    height = max(frame.shape[0] for frame in frames)
    width = max(frame.shape[1] for frame in frames)
    for codec, suffix in CODECS:
        path = folder / f'demo{suffix}'
        fourcc = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), fourcc, FILM_HZ, (width, height))
        if writer.isOpened():
            for frame in frames:
                picture = _centred(frame, height=height, width=width)
                writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            writer.release()
            return path
        path.unlink(missing_ok=True)
    return None


def _columns(pictures: FramePictures, palette: Palette) -> list[Column]:
    if pictures.camera is None or pictures.overlay is None or pictures.mask is None:
        raise ValueError(f'frame {pictures.stamp_ns} is not complete')
    images = {
        'camera': pictures.camera,
        'mask': color_mask(pictures.mask, palette),
        'overlay': pictures.overlay,
    }
    if pictures.truth is not None:
        images['ground truth'] = color_mask(pictures.truth, palette)
    height, width = pictures.camera.shape[:2]
    size = Size(PANEL_WIDTH, max(2, 2 * round(height * PANEL_WIDTH / width / 2)))
    return [
        Column(title, np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
        for title, image in images.items()
    ]


def _height(row: Sequence[Column]) -> int:
    return int(row[0].pixels.shape[0])


def _centred(picture: UInt8Array, *, height: int, width: int) -> UInt8Array:
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def _caption(moment: FramePictures, class_count: int) -> str:
    text = f'{moment.at_s:.1f} s, mask {moment.age_ms:.0f} ms after the frame'
    score = _miou(moment.mask, moment.truth, class_count)
    return text if math.isnan(score) else f'{text}, mIoU {score:.2f}'


def _miou(mask: LabelArray | None, truth: LabelArray | None, class_count: int) -> float:
    if mask is None or truth is None or mask.shape != truth.shape or not class_count:
        return math.nan
    confusion = ConfusionMatrix(class_count)
    confusion.add(mask, truth)
    return confusion.mean_iou()


def _legend(sheet: UInt8Array, classes: tuple[ClassInfo, ...], *, baseline: int) -> None:
    left = GAP
    for info in classes:
        corner = (left, baseline - 13)
        cv2.rectangle(sheet, corner, (left + 18, baseline + 3), info.color, -1)
        _write(sheet, info.name, (left + 24, baseline), scale=0.5)
        left += 44 + _text_width(info.name, 0.5)


def _text_width(text: str, scale: float) -> int:
    return int(cv2.getTextSize(text, FONT, scale, 1)[0][0])


def _write(
    image: Any,
    text: str,
    at: tuple[int, int],
    *,
    scale: float = TITLE_SCALE,
    ink: tuple[int, int, int] = INK,
) -> None:
    cv2.putText(image, text, at, FONT, scale, ink, 1, cv2.LINE_AA)
