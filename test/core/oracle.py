"""Slow, obvious pre- and postprocessing: loops, fractions and float64, nothing shared but values.

Written from the conventions in the docstrings of edge_seg.core, not from its code.
"""

from fractions import Fraction
import math

from edge_seg.core.geometry import GeometryPlan
from edge_seg.core.values import DecodedImage, InputSpec, ModelSpec, OutputKind
import numpy as np

GRAY_WEIGHTS = {'r': 0.299, 'g': 0.587, 'b': 0.114}


def centres(count, start, length, frame, cells):
    """Where the centres of camera pixels lie on an axis of cells, as exact fractions."""
    return [
        (start + (i + Fraction(1, 2)) * Fraction(length, count)) * Fraction(cells, frame)
        for i in range(count)
    ]


def camera_axes(plan: GeometryPlan, cells_wide, cells_high):
    """Centres of the camera ROI's columns and rows in cells."""
    camera, inner, net = plan.camera_roi, plan.network_roi, plan.network
    return (
        centres(camera.width, inner.x, inner.width, net.width, cells_wide),
        centres(camera.height, inner.y, inner.height, net.height, cells_high),
    )


def nearest(labels, plan, unlabelled):
    """Each camera pixel takes the cell that its centre lies in."""
    height, width = labels.shape
    columns, rows = camera_axes(plan, width, height)
    result = np.full((plan.camera.height, plan.camera.width), unlabelled, labels.dtype)
    for j, row in enumerate(rows):
        for i, column in enumerate(columns):
            label = labels[math.floor(row), math.floor(column)]
            result[plan.camera_roi.y + j, plan.camera_roi.x + i] = label
    return result


def mix(position, first, stop):
    """Return the two cells around a position and the weight of the second; ends are repeated."""
    at = min(max(position - Fraction(1, 2), first), stop - 1)
    lower = math.floor(at)
    return lower, min(lower + 1, stop - 1), float(at - lower)


def bilinear(plane, positions_x, positions_y, bounds_x, bounds_y):
    """Interpolate a plane at every pair of positions."""
    result = np.empty((len(positions_y), len(positions_x)))
    for j, y in enumerate(positions_y):
        top, bottom, down = mix(y, *bounds_y)
        line = plane[top] * (1 - down) + plane[bottom] * down
        for i, x in enumerate(positions_x):
            left, right, along = mix(x, *bounds_x)
            result[j, i] = line[left] * (1 - along) + line[right] * along
    return result


def scores_in_roi(plane, plan):
    """One plane of scores at the size of the camera ROI; padding takes no part."""
    height, width = plane.shape
    xs, ys = camera_axes(plan, width, height)
    inner, net = plan.network_roi, plan.network

    def bounds(start, length, frame, cells):
        first = Fraction(start * cells, frame)
        return math.floor(first), math.ceil(first + Fraction(length * cells, frame))

    return bilinear(
        plane.astype(np.float64),
        xs,
        ys,
        bounds(inner.x, inner.width, net.width, width),
        bounds(inner.y, inner.height, net.height, height),
    )


def to_planes(tensor, layout):
    """Any layout as (C, h, w)."""
    if layout == 'NHWC':
        return np.moveaxis(tensor[0], -1, 0)
    return {'NCHW': tensor[0] if tensor.ndim == 4 else None, 'NHW': tensor, 'HW': tensor[None]}[
        layout
    ]


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def decide(planes, kind, threshold):
    """Labels and the winner's probability, in the planes' resolution."""
    planes = planes.astype(np.float64)
    if kind in (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS):
        positive = planes[0] if kind is OutputKind.SIGMOID else sigmoid(planes[0])
        labels = (positive >= np.float32(threshold)).astype(np.int64)
        return labels, np.where(labels == 1, positive, 1 - positive)
    labels = planes.argmax(axis=0)
    best = planes.max(axis=0)
    if kind is OutputKind.LOGITS:
        return labels, 1 / np.exp(planes - best).sum(axis=0)
    return labels, np.clip(best, 0, 1)


def margin(planes, kind, threshold):
    """How far each pixel is from another label: below rounding, either answer is right."""
    planes = planes.astype(np.float64)
    if kind is OutputKind.SIGMOID:
        return np.abs(planes[0] - threshold)
    if kind is OutputKind.SIGMOID_LOGITS:
        return np.abs(sigmoid(planes[0]) - threshold)
    if len(planes) == 1:
        return np.full(planes.shape[1:], np.inf)
    ordered = np.sort(planes, axis=0)
    return ordered[-1] - ordered[-2]


