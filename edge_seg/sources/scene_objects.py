"""The obstacle catalogue of the procedural scenes: furniture indoors, street things outdoors."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from edge_seg.sources.scene_mesh import MeshBuilder
from edge_seg.sources.scene_textures import pick_color, Rgb
import numpy as np

Maker = Callable[[np.random.Generator, MeshBuilder], None]
"""Adds one object in the frame that the mesh builder was given."""


@dataclasses.dataclass(frozen=True, slots=True)
class ObstacleKind:
    """A sort of obstacle and the radius that must stay free around its centre, in metres."""

    make: Maker
    radius_m: float


def _wood(rng: np.random.Generator) -> Rgb:
    return pick_color(rng, hue=(6, 20), saturation=(60, 170), value=(60, 210))


def _any_color(rng: np.random.Generator) -> Rgb:
    return pick_color(rng, saturation=(0, 230), value=(35, 235))


def _carton(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color = pick_color(rng, hue=(8, 20), saturation=(50, 140), value=(110, 220))
    width, depth, height = rng.uniform(0.3, 0.9, 3)
    mesh.box((0.0, 0.0), size=(width, depth, height), color=color)
    tape = pick_color(rng, hue=(10, 40), saturation=(10, 120), value=(140, 240))
    stripe = min(width, 0.06)
    mesh.box((0.0, 0.0), size=(stripe, depth + 0.01, height + 0.01), color=tape, rank=1)
    if rng.random() < 0.4:
        small = 0.6 * min(width, depth)
        top = rng.uniform(0.2, 0.4)
        mesh.box((0.0, 0.0), size=(small, small, top), color=color, bottom=height, rank=2)


def _crate(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color = _any_color(rng)
    width, depth, height = rng.uniform(0.4, 1.2, 3)
    mesh.box((0.0, 0.0), size=(width, depth, height), color=color)
    band = _any_color(rng)
    for level in (0.25, 0.65):
        size = (width + 0.01, depth + 0.01, 0.12 * height)
        mesh.box((0.0, 0.0), size=size, color=band, bottom=level * height, rank=1)


def _bin(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    radius, height = rng.uniform(0.16, 0.4), rng.uniform(0.4, 1.1)
    color = _any_color(rng)
    taper = rng.uniform(0.9, 1.15)
    mesh.drum((0.0, 0.0), radius=radius, height=height, color=color, taper=taper)
    lid = _any_color(rng)
    mesh.drum((0.0, 0.0), radius=1.06 * radius, height=0.08, color=lid, bottom=height, rank=1)


def _table(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    width, depth, height = rng.uniform(0.8, 1.8), rng.uniform(0.6, 0.9), rng.uniform(0.65, 0.8)
    color, legs = _wood(rng), _any_color(rng)
    for sign_x in (-1, 1):
        for sign_y in (-1, 1):
            place = (sign_x * (0.5 * width - 0.08), sign_y * (0.5 * depth - 0.08))
            mesh.box(place, size=(0.08, 0.08, height), color=legs)
    mesh.box((0.0, 0.0), size=(width, depth, 0.07), color=color, bottom=height, rank=1)
    if rng.random() < 0.6:
        top = height + 0.07
        mesh.box((0.1, 0.0), size=(0.4, 0.06, 0.3), color=(30, 32, 36), bottom=top, rank=2)


def _chair(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color, legs = _any_color(rng), _any_color(rng)
    side, seat = rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.48)
    for sign_x in (-1, 1):
        for sign_y in (-1, 1):
            place = (sign_x * (0.5 * side - 0.03), sign_y * (0.5 * side - 0.03))
            mesh.box(place, size=(0.06, 0.06, seat), color=legs)
    mesh.box((0.0, 0.0), size=(side, side, 0.07), color=color, bottom=seat, rank=1)
    back = (side, 0.07, rng.uniform(0.35, 0.5))
    mesh.box((0.0, 0.5 * side - 0.03), size=back, color=color, bottom=seat + 0.07, rank=2)


def _sofa(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    width, color = rng.uniform(1.0, 2.0), _any_color(rng)
    mesh.box((0.0, 0.0), size=(width, 0.8, 0.42), color=color)
    mesh.box((0.0, 0.35), size=(width, 0.2, 0.42), color=color, bottom=0.42, rank=1)
    for sign in (-1, 1):
        place = (sign * (0.5 * width - 0.08), 0.0)
        mesh.box(place, size=(0.16, 0.8, 0.18), color=color, bottom=0.42, rank=1)


def _shelf(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    width, depth, height = rng.uniform(0.6, 1.4), rng.uniform(0.3, 0.5), rng.uniform(0.9, 2.1)
    color = _wood(rng) if rng.random() < 0.5 else _any_color(rng)
    mesh.box((0.0, 0.0), size=(width, depth, height), color=color)
    level = 0.1
    while level < height - 0.3:
        rise = rng.uniform(0.2, 0.3)
        goods = _any_color(rng)
        size = (width - 0.12, depth + 0.02, rise)
        mesh.box((0.0, 0.0), size=size, color=goods, bottom=level, rank=1)
        level += rise + rng.uniform(0.06, 0.12)


def _plant(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    pot = _any_color(rng)
    mesh.drum((0.0, 0.0), radius=0.16, height=0.35, color=pot, taper=1.25)
    mesh.drum((0.0, 0.0), radius=0.05, height=0.5, color=(80, 60, 40), bottom=0.35, rank=1)
    _foliage(rng, mesh, spread=0.3, height=rng.uniform(0.7, 1.1), count=12)


def _foliage(
    rng: np.random.Generator, mesh: MeshBuilder, *, spread: float, height: float, count: int
) -> None:
    for _ in range(count):
        color = pick_color(rng, hue=(35, 75), saturation=(70, 200), value=(40, 150))
        x, y = rng.normal(0.0, 0.5 * spread, 2)
        z = height + rng.uniform(-0.6, 0.6) * spread
        mesh.ball((x, y, max(0.15, z)), radius=rng.uniform(0.35, 0.6) * spread, color=color)


def _cone(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    height = rng.uniform(0.45, 0.8)
    orange = pick_color(rng, hue=(3, 12), saturation=(190, 250), value=(190, 250))
    mesh.box((0.0, 0.0), size=(0.36, 0.36, 0.05), color=orange)
    for share, color in ((0.0, orange), (0.4, (235.0, 235.0, 235.0)), (0.65, orange)):
        radius = 0.15 * (1.0 - 0.85 * share)
        mesh.drum(
            (0.0, 0.0),
            radius=radius,
            height=(1.0 - share) * height,
            color=color,
            bottom=0.05 + share * height,
            taper=0.03 / radius,
            rank=1 + int(3 * share),
        )


def _bollard(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color, band = _any_color(rng), _any_color(rng)
    radius, height = rng.uniform(0.06, 0.12), rng.uniform(0.7, 1.2)
    mesh.drum((0.0, 0.0), radius=radius, height=height, color=color)
    ring, level = 1.05 * radius, 0.7 * height
    mesh.drum((0.0, 0.0), radius=ring, height=0.12, color=band, bottom=level, rank=1)


def _lamp_post(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color = pick_color(rng, saturation=(0, 60), value=(40, 160))
    mesh.drum((0.0, 0.0), radius=0.16, height=0.4, color=color)
    mesh.drum((0.0, 0.0), radius=0.08, height=3.4, color=color, bottom=0.4, rank=1)
    mesh.ball((0.0, 0.0, 3.8), radius=0.22, color=(235, 230, 210))


def _tree(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    bark = pick_color(rng, hue=(8, 20), saturation=(40, 130), value=(40, 110))
    height = rng.uniform(1.8, 2.6)
    radius = rng.uniform(0.1, 0.2)
    mesh.drum((0.0, 0.0), radius=radius, height=height, color=bark, taper=0.7)
    _foliage(rng, mesh, spread=rng.uniform(0.8, 1.3), height=height + 0.5, count=24)


def _bush(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    spread = rng.uniform(0.4, 0.8)
    mesh.drum((0.0, 0.0), radius=0.45 * spread, height=0.3, color=(45, 60, 30))
    _foliage(rng, mesh, spread=spread, height=0.55 * spread, count=18)


def _bench(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color, metal = _wood(rng), pick_color(rng, saturation=(0, 40), value=(40, 120))
    for sign in (-1, 1):
        mesh.box((sign * 0.6, 0.0), size=(0.1, 0.4, 0.42), color=metal)
    mesh.box((0.0, 0.0), size=(1.5, 0.45, 0.08), color=color, bottom=0.42, rank=1)
    mesh.box((0.0, 0.22), size=(1.5, 0.06, 0.4), color=color, bottom=0.5, rank=2)


def _car(rng: np.random.Generator, mesh: MeshBuilder) -> None:
    color = _any_color(rng)
    for x in (-1.2, 1.2):
        mesh.box((x, 0.0), size=(0.6, 1.72, 0.55), color=(25, 25, 28))
    mesh.box((0.0, 0.0), size=(3.9, 1.7, 0.6), color=color, bottom=0.22, rank=1)
    cabin = np.array([[-1.3, -0.75], [1.0, -0.75], [1.0, 0.75], [-1.3, 0.75]])
    mesh.prism(cabin, bottom=0.82, top=1.3, color=(50, 62, 74), taper=0.8, rank=3)
    roof = 0.8 * (cabin - cabin.mean(axis=0)) + cabin.mean(axis=0)
    mesh.prism(roof, bottom=1.3, top=1.38, color=color, rank=4)


INDOOR_OBJECTS: tuple[ObstacleKind, ...] = (
    ObstacleKind(_carton, 0.6),
    ObstacleKind(_carton, 0.6),
    ObstacleKind(_crate, 0.8),
    ObstacleKind(_bin, 0.4),
    ObstacleKind(_table, 1.0),
    ObstacleKind(_chair, 0.4),
    ObstacleKind(_chair, 0.4),
    ObstacleKind(_sofa, 1.1),
    ObstacleKind(_shelf, 0.8),
    ObstacleKind(_plant, 0.4),
    ObstacleKind(_cone, 0.25),
)

OUTDOOR_OBJECTS: tuple[ObstacleKind, ...] = (
    ObstacleKind(_crate, 0.8),
    ObstacleKind(_bin, 0.4),
    ObstacleKind(_cone, 0.25),
    ObstacleKind(_cone, 0.25),
    ObstacleKind(_bollard, 0.2),
    ObstacleKind(_lamp_post, 0.25),
    ObstacleKind(_tree, 0.4),
    ObstacleKind(_bush, 0.7),
    ObstacleKind(_bench, 0.8),
    ObstacleKind(_car, 2.1),
    ObstacleKind(_carton, 0.6),
)
