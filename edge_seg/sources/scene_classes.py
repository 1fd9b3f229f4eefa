"""The classes of the procedural scenes: the one place for their ids, names and colours."""

from __future__ import annotations

import enum


class SceneClass(enum.IntEnum):
    """Class id of a pixel in a rendered label map."""

    BACKGROUND = 0
    FLOOR = 1
    WALL = 2
    OBSTACLE = 3
    PERSON = 4


SCENE_CLASS_NAMES: tuple[str, ...] = tuple(member.name.lower() for member in SceneClass)
"""Names by class id: `SCENE_CLASS_NAMES[SceneClass.FLOOR] == 'floor'`."""

SCENE_CLASS_COLORS: tuple[tuple[int, int, int], ...] = (
    (40, 40, 48),
    (70, 160, 90),
    (110, 130, 200),
    (235, 165, 40),
    (220, 50, 90),
)
"""RGB colours by class id, 0 to 255, told apart by people with the common colour blindnesses."""
