"""Draws the parts of a procedural scene on a canvas whose fourth channel is the class id."""

from __future__ import annotations

import math

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.sources.scene_camera import clip_near, FloatArray, NEAR_M, View
from edge_seg.sources.scene_layout import Scene, Wall
from edge_seg.sources.scene_mesh import Mesh
from edge_seg.sources.scene_people import draw_person
from edge_seg.sources.scene_textures import FLOOR_PX_PER_M, FLOOR_SIZE_PX, WALL_PX_PER_M
import numpy as np
import numpy.typing as npt

SHADING_UNIT = 200.0
"""Value in a shading map that leaves the canvas as it is."""

_SHADOW_LEVEL = 0.55
_FLOOR_NEAR_EDGE_M = -1.5
_FAR_TEXTURE_FROM_M = 4.0
_SUBPIXEL_BITS = 3
_FAR_M = 400.0
_X, _Y, _UP = np.eye(3)


def draw_floor(canvas: UInt8Array, scene: Scene, view: View) -> None:
    """Draw the ground below the horizon: plain far away, a coarse texture, then the fine one."""
    height = canvas.shape[0]
    top = min(height, max(0, math.ceil(max(view.horizon_rows())) + 1))
    _draw_plain_ground(canvas, scene, view)
    split = min(height, max(top, int(view.ground_row(_FAR_TEXTURE_FROM_M))))
    _warp_floor(canvas, scene.floor_far, view=view, rows=(top, split))
    _warp_floor(canvas, scene.floor, view=view, rows=(split, height))


