"""Lays out one procedural scene from a seed: place, camera path, light, obstacles and people."""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.sources.scene_camera import CameraPath, FloatArray
from edge_seg.sources.scene_classes import SceneClass
from edge_seg.sources.scene_mesh import Light, Mesh, Paint, painted
from edge_seg.sources.scene_objects import INDOOR_OBJECTS, OUTDOOR_OBJECTS
from edge_seg.sources.scene_people import Person
from edge_seg.sources.scene_population import Bounds, place_obstacles, place_people
from edge_seg.sources.scene_textures import (
    ceiling_texture,
    FLOOR_SIZE_PX,
    floor_texture,
    INDOOR_FLOORS,
    OUTDOOR_FLOORS,
    pick_color,
    Rgb,
    sidewalk_texture,
    sky_texture,
    wall_texture,
)
import numpy as np

_PLACES = ('room', 'corridor', 'yard', 'sidewalk')
_PLACE_ODDS = (0.34, 0.24, 0.24, 0.18)


@dataclasses.dataclass(frozen=True, slots=True)
class Wall:
    """A vertical textured rectangle standing on the ground from `start` to `end`."""

    start: tuple[float, float]
    end: tuple[float, float]
    height_m: float
    texture: UInt8Array


@dataclasses.dataclass(frozen=True, slots=True)
class Optics:
    """What the camera does to the picture: gain drift, grain, blur and corner shading."""

    gain: float
    gain_swing: float
    grain: float
    blur_px: int
    shading: UInt8Array


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """Everything needed to draw one scene at any of its times."""

    path: CameraPath
    light: Light
    floor: UInt8Array
    floor_far: UInt8Array
    backdrop: UInt8Array
    skyline: FloatArray
    skyline_paint: Paint
    walls: tuple[Wall, ...]
    mesh: Mesh
    people: tuple[Person, ...]
    optics: Optics


def build_scene(seed: int, index: int) -> Scene:
    """Return the `index`-th scene of sequence `seed`; the same arguments give the same scene."""
    rng = np.random.default_rng([seed, index])
    place = str(rng.choice(_PLACES, p=_PLACE_ODDS))
    outdoor = place in ('yard', 'sidewalk')
    bounds = _bounds(rng, place)
    path = _camera_path(rng, place)
    light = _light(rng, outdoor=outdoor)
    floor = _floor(rng, place, bounds)
    walls = _outdoor_walls(rng, place, bounds) if outdoor else _indoor_walls(rng, bounds)
    backdrop = (sky_texture if outdoor else ceiling_texture)(rng, width=160, height=120)
    kinds = OUTDOOR_OBJECTS if outdoor else INDOOR_OBJECTS
    mesh, taken = place_obstacles(rng, kinds, bounds=bounds, path=path, light=light)
    people = place_people(rng, bounds, path=path, taken=taken)
    return Scene(
        path=path,
        light=light,
        floor=floor,
        floor_far=_shrunk(floor, place),
        backdrop=backdrop,
        skyline=_skyline(rng) if outdoor else np.zeros((0, 3)),
        skyline_paint=painted(_skyline_color(rng), SceneClass.BACKGROUND),
        walls=walls,
        mesh=mesh,
        people=people,
        optics=_optics(rng),
    )


def _shrunk(texture: UInt8Array, place: str) -> UInt8Array:
    """Return a four times smaller texture; not averaged where classes would mix."""
    how = cv2.INTER_NEAREST if place == 'sidewalk' else cv2.INTER_AREA
    side = FLOOR_SIZE_PX // 4
    return cast(UInt8Array, cv2.resize(texture, (side, side), interpolation=how))


def _bounds(rng: np.random.Generator, place: str) -> Bounds:
    if place == 'corridor':
        half = rng.uniform(0.95, 1.7)
        return Bounds(left=-half, right=half, far=rng.uniform(9.0, 20.0))
    if place == 'room':
        left, right = -rng.uniform(1.5, 4.5), rng.uniform(1.5, 4.5)
        return Bounds(left=left, right=right, far=rng.uniform(6.0, 11.0))
    if place == 'sidewalk':
        return Bounds(left=-rng.uniform(2.0, 6.0), right=rng.uniform(2.0, 6.0), far=14.0)
    return Bounds(left=-rng.uniform(3.5, 7.0), right=rng.uniform(3.5, 7.0), far=14.0)


def _camera_path(rng: np.random.Generator, place: str) -> CameraPath:
    freedom = {'corridor': 8.0, 'sidewalk': 10.0}.get(place, 18.0)
    return CameraPath(
        height_m=rng.uniform(0.35, 1.45),
        pitch_rad=math.radians(rng.uniform(2.0, 17.0)),
        fov_rad=math.radians(rng.uniform(60.0, 84.0)),
        yaw_rad=math.radians(rng.uniform(-freedom, freedom)),
        yaw_swing_rad=math.radians(rng.uniform(1.0, 10.0)),
        yaw_period_s=rng.uniform(4.0, 9.0),
        roll_rad=math.radians(rng.uniform(0.0, 1.5)),
        bob_m=rng.uniform(0.0, 0.012),
        speed_m_s=rng.uniform(0.0, 0.7),
        phase_rad=rng.uniform(0.0, 2.0 * math.pi),
    )


