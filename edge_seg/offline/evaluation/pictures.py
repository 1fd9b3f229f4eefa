"""Pictures of frames on which two models disagree: camera, both masks, and where they differ."""

from pathlib import Path

import cv2
from edge_seg.core.overlay import rgb_pixels
from edge_seg.core.palette import color_mask, Palette
from edge_seg.core.values import ClassInfo, DecodedImage, LabelArray, UInt8Array
from edge_seg.errors import SourceUnavailable
import numpy as np

PANEL_WIDTH = 480
CAPTION_HEIGHT = 26
GAP = 4
INK = (240, 240, 240)
DIFFERENT = (255, 40, 40)
DIMMED = 0.45
FONT = cv2.FONT_HERSHEY_SIMPLEX


def difference_picture(
    image: DecodedImage,
    masks: tuple[LabelArray, LabelArray],
    classes: tuple[ClassInfo, ...],
    *,
    captions: tuple[str, str],
    agreement: float,
) -> UInt8Array:
    """Draw camera | a | b | difference side by side.

    Args:
        image: the camera image, (H, W).
        masks: (H, W) labels of a and of b.
        classes: of both.
        captions: what a and b are.
        agreement: share 0-1 of equal pixels, written above the difference.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    palette = Palette(classes)
    camera = rgb_pixels(image)
    gray = cv2.cvtColor(camera, cv2.COLOR_RGB2GRAY)
    dimmed = cv2.cvtColor(cv2.convertScaleAbs(gray, alpha=DIMMED), cv2.COLOR_GRAY2RGB)
    different = np.asarray(dimmed, np.uint8)
    different[masks[0] != masks[1]] = DIFFERENT
    panels = (
        ('camera', camera),
        (captions[0], color_mask(masks[0], palette)),
        (captions[1], color_mask(masks[1], palette)),
        (f'{agreement:.2%} equal', different),
    )
    drawn = [_panel(caption, pixels) for caption, pixels in panels]
    gap = np.zeros((drawn[0].shape[0], GAP, 3), np.uint8)
    row = [part for panel in drawn for part in (panel, gap)][:-1]
    return np.hstack(row)


def write_picture(path: Path, pixels: UInt8Array) -> None:
    """Write a PNG.

    Raises:
        SourceUnavailable: it cannot be written.
    """
    done, content = cv2.imencode('.png', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes() if done else b'')
    except OSError as error:
        raise SourceUnavailable(f'{path} cannot be written: {error.strerror}') from error


def _panel(caption: str, pixels: UInt8Array) -> UInt8Array:
    height, width = pixels.shape[:2]
    size = (PANEL_WIDTH, max(1, round(height * PANEL_WIDTH / width)))
    # Nearest: between the colours of two classes there is a third one's.
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    head = np.zeros((CAPTION_HEIGHT, PANEL_WIDTH, 3), np.uint8)
    cv2.putText(head, caption, (6, 18), FONT, 0.5, INK, 1, cv2.LINE_AA)
    return np.asarray(np.vstack([head, small]), np.uint8)
