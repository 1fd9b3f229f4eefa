"""Where camera pixels lie in a network's input, and the exact way back for labels and scores.

Convention: pixel ``i`` covers the interval ``[i, i + 1)`` and its centre is at ``i + 0.5``, on
every grid. The camera ROI and the network ROI are whole pixels on both sides, and one maps onto
the other as a rectangle onto a rectangle, each axis on its own. An output map of another
resolution than the network input (stride 2, 4, 8 or anything else) covers the same frame as the
network input. All positions are ratios of integers and are floored as integers: nothing is
rounded through floating point, so there is no bias and no off-by-one at the borders.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import cv2
from edge_seg.core.values import LabelArray, ResizeMode, ResizeRule, Size
import numpy as np
import numpy.typing as npt

LabelT = TypeVar('LabelT', npt.NDArray[np.uint8], npt.NDArray[np.uint16], LabelArray)
FloatPlane = npt.NDArray[np.float32]


class Roi(NamedTuple):
    """A rectangle of whole pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """The rows, for indexing axis 0 of an image."""
        return slice(self.y, self.y + self.height)

    @property
    def columns(self) -> slice:
        """The columns, for indexing axis 1 of an image."""
        return slice(self.x, self.x + self.width)

    def covers(self, size: Size) -> bool:
        """Tell whether this is the whole of an image of ``size``."""
        return self == Roi(0, 0, size.width, size.height)


@dataclass(frozen=True, slots=True)
class GeometryPlan:
    """How one camera resolution meets one network input; hashable, cheap to compare.

    Attributes:
        camera: size of the camera image.
        network: size of the network input.
        camera_roi: part of the camera image that the network sees; all of it unless cropped.
        network_roi: part of the network input that it fills; the rest holds ``pad_value``.
        pad_value: gray level 0-255 outside ``network_roi``.
    """

    camera: Size
    network: Size
    camera_roi: Roi
    network_roi: Roi
    pad_value: int

    @property
    def is_padded(self) -> bool:
        """Whether the network input has a border that the camera does not fill."""
        return not self.network_roi.covers(self.network)

    @property
    def is_cropped(self) -> bool:
        """Whether part of the camera image is not seen by the network."""
        return not self.camera_roi.covers(self.camera)


def plan_geometry(camera: Size, network: Size, rule: ResizeRule) -> GeometryPlan:
    """Lay a camera image into a network input.

    Args:
        camera: size of the camera image, both sides at least 1.
        network: size of the network input, both sides at least 1.
        rule: stretch, letterbox or centre crop.

    Returns:
        The plan. Sides that follow from the aspect ratio are rounded to the nearest pixel, half
        up, and never become 0; a centred rectangle with an odd remainder lies half a pixel up
        and left.

    Raises:
        ValueError: a side is smaller than 1.
    """
    if min(*camera, *network) < 1:
        raise ValueError(f'sizes must be positive, got camera {camera} and network {network}')
    camera_roi = Roi(0, 0, *camera)
    network_roi = Roi(0, 0, *network)
    if rule.mode is ResizeMode.LETTERBOX:
        inner = _largest_inside(network, camera)
        network_roi = Roi(0, 0, *inner) if rule.anchor == 'top_left' else _centred(inner, network)
    elif rule.mode is ResizeMode.CENTER_CROP:
        camera_roi = _centred(_largest_inside(camera, network), camera)
    return GeometryPlan(camera, network, camera_roi, network_roi, rule.pad_value)


def labels_to_camera(
    labels: LabelT, plan: GeometryPlan, *, unlabelled: int, out: LabelT | None = None
) -> LabelT:
    """Bring a label map to camera size: each camera pixel takes the cell its centre lies in.

    Args:
        labels: (h, w) uint8 or uint16, of any resolution, covering the whole network input.
        plan: the plan that the network input was made with.
        unlabelled: value of camera pixels that the network did not see.
        out: (camera height, camera width), same dtype, C-contiguous; written to and returned.

    Returns:
        ``out``, or a fresh array that shares nothing with ``labels``.

    Raises:
        ValueError: ``out`` has another shape or dtype.
    """
    result, target = _camera_buffer(labels, plan, unlabelled, out)
    roi = plan.camera_roi
    if labels.shape == target.shape and not plan.is_padded:
        np.copyto(target, labels)
        return result
    height, width = labels.shape
    columns = _nearest_cells(
        roi.width, plan.network_roi.x, plan.network_roi.width, plan.network.width, width
    )
    rows = _nearest_cells(
        roi.height, plan.network_roi.y, plan.network_roi.height, plan.network.height, height
    )
    # A gather of columns costs one load per pixel, a gather of rows is a memcpy. Two transposes
    # of the small map turn the one into the other: twice as fast as cv2.resize at 1920x1080, and
    # exact, which cv2.INTER_NEAREST (half a pixel off) and INTER_NEAREST_EXACT (16-bit fixed
    # point, 2 % of the pixels off at 384 -> 1920) are not.
    wide = cv2.transpose(np.take(cv2.transpose(labels), columns, axis=0))
    np.take(wide, rows, axis=0, out=target, mode='clip')
    return result


