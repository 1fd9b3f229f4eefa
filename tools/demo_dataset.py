"""Renders the demo model's pictures: training data once into memory maps, held-out frames live."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import multiprocessing
from pathlib import Path

import cv2
from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scene_samples import scene_samples
from edge_seg.sources.scenes import SceneSequence, SyntheticFrame
import numpy as np
import numpy.typing as npt

TRAINING_SEED = 1_000_000
"""Training uses this seed and those above it, up to HELD_OUT_SEED."""

HELD_OUT_SEED = 2_000_000
"""Evaluation uses this seed and those above it. Seeds below 1 000 000 are for demos and tests."""

_CAMERA_SIZES = ((640, 480), (640, 480), (640, 480), (848, 480), (320, 240))
_FRAMES_PER_SEED = 2


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Training pictures: `images` (n, h, w, 3) uint8 RGB and `labels` (n, h, w) uint8."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def render_training_set(
    folder: Path, *, count: int, size: tuple[int, int], processes: int
) -> Pictures:
    """Render `count` pictures of `size` (width, height), or reuse those already in `folder`.

    Two moments of one scene for each seed, taken by cameras of several shapes and stretched to
    `size` as the node does.
    """
    width, height = size
    image_path = folder / f'images_{count}_{width}x{height}.npy'
    label_path = folder / f'labels_{count}_{width}x{height}.npy'
    if not label_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (count, height, width)
        images = np.lib.format.open_memmap(image_path, 'w+', np.uint8, (*shape, 3))
        labels = np.zeros(shape, np.uint8)
        jobs = [(seed, size) for seed in range(-(-count // _FRAMES_PER_SEED))]
        with multiprocessing.Pool(processes) as pool:
            rendered = pool.imap(_render_seed, jobs, chunksize=8)
            for number, (image, label) in enumerate(pair for pairs in rendered for pair in pairs):
                if number < count:
                    images[number], labels[number] = image, label
        images.flush()
        np.save(label_path, labels)
    return Pictures(np.load(image_path, mmap_mode='r'), np.load(label_path, mmap_mode='r'))


def _render_seed(job: tuple[int, tuple[int, int]]) -> list[tuple[npt.NDArray[np.uint8], ...]]:
    cv2.setNumThreads(1)
    offset, size = job
    seed = TRAINING_SEED + offset
    rng = np.random.default_rng([seed, 7])
    width, height = _CAMERA_SIZES[int(rng.integers(len(_CAMERA_SIZES)))]
    sequence = SceneSequence(seed, width=width, height=height)
    start_s = SCENE_PERIOD_S * int(rng.integers(0, 50))
    pairs = []
    for share in rng.uniform(0.0, 1.0, _FRAMES_PER_SEED):
        frame = sequence.render(start_s + share * SCENE_PERIOD_S)
        image = cv2.resize(frame.image, size, interpolation=cv2.INTER_LINEAR)
        pairs.append((image, sample_labels(frame.labels, size)))
    return pairs


def sample_labels(labels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Labels at `size` (width, height), each taken at the middle of its cell.

    cv2.INTER_NEAREST takes the top left pixel of a cell, which shifts small outputs visibly.
    """
    rows, columns = (
        ((np.arange(small) + 0.5) * large / small).astype(np.intp)
        for small, large in zip((size[1], size[0]), labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def held_out_frames(count: int, *, width: int, height: int) -> Iterator[SyntheticFrame]:
    """One frame for each of `count` held-out seeds, from scenes spread over the first minute."""
    return scene_samples(count, seed=HELD_OUT_SEED, width=width, height=height)
