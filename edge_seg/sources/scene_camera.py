"""The moving pinhole camera of a procedural scene and its projections."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

NEAR_M = 0.12
"""Nothing nearer than this along the optical axis is drawn."""

_MAX_PIXEL = 16000.0


@dataclasses.dataclass(frozen=True, slots=True)
class CameraPath:
    """Closed-form camera motion: a slow drive forward while looking around.

    World axes: x right, y forward, z up, in metres; angles in radians.
    """

    height_m: float
    pitch_rad: float
    fov_rad: float
    yaw_rad: float
    yaw_swing_rad: float
    yaw_period_s: float
    roll_rad: float
    bob_m: float
    speed_m_s: float
    phase_rad: float

    def pose(self, t_s: float) -> tuple[FloatArray, FloatArray]:
        """Return the position (3,) and the world-to-camera rotation (3, 3) at scene time `t_s`."""
        swing = 2.0 * math.pi * t_s / self.yaw_period_s + self.phase_rad
        yaw = self.yaw_rad + self.yaw_swing_rad * math.sin(swing)
        pitch = self.pitch_rad + 0.25 * self.bob_m * math.sin(7.0 * t_s)
        roll = self.roll_rad * math.cos(0.8 * swing)
        position = np.array(
            [
                0.12 * math.sin(0.7 * swing),
                self.speed_m_s * t_s,
                self.height_m + self.bob_m * math.sin(9.0 * t_s + self.phase_rad),
            ]
        )
        return position, _rotation(yaw, pitch, roll)

    def yaw_rate_rad_s(self, t_s: float) -> float:
        """Return the angular speed about the vertical axis, which decides the motion blur."""
        omega = 2.0 * math.pi / self.yaw_period_s
        return self.yaw_swing_rad * omega * math.cos(omega * t_s + self.phase_rad)


def _rotation(yaw: float, pitch: float, roll: float) -> FloatArray:
    """World to camera (x right, y down, z forward); yaw to the left, pitch downwards."""
    cy, sy = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    right = np.array([cy, sy, 0.0])
    forward = np.array([-sy * cp, cy * cp, -sp])
    down = np.cross(forward, right)
    return np.stack([cr * right + sr * down, -sr * right + cr * down, forward])


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """One camera pose with its intrinsics: projects world points into pixels."""

    position: FloatArray
    rotation: FloatArray
    focal_px: float
    width: int
    height: int

    @classmethod
    def at(cls, path: CameraPath, t_s: float, *, width: int, height: int) -> View:
        """Return the view along `path` at scene time `t_s` for a `width` x `height` image."""
        position, rotation = path.pose(t_s)
        focal = 0.5 * width / math.tan(0.5 * path.fov_rad)
        return cls(position, rotation, focal, width, height)

    def to_camera(self, points: FloatArray) -> FloatArray:
        """Return world points (n, 3) in camera axes (n, 3): x right, y down, z depth."""
        result: FloatArray = (points - self.position) @ self.rotation.T
        return result

    def to_pixels(self, camera_points: FloatArray) -> FloatArray:
        """Return camera points (n, 3) as pixels (n, 2); depth is clamped to the near plane."""
        depth = np.maximum(camera_points[:, 2:3], NEAR_M)
        pixels = camera_points[:, :2] * (self.focal_px / depth)
        pixels += (0.5 * self.width, 0.5 * self.height)
        return np.clip(pixels, -_MAX_PIXEL, _MAX_PIXEL)

    def plane_homography(
        self, origin: FloatArray, step_u: FloatArray, step_v: FloatArray
    ) -> FloatArray:
        """Return the homography (3, 3) from texture pixels to image pixels.

        `origin` is where texture pixel (0, 0) lies in the world; `step_u` and `step_v` are the
        world vectors of one texture pixel to the right and down.
        """
        intrinsics = np.array(
            [
                [self.focal_px, 0.0, 0.5 * self.width],
                [0.0, self.focal_px, 0.5 * self.height],
                [0.0, 0.0, 1.0],
            ]
        )
        columns = np.stack([step_u, step_v, origin - self.position], axis=1)
        result: FloatArray = intrinsics @ self.rotation @ columns
        return result

    def horizon_rows(self) -> tuple[float, float]:
        """Return the image rows of the horizon at the left and the right edge of the image."""
        axis = self.rotation[:, 2]
        half = 0.5 * self.width
        left, right = (
            0.5 * self.height - (axis[0] * x + axis[2] * self.focal_px) / axis[1]
            for x in (-half, half)
        )
        return float(left), float(right)

    def ground_row(self, distance_m: float) -> float:
        """Return the image row of a ground point `distance_m` straight ahead of the camera."""
        forward = self.rotation[2, :2] / np.linalg.norm(self.rotation[2, :2])
        point = np.array(
            [
                self.position[0] + forward[0] * distance_m,
                self.position[1] + forward[1] * distance_m,
                0.0,
            ]
        )
        return float(self.to_pixels(self.to_camera(point[None]))[0, 1])


def clip_near(camera_points: FloatArray) -> FloatArray:
    """Cut a polygon in camera axes (n, 3) at the near plane; (0, 3) when wholly behind it."""
    inside = camera_points[:, 2] >= NEAR_M
    if inside.all():
        return camera_points
    kept: list[npt.NDArray[Any]] = []
    for index, point in enumerate(camera_points):
        before = camera_points[index - 1]
        if inside[index] != inside[index - 1]:
            share = (NEAR_M - before[2]) / (point[2] - before[2])
            kept.append(before + share * (point - before))
        if inside[index]:
            kept.append(point)
    return np.array(kept).reshape(-1, 3)
