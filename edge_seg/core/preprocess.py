"""From a decoded camera image to the tensor that a network takes."""

from functools import lru_cache
from typing import Any, cast, TypeAlias

import cv2
from edge_seg.core.geometry import GeometryPlan, Roi
from edge_seg.core.values import (
    AnyArray,
    ColorOrder,
    DecodedImage,
    InputSpec,
    Size,
    TensorSpec,
    UInt8Array,
)
from edge_seg.errors import IncompatibleModel
import numpy as np
import numpy.typing as npt

_CONVERSIONS: dict[tuple[ColorOrder, ColorOrder], int] = {
    ('rgb', 'gray'): cv2.COLOR_RGB2GRAY,
    ('bgr', 'gray'): cv2.COLOR_BGR2GRAY,
    ('rgba', 'gray'): cv2.COLOR_RGBA2GRAY,
    ('bgra', 'gray'): cv2.COLOR_BGRA2GRAY,
    ('rgb', 'bgr'): cv2.COLOR_RGB2BGR,
    ('bgr', 'rgb'): cv2.COLOR_BGR2RGB,
    ('rgba', 'rgb'): cv2.COLOR_RGBA2RGB,
    ('rgba', 'bgr'): cv2.COLOR_RGBA2BGR,
    ('bgra', 'rgb'): cv2.COLOR_BGRA2RGB,
    ('bgra', 'bgr'): cv2.COLOR_BGRA2BGR,
    ('gray', 'rgb'): cv2.COLOR_GRAY2RGB,
    ('gray', 'bgr'): cv2.COLOR_GRAY2BGR,
}
CvArray: TypeAlias = 'npt.NDArray[np.integer[Any] | np.floating[Any]]'

_FLOAT_DTYPES = ('float32', 'float16')

SCRATCH_KEPT = 16
"""Intermediate images kept: a few for each of the camera sizes that take turns."""


class _Views:
    """A tensor as the steps write it.

    Attributes:
        tensor: the whole of it.
        pixels: the same memory, (height, width, channels) where channels lie side by side.
        planes: one for each channel where they lie apart, else none.
        plan: whose border is painted in it.
    """

    def __init__(self, spec: InputSpec, layout: str, tensor: AnyArray) -> None:
        height, width, channels = spec.size.height, spec.size.width, spec.channels
        self.tensor = tensor
        self.pixels = _cv_view(tensor)
        self.planes: list[CvArray] = []
        self.plan: GeometryPlan | None = None
        if layout != 'NHWC' or channels == 1:
            self.planes = list(self.pixels.reshape(channels, height, width))
        else:
            self.pixels = self.pixels.reshape(height, width, channels)


