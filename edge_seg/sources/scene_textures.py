"""Seeded surface textures of the procedural scenes: RGB with the class id as fourth channel."""

from __future__ import annotations

from typing import Any, cast

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.sources.scene_classes import SceneClass
import numpy as np
import numpy.typing as npt

Rgb = tuple[float, float, float]
_FloatImage = npt.NDArray[Any]

FLOOR_SIZE_PX = 768
FLOOR_PX_PER_M = 48.0
WALL_PX_PER_M = 40.0
_MID_TONE = 128.0

INDOOR_FLOORS = ('tiles', 'planks', 'carpet', 'concrete', 'tiles')
OUTDOOR_FLOORS = ('asphalt', 'pavers', 'concrete', 'gravel')


def pick_color(
    rng: np.random.Generator,
    *,
    hue: tuple[float, float] = (0.0, 180.0),
    saturation: tuple[float, float] = (0.0, 255.0),
    value: tuple[float, float] = (40.0, 240.0),
) -> Rgb:
    """Pick a random RGB colour from OpenCV HSV ranges (hue 0 to 180, the others 0 to 255)."""
    hsv = np.array(
        [[[rng.uniform(*hue) % 180.0, rng.uniform(*saturation), rng.uniform(*value)]]]
    ).astype(np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return float(red), float(green), float(blue)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], *, cells: tuple[int, int]
) -> _FloatImage:
    """Return noise of unit variance with `cells` bumps down and across, as float32 of `shape`."""
    coarse = rng.standard_normal(cells, dtype=np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def floor_texture(rng: np.random.Generator, kind: str) -> UInt8Array:
    """Paint a square floor of `kind` (one of the floor lists), FLOOR_SIZE_PX a side."""
    size = (FLOOR_SIZE_PX, FLOOR_SIZE_PX)
    base = _floor_color(rng, kind)
    relief = 4.0 * smooth_noise(rng, size, cells=(9, 9))
    if kind in ('tiles', 'pavers'):
        relief += _tiles(rng, size, pitch=int(rng.integers(14, 40)), bricks=kind == 'pavers')
    elif kind == 'planks':
        relief += _planks(rng, size)
    else:
        grain = {'gravel': 14.0, 'carpet': 6.0, 'asphalt': 9.0, 'grass': 14.0}.get(kind, 4.0)
        relief += grain * smooth_noise(rng, size, cells=(384, 384))
        relief += 5.0 * smooth_noise(rng, size, cells=(60, 60))
    light = 1.0 + 0.13 * smooth_noise(rng, size, cells=(5, 5))
    texture = _compose(base, relief, light, SceneClass.FLOOR)
    if kind != 'grass' and rng.random() < 0.4:
        _floor_markings(rng, texture)
    return texture


def _floor_color(rng: np.random.Generator, kind: str) -> Rgb:
    if kind == 'grass':
        return pick_color(rng, hue=(32, 52), saturation=(80, 170), value=(60, 150))
    if kind == 'planks':
        return pick_color(rng, hue=(8, 18), saturation=(60, 150), value=(80, 200))
    if kind == 'carpet':
        return pick_color(rng, saturation=(10, 110), value=(50, 150))
    if kind in ('asphalt', 'gravel'):
        return pick_color(rng, hue=(0, 30), saturation=(0, 35), value=(60, 150))
    return pick_color(rng, hue=(0, 40), saturation=(0, 60), value=(85, 220))


def _compose(base: Rgb, relief: _FloatImage, light: _FloatImage, label: int) -> UInt8Array:
    """Return `base` lit by (`relief` around 0, in levels) times `light`, with the class id."""
    tone = cv2.convertScaleAbs((relief + _MID_TONE) * light)
    channels = [cv2.convertScaleAbs(tone, alpha=level / _MID_TONE) for level in base]
    channels.append(np.full(tone.shape, label, np.uint8))
    return cast(UInt8Array, cv2.merge(channels))


def _tiles(
    rng: np.random.Generator, size: tuple[int, int], *, pitch: int, bricks: bool
) -> _FloatImage:
    rows, columns = size[0] // pitch + 2, size[1] // pitch + 2
    tones = rng.normal(0.0, rng.uniform(1.0, 9.0), (rows, columns)).astype(np.float32)
    if rng.random() < 0.2:
        tones[::2, ::2] -= 25.0
        tones[1::2, 1::2] -= 25.0
    relief = np.repeat(np.repeat(tones, pitch, axis=0), pitch, axis=1)
    seam = rng.uniform(-35.0, 25.0)
    relief[::pitch] += seam
    if bricks:
        for row in range(rows):
            band = relief[row * pitch : (row + 1) * pitch]
            band[:, (row % 2) * pitch // 2 :: pitch] += seam
    else:
        relief[:, ::pitch] += seam
    return relief[: size[0], : size[1]]


def _planks(rng: np.random.Generator, size: tuple[int, int]) -> _FloatImage:
    pitch = int(rng.integers(6, 12))
    count = size[1] // pitch + 1
    tones = rng.normal(0.0, 8.0, (3, count)).astype(np.float32)
    relief: _FloatImage = cv2.resize(
        tones, (count * pitch, size[0]), interpolation=cv2.INTER_NEAREST
    )
    relief[:, ::pitch] -= 22.0
    relief = relief[:, : size[1]] + 5.0 * smooth_noise(rng, size, cells=(20, 300))
    return relief if rng.random() < 0.5 else np.ascontiguousarray(relief.T)


def _floor_markings(rng: np.random.Generator, texture: UInt8Array) -> None:
    """Add painted lines or a rug: colour on the floor that is still floor."""
    paint = (*pick_color(rng), float(SceneClass.FLOOR))
    size = FLOOR_SIZE_PX
    if rng.random() < 0.5:
        x = int(rng.integers(size // 3, 2 * size // 3))
        cv2.line(texture, (x, 0), (x + int(rng.integers(-80, 80)), size), paint, 5)
        return
    x, y = (int(value) for value in rng.integers(size // 5, 3 * size // 5, 2))
    corner = (x + int(rng.integers(60, 160)), y + int(rng.integers(40, 120)))
    cv2.rectangle(texture, (x, y), corner, paint, -1)
    trim = (*pick_color(rng), float(SceneClass.FLOOR))
    cv2.rectangle(texture, (x + 6, y + 6), (corner[0] - 6, corner[1] - 6), trim, 3)


def sidewalk_texture(rng: np.random.Generator, *, half_width_m: float) -> UInt8Array:
    """Paint a paved strip along the middle column; the lawn beside it is background."""
    paving = floor_texture(rng, str(rng.choice(OUTDOOR_FLOORS)))
    lawn = floor_texture(rng, 'grass')
    lawn[..., 3] = SceneClass.BACKGROUND
    half = int(half_width_m * FLOOR_PX_PER_M)
    middle = FLOOR_SIZE_PX // 2
    kerb = pick_color(rng, saturation=(0, 30), value=(90, 200))
    lawn[:, middle - half : middle + half] = paving[:, middle - half : middle + half]
    for edge in (middle - half, middle + half - 4):
        lawn[:, edge : edge + 4] = (*kerb, float(SceneClass.FLOOR))
    return lawn


def wall_texture(
    rng: np.random.Generator, length_m: float, *, height_m: float, base: Rgb, outdoor: bool
) -> UInt8Array:
    """Paint a wall of `length_m` by `height_m` with doors, windows, posters, bricks or panels."""
    size = (max(8, int(height_m * WALL_PX_PER_M)), max(8, int(length_m * WALL_PX_PER_M)))
    relief = 4.0 * smooth_noise(rng, size, cells=(4, 12))
    relief += 3.0 * smooth_noise(rng, size, cells=(size[0] // 3, size[1] // 3))
    if rng.random() < (0.6 if outdoor else 0.15):
        relief += _tiles(rng, size, pitch=int(rng.integers(5, 12)), bricks=True)
    elif rng.random() < 0.3:
        relief[:, :: int(rng.integers(30, 80))] -= 25.0
    light = 1.0 + 0.1 * smooth_noise(rng, size, cells=(3, 5))
    texture = _compose(base, relief, light, SceneClass.WALL)
    _wall_details(rng, texture, outdoor=outdoor)
    return texture


def _wall_details(rng: np.random.Generator, texture: UInt8Array, *, outdoor: bool) -> None:
    height, width = texture.shape[:2]
    label = float(SceneClass.WALL)
    if not outdoor:
        board = (*pick_color(rng, saturation=(0, 60)), label)
        cv2.rectangle(texture, (0, height - 5), (width, height), board, -1)
    if not outdoor and rng.random() < 0.25:
        wainscot = (*pick_color(rng, saturation=(0, 120)), label)
        cv2.rectangle(texture, (0, int(0.65 * height)), (width, height - 6), wainscot, -1)
    x = int(rng.integers(10, 80))
    while x < width - 30 and height > 70:
        _wall_detail(rng, texture, x=x, outdoor=outdoor)
        x += int(rng.integers(70, 190))


def _wall_detail(rng: np.random.Generator, texture: UInt8Array, *, x: int, outdoor: bool) -> None:
    height = texture.shape[0]
    label = float(SceneClass.WALL)
    fill = (*pick_color(rng, saturation=(0, 160)), label)
    frame = (*pick_color(rng, saturation=(0, 60)), label)
    kind = rng.random()
    if kind < 0.35:
        top, right = max(4, height - 82), x + int(rng.integers(34, 44))
        cv2.rectangle(texture, (x, top), (right, height), fill, -1)
        cv2.rectangle(texture, (x, top), (right, height), frame, 2)
        cv2.circle(texture, (x + 6, height - 40), 2, frame, -1)
        return
    rise = int(rng.integers(46, 62)) if kind < 0.75 else int(rng.integers(60, 75))
    top, wide = height - rise - int(rng.integers(14, 40)), int(rng.integers(20, 64))
    top = max(6, top)
    bottom = top + int(rng.integers(20, 44))
    if kind < 0.75:
        glass = pick_color(rng, hue=(90, 120), saturation=(10, 90), value=(60, 250))
        fill = (*glass, label)
    cv2.rectangle(texture, (x, top), (x + wide, bottom), fill, -1)
    cv2.rectangle(texture, (x, top), (x + wide, bottom), frame, 2)
    if kind < 0.75 and outdoor:
        cv2.line(texture, (x + wide // 2, top), (x + wide // 2, bottom), frame, 2)


def sky_texture(rng: np.random.Generator, *, width: int, height: int) -> UInt8Array:
    """Paint a sky with clouds, brighter towards the horizon at the bottom; class background."""
    zenith = np.array(pick_color(rng, hue=(98, 115), saturation=(10, 170), value=(120, 240)))
    horizon = np.array(pick_color(rng, hue=(15, 110), saturation=(0, 60), value=(160, 250)))
    ramp = np.linspace(0.0, 1.0, height)[:, None, None]
    clouds = smooth_noise(rng, (height, width), cells=(6, 8))
    clouds += 0.5 * smooth_noise(rng, (height, width), cells=(14, 18))
    veil = np.clip(clouds * rng.uniform(0.0, 0.5), 0.0, 1.0)[..., None]
    color = (1.0 - ramp) * zenith + ramp * horizon
    color = color * (1.0 - veil) + 245.0 * veil
    return _background(color)


def ceiling_texture(rng: np.random.Generator, *, width: int, height: int) -> UInt8Array:
    """Paint a plain ceiling that darkens towards the far end at the bottom; class background."""
    base = np.array(pick_color(rng, hue=(10, 40), saturation=(0, 25), value=(150, 250)))
    ramp = np.linspace(1.0, rng.uniform(0.6, 0.95), height)[:, None, None]
    tone = 1.0 + 0.03 * smooth_noise(rng, (height, width), cells=(5, 6))[..., None]
    return _background(ramp * tone * base)


def _background(color: npt.NDArray[Any]) -> UInt8Array:
    texture = np.full((*color.shape[:2], 4), float(SceneClass.BACKGROUND))
    texture[..., :3] = np.clip(color, 0.0, 255.0)
    return texture.astype(np.uint8)
