"""Places obstacles and people in a procedural scene so that nothing stands in another's way."""

from __future__ import annotations

import dataclasses
import math

from edge_seg.sources.scene_camera import CameraPath
from edge_seg.sources.scene_classes import SceneClass
from edge_seg.sources.scene_mesh import Light, Mesh, MeshBuilder
from edge_seg.sources.scene_objects import ObstacleKind
from edge_seg.sources.scene_people import Person, random_outfit
import numpy as np

SCENE_PERIOD_S = 4.0
"""Every scene lasts this long; then the next one, derived from the same seed, begins."""

_CLEARANCE_M = 0.75


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """The part of the ground things may stand on, in metres."""

    left: float
    right: float
    far: float
    near: float = 0.9


def place_obstacles(
    rng: np.random.Generator,
    kinds: tuple[ObstacleKind, ...],
    *,
    bounds: Bounds,
    path: CameraPath,
    light: Light,
) -> tuple[Mesh, list[tuple[float, float, float]]]:
    """Set up to ten obstacles on free spots; with them the circles (x, y, radius) they take."""
    mesh = MeshBuilder(light)
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(rng.integers(2, 8 if bounds.right - bounds.left < 3.5 else 11))):
        kind = kinds[int(rng.integers(len(kinds)))]
        spot = _free_spot(rng, bounds, path=path, taken=taken, radius=kind.radius_m)
        if spot is None:
            continue
        mesh.begin(*spot, yaw=rng.uniform(0.0, 2.0 * math.pi), label=SceneClass.OBSTACLE)
        kind.make(rng, mesh)
        mesh.end()
        taken.append((*spot, kind.radius_m))
    return mesh.build(), taken


def _free_spot(
    rng: np.random.Generator,
    bounds: Bounds,
    *,
    path: CameraPath,
    taken: list[tuple[float, float, float]],
    radius: float,
) -> tuple[float, float] | None:
    """Find a place in view, off the camera's way and apart from what stands already."""
    reach = path.speed_m_s * SCENE_PERIOD_S
    for _ in range(12):
        depth = rng.uniform(bounds.near + 0.3, min(bounds.far, 9.5))
        angle = path.yaw_rad + 0.55 * path.fov_rad * rng.uniform(-1.0, 1.0)
        x = min(bounds.right, max(bounds.left, -depth * math.tan(angle)))
        clear_of_path = abs(x) > _CLEARANCE_M + 0.6 * radius or depth > reach + 1.2 + radius
        apart = all(math.hypot(x - a, depth - b) > c + 0.45 for a, b, c in taken)
        if clear_of_path and apart:
            return x, depth
    return None


def place_people(
    rng: np.random.Generator,
    bounds: Bounds,
    *,
    path: CameraPath,
    taken: list[tuple[float, float, float]],
) -> tuple[Person, ...]:
    """Put none to five people on free spots, walking where the way is free."""
    people = []
    for _ in range(int(rng.choice(6, p=(0.12, 0.26, 0.28, 0.18, 0.1, 0.06)))):
        spot = _free_spot(rng, bounds, path=path, taken=taken, radius=0.6)
        if spot is None:
            continue
        facing, speed = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.4, 1.3)
        velocity = (speed * math.cos(facing), speed * math.sin(facing))
        if rng.random() < 0.3 or not _walk_is_free(spot, velocity, bounds=bounds, path=path):
            velocity = (0.0, 0.0)
        taken.append((*spot, 0.35))
        people.append(
            Person(
                start=spot,
                velocity=velocity,
                facing_rad=facing,
                stature=rng.uniform(0.92, 1.08) if rng.random() < 0.85 else rng.uniform(0.6, 0.8),
                girth=rng.uniform(0.9, 1.35),
                phase_rad=rng.uniform(0.0, 2.0 * math.pi),
                arm_raise_rad=rng.uniform(0.3, 1.6) if rng.random() < 0.25 else 0.0,
                outfit=random_outfit(rng),
            )
        )
    return tuple(people)


def _walk_is_free(
    spot: tuple[float, float],
    velocity: tuple[float, float],
    *,
    bounds: Bounds,
    path: CameraPath,
) -> bool:
    for share in (0.25, 0.5, 0.75, 1.0):
        t_s = share * SCENE_PERIOD_S
        x, y = spot[0] + t_s * velocity[0], spot[1] + t_s * velocity[1]
        if not bounds.left < x < bounds.right or y > bounds.far:
            return False
        if abs(x) < _CLEARANCE_M and y < path.speed_m_s * t_s + 1.2:
            return False
    return True