class Preprocessor:
    """Resizes, reorders and normalises images into a tensor: its own, or one that is given.

    The image is resized first, in its own channel order, because every later step then touches
    only the pixels that the network sees. Not thread-safe: one worker calls it.
    """

    def __init__(self, spec: InputSpec, target: TensorSpec) -> None:
        """Prepare.

        Args:
            spec: what the manifest says of the input: size, colour order, normalisation.
            target: the tensor that the compiled model takes; its layout and dtype rule.
                uint8 = raw pixels. float32 or float16 = ``(pixel / scale - mean) / std``, or the
                pixel as a float when ``spec.dtype`` is 'uint8' (the artifact normalises).

        Raises:
            IncompatibleModel: the tensor's shape or dtype does not fit the declared input.
        """
        _check_target(spec, target)
        self._spec = spec
        self._layout = target.layout
        # Takes no memory until it is written.
        own: AnyArray = np.zeros(target.shape, np.dtype(target.dtype))
        self._own = self._given = _Views(spec, target.layout, own)
        self._tables: list[CvArray] = []
        if target.dtype != 'uint8':
            values = _value_table(spec).astype(target.dtype)
            self._tables = [_cv_view(np.ascontiguousarray(column)) for column in values.T]
            self._table = _cv_view(values)[None]
        self._scratch: dict[tuple[str, tuple[int, ...]], UInt8Array] = {}

    def __call__(self, image: DecodedImage, plan: GeometryPlan) -> AnyArray:
        """Make a tensor of one image.

        Args:
            image: the camera image, of size ``plan.camera``; not written to.
            plan: from ``plan_geometry`` for this camera size and this network.

        Returns:
            The own tensor, C-contiguous, with the target's shape and dtype. It is the same
            buffer on every call: its content is valid until the next one.

        Raises:
            ValueError: image or plan are of another size.
        """
        self._fill(self._own, image, plan)
        return self._own.tensor

    def fill(self, tensor: AnyArray, image: DecodedImage, plan: GeometryPlan) -> None:
        """Write one image into a tensor of somebody else; otherwise as ``__call__``.

        Args:
            tensor: C-contiguous, with the target's shape and dtype. When it is the same object as
                the last time, nobody else may have written to it since: the border stands.
            image: as for ``__call__``.
            plan: as for ``__call__``.
        """
        if tensor is not self._given.tensor:
            self._given = _Views(self._spec, self._layout, tensor)
        self._fill(self._given, image, plan)

    def _fill(self, into: _Views, image: DecodedImage, plan: GeometryPlan) -> None:
        if image.size != plan.camera or plan.network != self._spec.size:
            raise ValueError(
                f'plan is for camera {plan.camera} and network {plan.network}; the image has '
                f'{image.size}, the network input {self._spec.size}'
            )
        if plan != into.plan:
            self._paint_padding(into, plan)
            into.plan = plan
        source = image.pixels[plan.camera_roi.rows, plan.camera_roi.columns]
        if into.planes:
            self._fill_planes(into.planes, source, image.order, plan.network_roi)
        else:
            self._fill_interleaved(into.pixels, source, image.order, plan.network_roi)

    def _paint_padding(self, into: _Views, plan: GeometryPlan) -> None:
        """Write the border once per geometry; frames only ever touch the inside."""
        planes = into.planes or [into.pixels[..., i] for i in range(self._spec.channels)]
        for index, plane in enumerate(planes):
            value = self._tables[index][plan.pad_value] if self._tables else plan.pad_value
            plane[...] = value

    def _fill_interleaved(
        self, pixels: CvArray, source: UInt8Array, order: ColorOrder, roi: Roi
    ) -> None:
        target = pixels[roi.rows, roi.columns]
        direct = None if self._tables else cast(UInt8Array, target)
        wanted = self._spec.color_order
        if order == wanted:
            small = self._resize(source, roi, direct)
        else:
            small = self._resize(source, roi, None)
            small = self._convert(small, (order, wanted), direct)
        if self._tables:
            cv2.LUT(small, self._table, dst=target)

    def _fill_planes(
        self, planes: list[CvArray], source: UInt8Array, order: ColorOrder, roi: Roi
    ) -> None:
        wanted = self._spec.color_order
        if order == wanted == 'gray' and not self._tables:
            target = cast(UInt8Array, planes[0][roi.rows, roi.columns])
            self._resize(source, roi, target)
            return
        small = self._resize(source, roi, None)
        if wanted == 'gray' and order != 'gray':
            small = self._convert(small, (order, wanted), None)
        for index, plane in enumerate(planes):
            # Reordering channels is free here: each plane picks its channel by position.
            picked = small if small.ndim == 2 else self._pick(small, order.index(wanted[index]))
            self._write_plane(picked, index, plane[roi.rows, roi.columns])

    def _write_plane(self, plane: UInt8Array, index: int, target: CvArray) -> None:
        if self._tables:
            # A table look-up is as fast as multiply-add here and gives the formula's value,
            # computed in double precision and rounded once.
            cv2.LUT(plane, self._tables[index], dst=target)
        else:
            np.copyto(target, plane)

    def _pick(self, pixels: UInt8Array, position: int) -> UInt8Array:
        plane = self._buffer('plane', pixels.shape[:2])
        cv2.extractChannel(pixels, position, dst=plane)
        return plane

    def _convert(
        self,
        pixels: UInt8Array,
        orders: tuple[ColorOrder, ColorOrder],
        target: UInt8Array | None,
    ) -> UInt8Array:
        if target is None:
            height, width = pixels.shape[:2]
            shape = (height, width) if orders[1] == 'gray' else (height, width, 3)
            target = self._buffer('converted', shape)
        cv2.cvtColor(pixels, _CONVERSIONS[orders], dst=target)
        return target

    def _resize(self, source: UInt8Array, roi: Roi, target: UInt8Array | None) -> UInt8Array:
        """Return ``source`` at the ROI's size, in ``target`` when given."""
        stages = resize_stages(Size(source.shape[1], source.shape[0]), Size(roi.width, roi.height))
        for index, (size, interpolation) in enumerate(stages):
            if target is not None and index == len(stages) - 1:
                cv2.resize(source, size, dst=target, interpolation=interpolation)
                return target
            shape = (size.height, size.width, *source.shape[2:])
            smaller = self._buffer(f'stage{index}', shape)
            cv2.resize(source, size, dst=smaller, interpolation=interpolation)
            source = smaller
        if target is None:
            return source
        np.copyto(target, source)
        return target

    def _buffer(self, use: str, shape: tuple[int, ...]) -> UInt8Array:
        key = (use, shape)
        if key not in self._scratch:
            if len(self._scratch) >= SCRATCH_KEPT:  # camera sizes that are long gone
                self._scratch.clear()
            self._scratch[key] = np.empty(shape, np.uint8)
        return self._scratch[key]


