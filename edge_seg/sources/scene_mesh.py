"""Static obstacles of a procedural scene as shaded convex faces and balls."""

from __future__ import annotations

import dataclasses
import math

import cv2
from edge_seg.sources.scene_camera import FloatArray
from edge_seg.sources.scene_textures import Rgb
import numpy as np
import numpy.typing as npt

Paint = tuple[float, float, float, float]
"""What one drawing call writes into the canvas: red, green, blue and the class id."""


def painted(color: Rgb, label: int, *, shade: float = 1.0) -> Paint:
    """Return `color` times `shade` within 0 to 255, with the class id as fourth channel."""
    red, green, blue = (min(255.0, max(0.0, shade * level)) for level in color)
    return red, green, blue, float(label)


@dataclasses.dataclass(frozen=True, slots=True)
class Light:
    """A distant light: the shadow of a point at height z falls `z * slope` away from it."""

    slope: tuple[float, float]
    ambient: float

    def shade(self, normal: FloatArray) -> float:
        """Return the brightness factor of a face with this unit normal."""
        direction = np.array([-self.slope[0], -self.slope[1], 1.0])
        cosine = float(normal @ direction) / float(np.linalg.norm(direction))
        return self.ambient + (1.15 - self.ambient) * max(0.0, cosine)


@dataclasses.dataclass(frozen=True, slots=True)
class Mesh:
    """All faces and balls of a scene; arrays share their first axis within each group.

    `vertices` (n, 3); `faces` indices into it; per face: outward `normals` (f, 3), a point on it
    `anchors` (f, 3), `paints`, `face_group` and `face_rank`; `balls` (b, 4): x, y, z, radius with
    `ball_paints` and `ball_group`; `group_centers` (g, 2); `shadows` ground polygons (m, 3).
    """

    vertices: FloatArray
    faces: list[npt.NDArray[np.int64]]
    normals: FloatArray
    anchors: FloatArray
    paints: list[Paint]
    face_group: npt.NDArray[np.int64]
    face_rank: npt.NDArray[np.int64]
    face_center: FloatArray
    balls: FloatArray
    ball_paints: list[Paint]
    ball_group: npt.NDArray[np.int64]
    group_centers: FloatArray
    shadows: list[FloatArray]