def _draw_plain_ground(canvas: UInt8Array, scene: Scene, view: View) -> None:
    """Paint all below the horizon in the colour and class of the texture's far edge."""
    height, width = canvas.shape[:2]
    left_row, right_row = view.horizon_rows()
    far_row = scene.floor_far[:2].astype(np.float32)
    edge = far_row[0, 0, 3]
    ground = np.array([[0, left_row], [width, right_row], [width, 2 * height], [0, 2 * height]])
    _fill(canvas, ground, _mean_paint(far_row[far_row[..., 3] == edge]))
    middle = far_row[:, far_row.shape[1] // 2]
    if middle[0, 3] != edge:
        half_m = 0.5 * float((far_row[0, :, 3] == middle[0, 3]).mean()) * _floor_side_m()
        strip = np.array(
            [[-half_m, 0, 0], [half_m, 0, 0], [half_m, _FAR_M, 0], [-half_m, _FAR_M, 0]]
        )
        _fill(canvas, view.to_pixels(clip_near(view.to_camera(strip))), _mean_paint(middle))


def _mean_paint(pixels: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(np.rint(pixels.mean(axis=0)).tolist())


def draw_skyline(canvas: UInt8Array, scene: Scene, view: View) -> None:
    """Draw the distant hills that rise above the horizon; nothing indoors."""
    camera = view.to_camera(scene.skyline)
    ahead = camera[camera[:, 2] > NEAR_M]
    if len(ahead) < 2:
        return
    crest = view.to_pixels(ahead)
    low = np.array([[crest[-1, 0], canvas.shape[0]], [crest[0, 0], canvas.shape[0]]])
    outline = np.rint(np.concatenate([crest, low])).astype(np.int32)
    cv2.fillPoly(canvas, [outline], scene.skyline_paint)


def _floor_side_m() -> float:
    return FLOOR_SIZE_PX / FLOOR_PX_PER_M


def _warp_floor(
    canvas: UInt8Array, texture: UInt8Array, *, view: View, rows: tuple[int, int]
) -> None:
    top, bottom = rows
    if bottom - top < 2:
        return
    side_m = _floor_side_m()
    step = side_m / texture.shape[0]
    origin = np.array([-0.5 * side_m, _FLOOR_NEAR_EDGE_M + side_m, 0.0])
    homography = view.plane_homography(origin, step * _X, -step * _Y)
    _warp(canvas, texture, homography=homography, box=(0, top, canvas.shape[1], bottom))


def draw_wall(canvas: UInt8Array, wall: Wall, view: View) -> None:
    """Draw the part of `wall` that is in front of the camera."""
    start, end = (np.array([*point, 0.0]) for point in (wall.start, wall.end))
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    rise = wall.height_m * _UP
    depths = view.to_camera(np.stack([start, start + rise, end, end + rise]))[:, 2]
    first = _first_visible_share(float(depths[:2].min()), float(depths[2:].min()))
    last = 1.0 - _first_visible_share(float(depths[2:].min()), float(depths[:2].min()))
    if first >= last:
        return
    columns = wall.texture.shape[1]
    left, right = math.ceil(first * (columns - 1)), math.floor(last * (columns - 1)) + 1
    if right - left < 2:
        return
    step = 1.0 / WALL_PX_PER_M
    origin = start + rise + along * (left * step)
    quad = np.stack([origin, origin + along * ((right - left) * step)])
    quad = np.concatenate([quad, quad[::-1] - rise])
    pixels = view.to_pixels(view.to_camera(quad))
    box = _bounding_box(pixels, canvas)
    if box is None:
        return
    texture = wall.texture[:, left:right]
    # The warp blends its outermost pixels with what lies there: put the wall's own class there.
    plain = tuple(float(level) for level in texture[len(texture) // 2, 0])
    outline = np.rint(pixels).astype(np.int32)
    cv2.fillConvexPoly(canvas, outline, plain)
    cv2.polylines(canvas, [outline], True, plain, 3)
    homography = view.plane_homography(origin, step * along, -step * _UP)
    _warp(canvas, texture, homography=homography, box=box)


def _first_visible_share(here: float, there: float) -> float:
    """Return how far from `here` to `there` (depths in m) the near plane lies, as a share."""
    limit = 2.0 * NEAR_M
    if here >= limit:
        return 0.0
    if there <= limit:
        return 1.0
    return (limit - here) / (there - here)


def _bounding_box(pixels: FloatArray, canvas: UInt8Array) -> tuple[int, int, int, int] | None:
    height, width = canvas.shape[:2]
    low, high = np.floor(pixels.min(axis=0)) - 1, np.ceil(pixels.max(axis=0)) + 2
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    return (left, top, right, bottom) if right - left > 1 and bottom - top > 1 else None


def _warp(
    canvas: UInt8Array,
    texture: UInt8Array,
    *,
    homography: FloatArray,
    box: tuple[int, int, int, int],
) -> None:
    """Warp `texture` into `box` of the canvas; outside the texture the canvas is kept."""
    left, top, right, bottom = box
    shift = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
    cv2.warpPerspective(
        texture,
        shift @ homography,
        (right - left, bottom - top),
        dst=canvas[top:bottom, left:right],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def draw_shadows(shading: UInt8Array, scene: Scene, *, view: View, t_s: float) -> None:
    """Darken the ground beside things in the (small) `shading` map; soft at the edges."""
    rows, columns = shading.shape[:2]
    scale = np.array([columns / view.width, rows / view.height])
    mask = np.full((rows, columns), 255, np.uint8)
    slope = np.array(scene.light.slope)
    polygons = list(scene.mesh.shadows)
    for person in scene.people:
        feet = person.position(t_s)
        tip = feet + 1.6 * person.stature * slope
        side = 0.2 * np.array([-slope[1], slope[0]]) / (float(np.linalg.norm(slope)) + 1e-6)
        outline = np.stack([feet - side, feet + side, tip + side, tip - side])
        polygons.append(np.column_stack([outline, np.zeros(4)]))
    for polygon in polygons:
        camera = clip_near(view.to_camera(polygon))
        if len(camera) > 2:
            _fill(mask, view.to_pixels(camera) * scale, (255.0 * _SHADOW_LEVEL,))
    soft = cv2.blur(mask, (3, 3))
    for channel in range(3):
        shading[..., channel] = cv2.multiply(shading[..., channel], soft, scale=1.0 / 255.0)


def draw_things(canvas: UInt8Array, scene: Scene, *, view: View, t_s: float) -> None:
    """Draw obstacles and people from far to near, so that nearer ones cover farther ones."""
    mesh, eye = scene.mesh, view.position
    group_distance = np.linalg.norm(mesh.group_centers - eye[:2], axis=1)
    by_group = _visible_faces_by_group(mesh, eye)
    turns: list[tuple[float, int, int]] = []
    for group, distance in enumerate(group_distance.tolist()):
        turns.append((-distance, 0, group))
    for number, person in enumerate(scene.people):
        distance = float(np.linalg.norm(person.position(t_s) - eye[:2]))
        turns.append((-distance, 1, number))
    camera = view.to_camera(mesh.vertices)
    pixels = view.to_pixels(camera)
    for _, is_person, number in sorted(turns):
        if is_person:
            draw_person(canvas, scene.people[number], view=view, t_s=t_s)
            continue
        for face in by_group.get(number, ()):
            _draw_face(canvas, mesh, face=face, camera=camera, pixels=pixels, view=view)
        _draw_balls(canvas, mesh, group=number, view=view)


def _visible_faces_by_group(mesh: Mesh, eye: FloatArray) -> dict[int, list[int]]:
    """Return the faces turned towards the eye, by object, in the order to draw them."""
    facing = np.einsum('ij,ij->i', mesh.normals, eye - mesh.anchors) > 0.0
    distance = np.linalg.norm(mesh.face_center - eye, axis=1)
    order = np.lexsort((-distance, mesh.face_rank))
    chosen: dict[int, list[int]] = {}
    for face in order[facing[order]].tolist():
        chosen.setdefault(int(mesh.face_group[face]), []).append(face)
    return chosen


def _draw_face(
    canvas: UInt8Array,
    mesh: Mesh,
    *,
    face: int,
    camera: FloatArray,
    pixels: FloatArray,
    view: View,
) -> None:
    corners = mesh.faces[face]
    depths = camera[corners, 2]
    if depths.min() >= NEAR_M:
        _fill(canvas, pixels[corners], mesh.paints[face])
    elif depths.max() > NEAR_M:
        _fill(canvas, view.to_pixels(clip_near(camera[corners])), mesh.paints[face])


def _draw_balls(canvas: UInt8Array, mesh: Mesh, *, group: int, view: View) -> None:
    members = np.flatnonzero(mesh.ball_group == group)
    if not len(members):
        return
    balls = mesh.balls[members]
    camera = view.to_camera(balls[:, :3])
    pixels = np.rint(view.to_pixels(camera)).astype(int)
    for position in np.argsort(-camera[:, 2]).tolist():
        depth = float(camera[position, 2])
        if depth > 2.0 * NEAR_M:
            radius = max(1, round(float(balls[position, 3]) * view.focal_px / depth))
            x, y = pixels[position].tolist()
            paint = mesh.ball_paints[int(members[position])]
            cv2.circle(canvas, (x, y), radius, paint, -1)


def _fill(canvas: UInt8Array, pixels: FloatArray, paint: tuple[float, ...]) -> None:
    points = np.rint(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(canvas, points, paint, shift=_SUBPIXEL_BITS)