def _light(rng: np.random.Generator, *, outdoor: bool) -> Light:
    reach = 1.1 if outdoor else 0.35
    slope = rng.uniform(-reach, reach, 2)
    return Light((float(slope[0]), float(slope[1])), ambient=rng.uniform(0.45, 0.75))


def _floor(rng: np.random.Generator, place: str, bounds: Bounds) -> UInt8Array:
    if place == 'sidewalk':
        half_width = rng.uniform(0.9, min(2.2, -bounds.left, bounds.right))
        return sidewalk_texture(rng, half_width_m=half_width)
    kinds = OUTDOOR_FLOORS if place == 'yard' else INDOOR_FLOORS
    return floor_texture(rng, str(rng.choice(kinds)))


def _skyline(rng: np.random.Generator) -> FloatArray:
    """Return a jagged crest from left to right, far away: world points (n, 3)."""
    angles = np.linspace(-1.3, 1.3, 60)
    relief = np.convolve(rng.uniform(0.0, 1.0, 64), np.ones(5) / 5.0, mode='valid')
    relief += rng.uniform(0.0, 0.25) * rng.uniform(0.0, 1.0, 60)
    heights = rng.uniform(8.0, 60.0) * relief
    return np.column_stack([300.0 * np.sin(angles), 300.0 * np.cos(angles), heights])


def _skyline_color(rng: np.random.Generator) -> Rgb:
    return pick_color(rng, hue=(40, 110), saturation=(10, 110), value=(50, 170))


def _indoor_walls(rng: np.random.Generator, bounds: Bounds) -> tuple[Wall, ...]:
    base = pick_color(rng, saturation=(0, 90), value=(110, 240))
    height = rng.uniform(2.3, 3.2)
    left, right, far, behind = bounds.left - 0.4, bounds.right + 0.4, bounds.far + 0.4, -2.0
    corners = [(left, behind), (left, far), (right, far), (right, behind)]
    order = (1, 0, 2)
    runs = [(corners[side], corners[side + 1]) for side in order]
    return tuple(
        _wall(rng, start, end=end, height=height, base=base, outdoor=False) for start, end in runs
    )


def _outdoor_walls(rng: np.random.Generator, place: str, bounds: Bounds) -> tuple[Wall, ...]:
    left, right, far = bounds.left - 0.5, bounds.right + 0.5, bounds.far + rng.uniform(1.0, 5.0)
    runs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    if rng.random() < 0.7:
        runs.append(((left - 4.0, far), (right + 4.0, far)))
    if rng.random() < 0.6:
        runs.append(((left, rng.uniform(-2.0, 4.0)), (left, rng.uniform(8.0, far))))
    if rng.random() < (0.6 if place == 'yard' else 0.35):
        runs.append(((right, rng.uniform(8.0, far)), (right, rng.uniform(-2.0, 4.0))))
    walls = []
    for start, end in runs:
        base = pick_color(rng, hue=(0, 40), saturation=(0, 150), value=(70, 230))
        height = rng.uniform(1.2, 2.2) if rng.random() < 0.35 else rng.uniform(2.8, 6.0)
        walls.append(_wall(rng, start, end=end, height=height, base=base, outdoor=True))
    return tuple(walls)


def _wall(
    rng: np.random.Generator,
    start: tuple[float, float],
    *,
    end: tuple[float, float],
    height: float,
    base: Rgb,
    outdoor: bool,
) -> Wall:
    shade = rng.uniform(0.72, 1.06)
    red, green, blue = (shade * level for level in base)
    texture = wall_texture(
        rng, math.dist(start, end), height_m=height, base=(red, green, blue), outdoor=outdoor
    )
    return Wall(start, end, height, texture)


def _optics(rng: np.random.Generator) -> Optics:
    y, x = np.mgrid[-1.0:1.0:120j, -1.0:1.0:160j]
    shading = 1.0 - rng.uniform(0.0, 0.25) * (x * x + y * y) / 2.0
    angle = rng.uniform(0.0, 2.0 * math.pi)
    shading += rng.uniform(0.0, 0.15) * (math.cos(angle) * x + math.sin(angle) * y)
    cast = 1.0 + rng.uniform(-0.07, 0.07, 3)
    levels: FloatArray = np.clip(200.0 * shading[..., None] * cast, 0.0, 255.0)
    alpha = np.full((*shading.shape, 1), 200.0)
    return Optics(
        gain=rng.uniform(0.72, 1.2),
        gain_swing=rng.uniform(0.0, 0.1),
        grain=rng.uniform(0.04, 0.32),
        blur_px=int(rng.choice((1, 3, 3, 5))),
        shading=np.concatenate([levels, alpha], axis=-1).astype(np.uint8),
    )
