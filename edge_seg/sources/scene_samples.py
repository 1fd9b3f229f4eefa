"""Single pictures of many procedural scenes, for measuring: no two show the same place."""

from __future__ import annotations

from collections.abc import Iterator

from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scenes import SceneSequence, SyntheticFrame


def scene_samples(count: int, *, seed: int, width: int, height: int) -> Iterator[SyntheticFrame]:
    """Render one frame for each of `count` seeds from `seed` up, spread over the first minute.

    Equal arguments give equal frames.

    Raises:
        ValueError: as `SceneSequence`.
    """
    for offset in range(count):
        sequence = SceneSequence(seed + offset, width=width, height=height)
        yield sequence.render((offset % 15) * SCENE_PERIOD_S + 0.37 * (offset % 11))