@lru_cache(maxsize=32)
def resize_stages(source: Size, target: Size) -> tuple[tuple[Size, int], ...]:
    """Choose the cheapest resize that does not alias.

    Bilinear interpolation reads 2x2 pixels whatever the ratio, so a shrink by more than 2 skips
    pixels: thin things flicker. cv2.INTER_AREA reads them all but costs 8 ms at 1920x1080 ->
    384x288, against 0.25 ms. Exact halvings have a fast path, so: halve while the result is no
    smaller than the target, then interpolate bilinearly (0.9 ms, a third of the error). What has
    been halved is smooth enough to shrink by up to 3 in the longer direction. A size that cannot
    be halved exactly, and shrinks by more than 2, takes the area filter.

    Returns:
        Sizes to go through and the cv2 interpolation flag of each; empty when nothing is to do.
    """
    stages = []
    width, height = source
    while (
        width % 2 == 0
        and height % 2 == 0
        and width >= 2 * target.width
        and height >= 2 * target.height
    ):
        width, height = width // 2, height // 2
        stages.append((Size(width, height), cv2.INTER_AREA))
    if (width, height) == target:
        return tuple(stages)
    shrinks = width >= target.width and height >= target.height
    limit = 3 if stages else 2
    aliases = width > limit * target.width or height > limit * target.height
    stages.append((target, cv2.INTER_AREA if shrinks and aliases else cv2.INTER_LINEAR))
    return tuple(stages)


def _check_target(spec: InputSpec, target: TensorSpec) -> None:
    height, width, channels = spec.size.height, spec.size.width, spec.channels
    shapes = {
        'NCHW': (1, channels, height, width),
        'NHWC': (1, height, width, channels),
        'NHW': (1, height, width),
        'HW': (height, width),
    }
    wanted = shapes[target.layout]
    if target.shape != wanted or (channels != 1 and target.layout in ('NHW', 'HW')):
        raise IncompatibleModel(
            f'input {target.name} is {target.layout} {target.shape}',
            expected=f'{wanted} for {spec.color_order} {width}x{height}',
            remedy='correct input.shape, input.layout or input.color_order in the manifest',
        )
    if target.dtype != 'uint8' and target.dtype not in _FLOAT_DTYPES:
        raise IncompatibleModel(
            f'input {target.name} takes {target.dtype}',
            expected='uint8, float32 or float16',
            remedy='export the model with an image input of one of these types',
        )


def _value_table(spec: InputSpec) -> npt.NDArray[np.float64]:
    """Return what each pixel value 0-255 becomes, (256, channels)."""
    pixel = np.arange(256, dtype=np.float64)[:, None]
    if spec.dtype == 'uint8':
        return np.repeat(pixel, spec.channels, axis=1)
    channels = spec.channels
    mean, std = (np.asarray(v[:channels], np.float64) for v in (spec.mean, spec.std))
    return (pixel / spec.scale - mean) / std


def _cv_view(array: AnyArray) -> CvArray:
    """Return float16 as the int16 with the same bits: OpenCV moves it, but has no name for it."""
    return array.view(np.int16) if array.dtype == np.float16 else cast(CvArray, array)
