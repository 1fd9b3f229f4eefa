"""The colours of a model's classes, and masks painted with them."""

from collections.abc import Sequence
import colorsys

import cv2
from edge_seg.core.values import ClassInfo, LabelArray, MAX_CLASSES_8, UInt8Array
import numpy as np
import numpy.typing as npt

GOLDEN_ANGLE = 0.618033988749895


class Palette:
    """A table from label to colour; labels without a class are black.

    Args:
        classes: the class table of a model.
    """

    def __init__(self, classes: Sequence[ClassInfo]) -> None:
        entries = 256 if len(classes) <= MAX_CLASSES_8 else 65536
        self.colors: npt.NDArray[np.uint8] = np.zeros((entries, 3), np.uint8)
        for index, info in enumerate(classes):
            self.colors[index] = info.color
        self.colors.flags.writeable = False
        # One 32-bit look-up per pixel and a fast channel drop beat three 8-bit look-ups by half.
        self._packed = np.zeros((entries, 4), np.uint8)
        self._packed[:, :3] = self.colors
        self._table = self._packed.view(np.int32).reshape(-1)
        self.unlabelled = entries - 1
        """The label of pixels without a class, 255 or 65535."""

    def paint(self, labels: LabelArray, *, out: UInt8Array | None = None) -> UInt8Array:
        """Return the colours of ``labels``; see ``color_mask``."""
        if labels.dtype == np.uint8:
            rgbx = cv2.LUT(labels, self._table[:256])
        else:
            rgbx = np.take(self._table, labels, mode='clip')
        height, width = labels.shape
        channels = np.asarray(rgbx).view(np.uint8).reshape(height, width, 4)
        return np.asarray(cv2.cvtColor(channels, cv2.COLOR_RGBA2RGB, dst=out), np.uint8)


def color_mask(
    labels: LabelArray, palette: Palette, *, out: UInt8Array | None = None
) -> UInt8Array:
    """Paint a label mask.

    Args:
        labels: (H, W) uint8 or uint16.
        palette: the model's colours.
        out: (H, W, 3) uint8, written to and returned when given.

    Returns:
        (H, W, 3) uint8 in RGB; labels without a class are black.

    Raises:
        ValueError: ``out`` has another shape or dtype.
    """
    shape = (*labels.shape, 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f'out is {out.dtype} {out.shape}; a uint8 array of {shape} is needed')
    return palette.paint(labels, out=out)


def default_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    """Return ``count`` colours that tell neighbours in the table apart, the same every time.

    Hues walk by the golden angle, so any number of them lies evenly; value and saturation
    alternate, so that hues which come close differ in brightness. None is black.
    """
    colors = []
    for index in range(count):
        hue = (index * GOLDEN_ANGLE) % 1.0
        saturation = (0.85, 0.55, 0.95)[index % 3]
        value = (0.95, 0.75, 0.55)[index // 3 % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)
