"""Procedural camera views of a mobile robot with exact ground-truth labels, as a seeded video."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import cast

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.sources.scene_camera import View
from edge_seg.sources.scene_classes import SceneClass
from edge_seg.sources.scene_drawing import (
    draw_floor,
    draw_shadows,
    draw_skyline,
    draw_things,
    draw_wall,
    SHADING_UNIT,
)
from edge_seg.sources.scene_layout import build_scene, Scene
from edge_seg.sources.scene_population import SCENE_PERIOD_S
import numpy as np

_GRAIN_MARGIN_PX = 48
_GRAIN_SIGMA = 40.0
_MIN_SIZE_PX, _MAX_SIZE_PX = 16, 4096


@dataclasses.dataclass(frozen=True, slots=True)
class SyntheticFrame:
    """A rendered picture and its labels.

    `image` is uint8 (height, width, 3) RGB; `labels` is uint8 (height, width) of SceneClass ids.
    """

    image: UInt8Array
    labels: UInt8Array


class SceneSequence:
    """An endless video: every few seconds another scene, smooth motion inside each.

    Equal (seed, time, size) give equal frames, in any order of calls. Not thread safe: frames are
    drawn on one reused canvas (what `render` returns is the caller's own).
    """

    def __init__(self, seed: int, *, width: int, height: int) -> None:
        """Allocate the canvas.

        Raises:
            ValueError: the seed is negative or a side is not 16 to 4096 pixels.
        """
        if seed < 0:
            raise ValueError(f'scene seed is {seed}; expected 0 or more')
        if not all(_MIN_SIZE_PX <= side <= _MAX_SIZE_PX for side in (width, height)):
            raise ValueError(
                f'scene size is {width}x{height}; '
                f'expected {_MIN_SIZE_PX} to {_MAX_SIZE_PX} pixels on each side'
            )
        self._seed = seed
        self._size = (width, height)
        self._canvas = np.zeros((height, width, 4), np.uint8)
        self._shading = np.zeros((height, width, 4), np.uint8)
        self._grain = _grain_field(width + _GRAIN_MARGIN_PX, height + _GRAIN_MARGIN_PX)
        self._scene_at = functools.lru_cache(maxsize=2)(functools.partial(build_scene, seed))

    def render(self, t_s: float) -> SyntheticFrame:
        """Draw the frame at `t_s` seconds from the start.

        Raises:
            ValueError: the time is negative or not finite.
        """
        if not math.isfinite(t_s) or t_s < 0.0:
            raise ValueError(f'scene time is {t_s} s; expected a finite number from 0 up')
        index = int(t_s // SCENE_PERIOD_S)
        scene = self._scene_at(index)
        scene_t_s = t_s - index * SCENE_PERIOD_S
        width, height = self._size
        view = View.at(scene.path, scene_t_s, width=width, height=height)
        self._draw(scene, view, scene_t_s)
        labels = cast(UInt8Array, cv2.extractChannel(self._canvas, 3))
        image = cast(UInt8Array, cv2.cvtColor(self._canvas, cv2.COLOR_RGBA2RGB))
        return SyntheticFrame(self._expose(image, scene, scene_t_s), labels)

    def prepare(self, t_s: float) -> None:
        """Build the scene shown at `t_s` unless it is there; may be called on another thread."""
        self._scene_at(int(t_s // SCENE_PERIOD_S))

    @staticmethod
    def scene_changes_within(t_s: float, ahead_s: float) -> bool:
        """Whether another scene begins in the `ahead_s` seconds after `t_s`."""
        return t_s // SCENE_PERIOD_S != (t_s + ahead_s) // SCENE_PERIOD_S

    def _draw(self, scene: Scene, view: View, t_s: float) -> None:
        canvas = self._canvas
        cv2.resize(scene.backdrop, self._size, dst=canvas)
        canvas[..., 3] = SceneClass.BACKGROUND
        draw_skyline(canvas, scene, view)
        draw_floor(canvas, scene, view)
        for wall in scene.walls:
            draw_wall(canvas, wall, view)
        small = scene.optics.shading.copy()
        draw_shadows(small, scene, view=view, t_s=t_s)
        cv2.resize(small, self._size, dst=self._shading)
        cv2.multiply(canvas, self._shading, dst=canvas, scale=1.0 / SHADING_UNIT)
        draw_things(canvas, scene, view=view, t_s=t_s)

    def _expose(self, image: UInt8Array, scene: Scene, t_s: float) -> UInt8Array:
        """Apply lens blur, motion blur, exposure and grain; none of them touches labels."""
        optics = scene.optics
        if optics.blur_px > 1:
            cv2.GaussianBlur(image, (optics.blur_px, optics.blur_px), 0, dst=image)
        smear_px = abs(scene.path.yaw_rate_rad_s(t_s)) * 0.008 * self._size[0]
        if smear_px >= 1.0:
            cv2.blur(image, (2 * round(0.5 * smear_px) + 1, 1), dst=image)
        gain = optics.gain * (1.0 + optics.gain_swing * math.sin(1.7 * t_s))
        rng = np.random.default_rng([self._seed, round(1e6 * t_s)])
        left, top = rng.integers(0, _GRAIN_MARGIN_PX, 2).tolist()
        height, width = image.shape[:2]
        grain = self._grain[top : top + height, left : left + width]
        weight = optics.grain
        cv2.addWeighted(image, gain, grain, weight, -128.0 * weight, dst=image)
        return image


@functools.lru_cache(maxsize=4)
def _grain_field(width: int, height: int) -> UInt8Array:
    """Sensor noise around 128, the same for every sequence; frames take shifted windows of it."""
    rng = np.random.default_rng(20240229)
    field = rng.standard_normal((height, width, 3), dtype=np.float32)
    field += 0.5 * field.mean(axis=-1, keepdims=True)
    grain: UInt8Array = np.clip(128.0 + _GRAIN_SIGMA * field, 0.0, 255.0).astype(np.uint8)
    return grain