def place_in_camera(
    labels: LabelT, plan: GeometryPlan, *, unlabelled: int, out: LabelT | None = None
) -> LabelT:
    """Put labels of the camera ROI, pixel for pixel, into a map of camera size.

    Args:
        labels: (camera ROI height, camera ROI width) uint8 or uint16.
        plan: where the ROI lies.
        unlabelled: value of camera pixels that the network did not see.
        out: as for ``labels_to_camera``.

    Returns:
        ``out``, or a fresh array that shares nothing with ``labels``.

    Raises:
        ValueError: ``out`` has another shape or dtype.
    """
    result, target = _camera_buffer(labels, plan, unlabelled, out)
    np.copyto(target, labels)
    return result


def scores_to_camera(
    plane: FloatPlane, plan: GeometryPlan, *, out: FloatPlane | None = None
) -> FloatPlane:
    """Bring one plane of scores to the size of the camera ROI by bilinear interpolation.

    Cells outside the network ROI (padding) take no part; at the border of the ROI the nearest
    cell is repeated.

    Args:
        plane: (h, w) float32, of any resolution, covering the whole network input.
        plan: the plan that the network input was made with.
        out: (camera ROI height, camera ROI width) float32, C-contiguous; written to when given.

    Returns:
        Scores of ``plan.camera_roi``, (height, width) float32.
    """
    roi = plan.camera_roi
    if out is None:
        out = np.empty((roi.height, roi.width), np.float32)
    net, inner = plan.network, plan.network_roi
    height, width = plane.shape
    cells_x = _linear_cells(roi.width, inner.x, inner.width, net.width, width)
    cells_y = _linear_cells(roi.height, inner.y, inner.height, net.height, height)
    if cells_x.aligned and cells_y.aligned:
        used = plane[cells_y.first : cells_y.stop, cells_x.first : cells_x.stop]
        cv2.resize(used, (roi.width, roi.height), dst=out, interpolation=cv2.INTER_LINEAR)
        return out
    # The ROI starts or ends inside a cell, which cv2.resize cannot express (cv2.remap can, but
    # rounds positions to 1/32 of a cell).
    right = np.take(plane, cells_x.upper, axis=1)
    wide = np.take(plane, cells_x.lower, axis=1)
    wide += (right - wide) * cells_x.weight
    lower = np.take(wide, cells_y.upper, axis=0)
    np.take(wide, cells_y.lower, axis=0, out=out, mode='clip')
    lower -= out
    lower *= cells_y.weight[:, None]
    out += lower
    return out


def _largest_inside(frame: Size, shape: Size) -> Size:
    """Return the largest size inside ``frame`` with the aspect ratio of ``shape``."""
    if frame.width * shape.height <= frame.height * shape.width:
        height = (2 * frame.width * shape.height + shape.width) // (2 * shape.width)
        return Size(frame.width, min(max(height, 1), frame.height))
    width = (2 * frame.height * shape.width + shape.height) // (2 * shape.height)
    return Size(min(max(width, 1), frame.width), frame.height)


def _centred(inner: Size, frame: Size) -> Roi:
    return Roi((frame.width - inner.width) // 2, (frame.height - inner.height) // 2, *inner)


def _camera_buffer(
    labels: LabelT, plan: GeometryPlan, unlabelled: int, out: LabelT | None
) -> tuple[LabelT, LabelT]:
    """Return the map of camera size, filled outside the camera ROI, and its part inside."""
    shape = (plan.camera.height, plan.camera.width)
    if out is None:
        out = np.empty(shape, labels.dtype)
    elif out.shape != shape or out.dtype != labels.dtype:
        raise ValueError(
            f'out is {out.dtype} {out.shape}; a {labels.dtype} array of {shape} is needed'
        )
    if plan.is_cropped:
        out.fill(unlabelled)
    return out, out[plan.camera_roi.rows, plan.camera_roi.columns]


@lru_cache(maxsize=64)
def _nearest_cells(
    count: int, start: int, length: int, frame: int, cells: int
) -> npt.NDArray[np.intp]:
    """Return, for each of ``count`` camera pixels, the cell that its centre lies in.

    The pixels fill ``[start, start + length)`` of a network axis of ``frame`` pixels, on which
    lie ``cells`` cells. The centre of pixel i is at ``start + (i + 1/2) * length / count``.
    """
    twice = (2 * np.arange(count, dtype=np.int64) + 1) * length + 2 * count * start
    index = (twice * cells // (2 * count * frame)).astype(np.intp)
    index.flags.writeable = False
    return index


class _LinearCells(NamedTuple):
    """Bilinear interpolation along one axis: lower cell, upper cell, weight of the upper."""

    lower: npt.NDArray[np.intp]
    upper: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]
    first: int
    stop: int
    aligned: bool


@lru_cache(maxsize=64)
def _linear_cells(count: int, start: int, length: int, frame: int, cells: int) -> _LinearCells:
    first = start * cells // frame
    stop = -(-(start + length) * cells // frame)
    aligned = start * cells % frame == 0 and (start + length) * cells % frame == 0
    twice = (2 * np.arange(count, dtype=np.int64) + 1) * length + 2 * count * start
    position = twice * cells / (2 * count * frame) - 0.5
    np.clip(position, first, stop - 1, out=position)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, stop - 1)
    weight = (position - lower).astype(np.float32)
    for array in (lower, upper, weight):
        array.flags.writeable = False
    return _LinearCells(lower, upper, weight, first, stop, aligned)
