"""Class colours blended over the camera image."""

import cv2
from edge_seg.core.values import ColorOrder, DecodedImage, LabelArray, UInt8Array
import numpy as np

_TO_RGB: dict[ColorOrder, int] = {
    'bgr': cv2.COLOR_BGR2RGB,
    'rgba': cv2.COLOR_RGBA2RGB,
    'bgra': cv2.COLOR_BGRA2RGB,
    'gray': cv2.COLOR_GRAY2RGB,
}


def blend_overlay(
    image: DecodedImage,
    colors: UInt8Array,
    *,
    alpha: float,
    labels: LabelArray | None = None,
    out: UInt8Array | None = None,
) -> UInt8Array:
    """Blend painted classes over the camera image.

    Args:
        image: the camera image, (H, W).
        colors: (H, W, 3) uint8 RGB from ``color_mask``.
        alpha: weight of the colours, 0 (camera only) to 1 (colours only).
        labels: (H, W), the mask that was painted. When given, pixels without a class (255 in
            uint8, 65535 in uint16) keep the camera's colour; otherwise their black is blended.
        out: (H, W, 3) uint8, written to and returned when given; not ``colors`` itself.

    Returns:
        (H, W, 3) uint8 in RGB.

    Raises:
        ValueError: sizes do not agree, or alpha is outside 0-1.
    """
    if colors.shape != (*image.pixels.shape[:2], 3):
        raise ValueError(f'colors have shape {colors.shape}, the image is {image.size}')
    if out is not None and (out.shape != colors.shape or out.dtype != np.uint8):
        raise ValueError(f'out is {out.dtype} {out.shape}; uint8 {colors.shape} is needed')
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha is {alpha}; 0 to 1 is possible')
    camera = rgb_pixels(image)
    blended = cv2.addWeighted(camera, 1 - alpha, colors, alpha, 0, dst=out)
    if labels is not None:
        unlabelled = np.iinfo(labels.dtype).max
        if labels.max() == unlabelled:
            hole = cv2.compare(labels, np.full_like(labels, unlabelled), cv2.CMP_EQ)
            cv2.copyTo(camera, hole, dst=blended)
    return np.asarray(blended, np.uint8)


def rgb_pixels(image: DecodedImage) -> UInt8Array:
    """Return (H, W, 3) RGB pixels: a view for rgb images, a conversion otherwise."""
    if image.order == 'rgb':
        return image.pixels
    return np.asarray(cv2.cvtColor(image.pixels, _TO_RGB[image.order]), np.uint8)