def placed(values, plan, fill, dtype):
    """Values of the camera ROI in a map of camera size."""
    result = np.full((plan.camera.height, plan.camera.width), fill, dtype)
    result[plan.camera_roi.rows, plan.camera_roi.columns] = values
    return result


def postprocess(tensor, layout, kind, spec: ModelSpec, plan):
    """Return labels, confidence (None for labels) and margin, all at camera size."""
    unlabelled, dtype = spec.unlabelled, spec.label_dtype
    ignore = spec.output.ignore_id
    planes = to_planes(tensor, layout)
    if kind is OutputKind.LABELS:
        ids = planes[0].astype(np.int64)
        labels = np.where(ids == ignore, unlabelled, ids).astype(dtype)
        return nearest(labels, plan, unlabelled), None, None
    smooth = spec.output.resample == 'logits'
    if smooth:
        planes = np.stack([scores_in_roi(plane, plan) for plane in planes])
    labels, probability = decide(planes, kind, spec.output.threshold)
    apart = margin(planes, kind, spec.output.threshold)
    labels = np.where(labels == ignore, unlabelled, labels).astype(dtype)
    confidence = np.where(labels == unlabelled, 0, probability * 255)
    if smooth:
        return (
            placed(labels, plan, unlabelled, dtype),
            placed(confidence, plan, 0, np.float64),
            placed(apart, plan, np.inf, np.float64),
        )
    return (
        nearest(labels, plan, unlabelled),
        nearest(confidence, plan, 0.0),
        nearest(apart, plan, np.inf),
    )


def area(pixels, width, height):
    """Average every source pixel by the share of it that a target pixel covers."""

    def coverage(count, target):
        weights = np.zeros((target, count))
        for i in range(target):
            low, high = Fraction(i * count, target), Fraction((i + 1) * count, target)
            for j in range(math.floor(low), math.ceil(high)):
                weights[i, j] = min(high, j + 1) - max(low, j)
        return weights / weights.sum(axis=1, keepdims=True)

    rows = coverage(pixels.shape[0], height)
    columns = coverage(pixels.shape[1], width)
    return np.einsum('yj,jic,xi->yxc', rows, pixels.astype(np.float64), columns)


def resized(pixels, width, height):
    """Halve while even and large enough; then bilinear, or area if it still shrinks too much."""
    pixels = pixels.astype(np.float64)
    limit = 2
    while (
        pixels.shape[0] % 2 == pixels.shape[1] % 2 == 0
        and pixels.shape[0] >= 2 * height
        and pixels.shape[1] >= 2 * width
    ):
        pixels = np.floor(area(pixels, pixels.shape[1] // 2, pixels.shape[0] // 2) + 0.5)
        limit = 3
    source_height, source_width = pixels.shape[:2]
    shrinks = source_height >= height and source_width >= width
    if shrinks and (source_height > limit * height or source_width > limit * width):
        return area(pixels, width, height)
    xs = centres(width, 0, source_width, source_width, source_width)
    ys = centres(height, 0, source_height, source_height, source_height)
    bounds = (0, source_width), (0, source_height)
    return np.stack(
        [bilinear(pixels[..., c], xs, ys, *bounds) for c in range(pixels.shape[2])], axis=-1
    )


def in_order(pixels, order, wanted):
    """Reorder channels, or make gray of colour and colour of gray."""
    if order == 'gray':
        return np.repeat(pixels, 1 if wanted == 'gray' else 3, axis=2)
    if wanted == 'gray':
        return sum(pixels[..., order.index(c), None] * w for c, w in GRAY_WEIGHTS.items())
    return np.stack([pixels[..., order.index(c)] for c in wanted], axis=-1)


def preprocess(image: DecodedImage, plan: GeometryPlan, spec: InputSpec, layout, dtype):
    """Return the network's input in float64, and the worth of one gray level in each channel."""
    pixels = image.pixels.reshape(*image.pixels.shape[:2], -1)
    pixels = pixels[plan.camera_roi.rows, plan.camera_roi.columns]
    inner = plan.network_roi
    pixels = in_order(resized(pixels, inner.width, inner.height), image.order, spec.color_order)
    canvas = np.full((spec.size.height, spec.size.width, spec.channels), float(plan.pad_value))
    canvas[inner.rows, inner.columns] = pixels
    level = np.ones(spec.channels)
    if dtype != 'uint8' and spec.dtype != 'uint8':
        mean, std = np.array(spec.mean), np.array(spec.std)
        canvas = (canvas / spec.scale - mean) / std
        level = np.abs(1 / (spec.scale * std))
    if layout == 'NCHW':
        return np.moveaxis(canvas, -1, 0)[None], level.reshape(1, -1, 1, 1)
    return canvas[None], level
