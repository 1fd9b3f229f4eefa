"""Walking and standing people of the procedural scenes: articulated capsule figures."""

from __future__ import annotations

import dataclasses
import math

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.sources.scene_camera import FloatArray, NEAR_M, View
from edge_seg.sources.scene_classes import SceneClass
from edge_seg.sources.scene_mesh import Paint, painted
from edge_seg.sources.scene_textures import pick_color, Rgb
import numpy as np

# Joint rows of the skeleton array.
_HIPS, _SHOULDERS, _KNEES, _ANKLES, _ELBOWS, _HANDS = (slice(2 * i, 2 * i + 2) for i in range(6))
_NECK, _HEAD, _FACE, _TOES = 12, 13, 14, slice(15, 17)
_BACK = 17


@dataclasses.dataclass(frozen=True, slots=True)
class Outfit:
    """What a person wears; `skirt` and `backpack` change the outline as well."""

    skin: Rgb
    hair: Rgb
    top: Rgb
    accent: Rgb
    trousers: Rgb
    shoes: Rgb
    long_sleeves: bool
    striped: bool
    skirt: bool
    backpack: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """One person: a straight walk from `start` along `velocity` with a gait, or standing."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    facing_rad: float
    stature: float
    girth: float
    phase_rad: float
    arm_raise_rad: float
    outfit: Outfit

    def position(self, t_s: float) -> FloatArray:
        """Return the ground position (2,) in metres at scene time `t_s`."""
        return np.array(self.start) + t_s * np.array(self.velocity)

    def joints(self, t_s: float) -> FloatArray:
        """Return the skeleton in world axes (18, 3) at scene time `t_s`."""
        speed = math.hypot(*self.velocity)
        swing = min(0.55, 0.5 * speed)
        gait = self.phase_rad + t_s * (2.0 + 4.5 * speed)
        local = np.zeros((18, 3))
        for side, sign in ((0, -1.0), (1, 1.0)):
            wave = math.sin(gait) * sign
            _leg(local, side, sign, thigh=swing * wave, bend=swing * max(0.0, -wave) * 1.6)
            raised = self.arm_raise_rad if side else 0.0
            _arm(local, side, sign, swing=-0.8 * swing * wave + raised, girth=self.girth)
        bounce = 0.02 * abs(math.cos(gait)) * min(1.0, speed)
        local[_NECK] = (0.0, 0.0, 1.5 + bounce)
        local[_HEAD] = (0.0, 0.02, 1.65 + bounce)
        local[_FACE] = (0.0, 0.08, 1.63 + bounce)
        local[_BACK] = (0.0, -0.18, 1.25)
        local *= self.stature
        cos, sin = math.cos(self.facing_rad), math.sin(self.facing_rad)
        axes = np.array([[sin, -cos, 0.0], [cos, sin, 0.0], [0.0, 0.0, 1.0]])
        result: FloatArray = local @ axes
        result[:, :2] += self.position(t_s)
        return result


def _leg(local: FloatArray, side: int, sign: float, *, thigh: float, bend: float) -> None:
    """Fill hip, knee, ankle and toe of one leg; local axes: right, forward, up."""
    x = 0.1 * sign
    hip = np.array([x, 0.0, 0.92])
    knee = hip + 0.44 * np.array([0.0, math.sin(thigh), -math.cos(thigh)])
    shin = thigh - bend
    ankle = knee + 0.42 * np.array([0.0, math.sin(shin), -math.cos(shin)])
    local[_HIPS][side], local[_KNEES][side], local[_ANKLES][side] = hip, knee, ankle
    local[_TOES][side] = ankle + np.array([0.0, 0.15, -0.03])


def _arm(local: FloatArray, side: int, sign: float, *, swing: float, girth: float) -> None:
    """Fill shoulder, elbow and hand of one arm."""
    shoulder = np.array([0.2 * girth * sign, 0.0, 1.42])
    elbow = shoulder + 0.29 * np.array([0.12 * sign, math.sin(swing), -math.cos(swing)])
    bend = swing + 0.35
    hand = elbow + 0.27 * np.array([0.0, math.sin(bend), -math.cos(bend)])
    local[_SHOULDERS][side], local[_ELBOWS][side], local[_HANDS][side] = shoulder, elbow, hand


class _Brush:
    """Draws one person's capsules on the canvas; knows the pixel size of a metre there."""

    def __init__(self, canvas: UInt8Array, pixels: FloatArray, scale: float) -> None:
        self._canvas = canvas
        self._points = [(round(x), round(y)) for x, y in pixels.tolist()]
        self._scale = scale

    def limb(self, start: int, end: int, *, radius: float, color: Rgb) -> None:
        thickness = max(1, round(2.0 * radius * self._scale))
        ends = self._points[start], self._points[end]
        cv2.line(self._canvas, *ends, _paint(color, 0.86), thickness)
        if thickness > 4:
            cv2.line(self._canvas, *ends, _paint(color, 1.06), max(1, thickness * 2 // 5))

    def disc(self, joint: int, *, radius: float, color: Rgb) -> None:
        size = max(1, round(radius * self._scale))
        cv2.circle(self._canvas, self._points[joint], size, _paint(color, 1.0), -1)

    def polygon(self, points: FloatArray, *, color: Rgb) -> None:
        cv2.fillConvexPoly(self._canvas, np.rint(points).astype(np.int32), _paint(color, 1.0))

    def stroke(self, points: FloatArray, *, radius: float, color: Rgb, shade: float = 1.0) -> None:
        thickness = max(1, round(2.0 * radius * self._scale))
        (ax, ay), (bx, by) = np.rint(points).astype(int).tolist()
        cv2.line(self._canvas, (ax, ay), (bx, by), _paint(color, shade), thickness)


def _paint(color: Rgb, shade: float) -> Paint:
    return painted(color, SceneClass.PERSON, shade=shade)


def draw_person(canvas: UInt8Array, person: Person, *, view: View, t_s: float) -> None:
    """Draw `person` on the four-channel `canvas` as seen by `view`; nothing when behind it."""
    camera = view.to_camera(person.joints(t_s))
    depth = float(camera[_HIPS, 2].mean())
    if float(camera[:, 2].min()) < 2.0 * NEAR_M:
        return
    pixels = view.to_pixels(camera)
    brush = _Brush(canvas, pixels, person.stature * view.focal_px / depth)
    outfit, girth = person.outfit, person.girth
    far_side = int(np.argmax(camera[_SHOULDERS, 2]))
    pack_behind = camera[_BACK, 2] > camera[_NECK, 2]
    _draw_arm(brush, far_side, outfit, girth=girth)
    if outfit.backpack and pack_behind:
        brush.disc(_BACK, radius=0.2, color=outfit.accent)
    for side in (far_side, 1 - far_side):
        _draw_leg(brush, side, outfit, girth=girth)
    _draw_torso(brush, pixels, outfit, girth=girth)
    if outfit.backpack and not pack_behind:
        brush.disc(_BACK, radius=0.2, color=outfit.accent)
    brush.limb(_NECK, _HEAD, radius=0.05, color=outfit.skin)
    brush.disc(_HEAD, radius=0.125, color=outfit.hair)
    if camera[_FACE, 2] < camera[_HEAD, 2] + 0.02:
        brush.disc(_FACE, radius=0.1, color=outfit.skin)
    _draw_arm(brush, 1 - far_side, outfit, girth=girth)


def _draw_leg(brush: _Brush, side: int, outfit: Outfit, *, girth: float) -> None:
    hip, knee = _HIPS.start + side, _KNEES.start + side
    ankle, toe = _ANKLES.start + side, _TOES.start + side
    brush.limb(ankle, toe, radius=0.05, color=outfit.shoes)
    shin = outfit.skin if outfit.skirt else outfit.trousers
    brush.limb(knee, ankle, radius=0.06 * girth, color=shin)
    brush.limb(hip, knee, radius=0.085 * girth, color=outfit.trousers)


def _draw_arm(brush: _Brush, side: int, outfit: Outfit, *, girth: float) -> None:
    shoulder, elbow = _SHOULDERS.start + side, _ELBOWS.start + side
    hand = _HANDS.start + side
    forearm = outfit.top if outfit.long_sleeves else outfit.skin
    brush.limb(elbow, hand, radius=0.042, color=forearm)
    brush.disc(hand, radius=0.05, color=outfit.skin)
    brush.limb(shoulder, elbow, radius=0.055 * girth, color=outfit.top)


def _draw_torso(brush: _Brush, pixels: FloatArray, outfit: Outfit, *, girth: float) -> None:
    shoulders, hips = pixels[_SHOULDERS], pixels[_HIPS]
    if outfit.skirt:
        knees = pixels[_KNEES]
        hem = knees + 0.4 * (knees - knees.mean(axis=0))
        brush.polygon(np.concatenate([hips, hem[::-1]]), color=outfit.trousers)
        brush.stroke(hem, radius=0.09, color=outfit.trousers)
    brush.stroke(hips, radius=0.105 * girth, color=outfit.trousers, shade=0.9)
    middle = 0.15 * shoulders + 0.85 * hips
    brush.polygon(np.concatenate([shoulders, middle[::-1]]), color=outfit.top)
    for share in (0.85, 0.5, 0.18):
        row = (1.0 - share) * shoulders + share * hips
        striped = outfit.striped and share != 0.5
        color = outfit.accent if striped else outfit.top
        brush.stroke(row, radius=0.11 * girth, color=color, shade=1.08 - 0.22 * share)
    brush.stroke(shoulders, radius=0.07 * girth, color=outfit.top)


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Pick clothes, hair and skin in the colours one meets."""
    skin = pick_color(rng, hue=(6, 16), saturation=(50, 150), value=(75, 245))
    return Outfit(
        skin=skin,
        hair=pick_color(rng, hue=(5, 25), saturation=(20, 160), value=(15, 170)),
        top=pick_color(rng, saturation=(0, 230), value=(30, 245)),
        accent=pick_color(rng, saturation=(0, 230), value=(30, 245)),
        trousers=pick_color(rng, hue=(0, 180), saturation=(0, 150), value=(25, 180)),
        shoes=pick_color(rng, saturation=(0, 120), value=(20, 220)),
        long_sleeves=bool(rng.random() < 0.5),
        striped=bool(rng.random() < 0.3),
        skirt=bool(rng.random() < 0.2),
        backpack=bool(rng.random() < 0.25),
    )