class MeshBuilder:
    """Collects solids object by object, in the object's own frame, and turns them into a Mesh."""

    def __init__(self, light: Light) -> None:
        self._light = light
        self._vertices: list[FloatArray] = []
        self._count = 0
        self._faces: list[npt.NDArray[np.int64]] = []
        self._normals: list[FloatArray] = []
        self._paints: list[Paint] = []
        self._keys: list[tuple[int, int]] = []
        self._centers: list[FloatArray] = []
        self._balls: list[FloatArray] = []
        self._ball_paints: list[Paint] = []
        self._ball_group: list[int] = []
        self._groups: list[tuple[float, float]] = []
        self._shadows: list[FloatArray] = []
        self._axes = np.eye(2)
        self._label = 0
        self._first_vertex = 0

    def begin(self, x: float, y: float, *, yaw: float, label: int) -> None:
        """Start an object at (x, y) turned by `yaw`; what follows is in its frame."""
        self._groups.append((x, y))
        self._axes = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
        self._label = label
        self._first_vertex = len(self._vertices)

    def end(self) -> None:
        """Finish the object: its shadow is the hull of its vertices thrown onto the ground."""
        points = np.concatenate(self._vertices[self._first_vertex :])
        ground = points[:, :2] + points[:, 2:] * np.array(self._light.slope)
        hull = cv2.convexHull(ground.astype(np.float32)).reshape(-1, 2)
        self._shadows.append(np.column_stack([hull, np.zeros(len(hull))]))

    def box(
        self,
        center: tuple[float, float],
        *,
        size: tuple[float, float, float],
        color: Rgb,
        bottom: float = 0.0,
        rank: int = 0,
    ) -> None:
        """Add an upright box: `size` is width, depth, height; `center` in the object's frame."""
        half_x, half_y = 0.5 * size[0], 0.5 * size[1]
        corners = np.array(
            [[-half_x, -half_y], [half_x, -half_y], [half_x, half_y], [-half_x, half_y]]
        )
        self.prism(
            corners + np.array(center), bottom=bottom, top=bottom + size[2], color=color, rank=rank
        )

    def drum(
        self,
        center: tuple[float, float],
        *,
        radius: float,
        height: float,
        color: Rgb,
        bottom: float = 0.0,
        taper: float = 1.0,
        rank: int = 0,
    ) -> None:
        """Add an upright cylinder, or a cone with `taper` < 1 (top radius over bottom radius)."""
        angles = np.linspace(0.0, 2.0 * math.pi, 11)[:-1]
        outline = radius * np.column_stack([np.cos(angles), np.sin(angles)]) + np.array(center)
        self.prism(
            outline, bottom=bottom, top=bottom + height, color=color, taper=taper, rank=rank
        )

    def prism(
        self,
        outline: FloatArray,
        *,
        bottom: float,
        top: float,
        color: Rgb,
        taper: float = 1.0,
        rank: int = 0,
    ) -> None:
        """Raise a convex counter-clockwise `outline` (n, 2) from `bottom` to `top`."""
        middle = outline.mean(axis=0)
        lower = self._world(outline, bottom)
        upper = self._world(middle + taper * (outline - middle), top)
        first, count = self._count, len(outline)
        self._vertices.append(np.concatenate([lower, upper]))
        self._count += 2 * count
        center = 0.5 * (lower.mean(axis=0) + upper.mean(axis=0))
        normals = np.cross(np.roll(lower, -1, axis=0) - lower, upper - lower)
        for index, normal in enumerate(normals):
            after = (index + 1) % count
            corners = [first + index, first + after, first + count + after, first + count + index]
            self._face(corners, normal=normal, color=color, center=center, rank=rank)
        up = np.array([0.0, 0.0, 1.0])
        rim = list(range(first + count, first + 2 * count))
        self._face(rim, normal=up, color=color, center=center, rank=rank)
        if bottom > 0.3:
            base = list(range(first, first + count))
            self._face(base, normal=-up, color=color, center=center, rank=rank)

    def ball(self, center: tuple[float, float, float], *, radius: float, color: Rgb) -> None:
        """Add a ball (foliage, lamps); drawn after the faces of its object."""
        world = self._world(np.array([center[:2]]), center[2])[0]
        self._balls.append(np.append(world, radius))
        shade = 0.75 + 0.5 * min(1.0, max(0.0, center[2] / 2.0))
        self._ball_paints.append(painted(color, self._label, shade=shade))
        self._ball_group.append(len(self._groups) - 1)

    def build(self) -> Mesh:
        """Return everything added so far as arrays."""
        vertices = np.concatenate(self._vertices) if self._vertices else np.zeros((0, 3))
        keys = np.array(self._keys, dtype=np.int64).reshape(-1, 2)
        first = [face[0] for face in self._faces]
        return Mesh(
            vertices=vertices,
            faces=self._faces,
            normals=np.array(self._normals).reshape(-1, 3),
            anchors=vertices[first].reshape(-1, 3),
            paints=self._paints,
            face_group=keys[:, 0],
            face_rank=keys[:, 1],
            face_center=np.array(self._centers).reshape(-1, 3),
            balls=np.array(self._balls).reshape(-1, 4),
            ball_paints=self._ball_paints,
            ball_group=np.array(self._ball_group, dtype=np.int64),
            group_centers=np.array(self._groups).reshape(-1, 2),
            shadows=self._shadows,
        )

    def _world(self, outline: FloatArray, height: float) -> FloatArray:
        flat = outline @ self._axes.T + np.array(self._groups[-1])
        return np.column_stack([flat, np.full(len(flat), height)])

    def _face(
        self,
        corners: list[int],
        *,
        normal: FloatArray,
        color: Rgb,
        center: FloatArray,
        rank: int,
    ) -> None:
        unit = normal / max(1e-9, float(np.linalg.norm(normal)))
        self._faces.append(np.array(corners, dtype=np.int64))
        self._normals.append(unit)
        self._paints.append(painted(color, self._label, shade=self._light.shade(unit)))
        self._keys.append((len(self._groups) - 1, rank))
        self._centers.append(center)
