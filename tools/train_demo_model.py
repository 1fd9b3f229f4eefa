"""Trains the demo model on procedural scenes and writes ONNX weights with their manifest.

Development only, in an environment of its own (PyTorch wants newer setuptools than colcon bears):

    python3 -m venv .venv/train
    .venv/train/bin/pip install -r requirements/train.txt
    train() { PYTHONPATH=. .venv/train/bin/python tools/train_demo_model.py "$@"; }
    train --version 1 --width 8 --coarse-epochs 2 --fine-epochs 1
    train --version 2

Seeds are fixed: the same arguments give the same training, up to the order of floating point
sums, which depends on the CPU and the number of threads. Training seeds start at 1 000 000,
held-out seeds at 2 000 000 (see demo_dataset.py); no checkpoint is picked by held-out score, the
last one counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import dataclasses
from pathlib import Path
import time

import cv2
from demo_dataset import HELD_OUT_SEED, Pictures, render_training_set, sample_labels, TRAINING_SEED
from demo_export import export_onnx, MEAN, measure, STD, write_manifest
from demo_network import FloorNet
from edge_seg.sources.scene_classes import SceneClass
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

INPUT_SIZE = (384, 288)
_COARSE_SIZE = (192, 192)
_CLASS_WEIGHTS = (1.0, 1.0, 1.0, 1.3, 1.5)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long and how wide: the arguments that decide the weights."""

    width: int
    coarse_epochs: int
    fine_epochs: int
    batch: int
    rate: float
    seed: int


def train(pictures: Pictures, recipe: Recipe) -> FloorNet:
    """Train a network; AdamW, one-cycle rate, bfloat16 where the CPU has it.

    Coarse epochs see parts of the pictures squeezed to a third of the pixels: three times as fast
    and varied in scale. Fine epochs see the pictures as the node will.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = FloorNet(classes=len(SceneClass), width=recipe.width)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=0.01)
    steps = len(pictures.images) // recipe.batch
    epochs = recipe.coarse_epochs + recipe.fine_epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps * epochs, pct_start=0.15
    )
    started = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for image, labels in _batches(
            pictures, recipe.batch, rng, coarse=epoch < recipe.coarse_epochs
        ):
            with torch.autocast('cpu', torch.bfloat16):
                logits = network(image)
            loss = segmentation_loss(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        minutes = (time.monotonic() - started) / 60.0
        print(f'epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}, {minutes:.1f} min')
    return network.eval()


def segmentation_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of half-resolution logits against each of the four labels under a cell."""
    log_probability = F.log_softmax(logits, dim=1)
    weights = torch.tensor(_CLASS_WEIGHTS)
    parts = [
        F.nll_loss(log_probability, labels[:, row::2, column::2], weight=weights)
        for row in (0, 1)
        for column in (0, 1)
    ]
    return torch.stack(parts).mean()


def _batches(
    pictures: Pictures, batch: int, rng: np.random.Generator, *, coarse: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = rng.permutation(len(pictures.images))
    for start in range(0, len(order) - batch + 1, batch):
        chosen = np.sort(order[start : start + batch])
        pairs = [(pictures.images[index], pictures.labels[index]) for index in chosen]
        if coarse:
            pairs = [_squeezed_part(image, labels, rng) for image, labels in pairs]
        image = torch.from_numpy(np.stack([pair[0] for pair in pairs])).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.stack([pair[1] for pair in pairs]).astype(np.int64))
        yield _augment(image, labels, rng)


def _squeezed_part(
    image: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Cut out 55 to 100 % of each side and stretch it to the coarse size."""
    height, width = labels.shape
    rows, columns = (rng.uniform(0.55, 1.0, 2) * (height, width)).astype(int)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    part = np.s_[top : top + rows, left : left + columns]
    small = cv2.resize(image[part], _COARSE_SIZE, interpolation=cv2.INTER_LINEAR)
    return small, sample_labels(labels[part], _COARSE_SIZE)


def _augment(
    image: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror, gain, colour cast, offset and noise; then normalise."""
    count = len(image)
    cast = rng.uniform(0.9, 1.1, (count, 3, 1, 1)) * rng.uniform(0.75, 1.3, (count, 1, 1, 1))
    offset = rng.uniform(-0.08, 0.08, (count, 1, 1, 1))
    pixels = image * torch.from_numpy((cast / 255.0).astype(np.float32))
    pixels += torch.from_numpy(offset.astype(np.float32))
    if rng.random() < 0.5:
        pixels += torch.randn(pixels.shape) * float(rng.uniform(0.0, 0.05))
    pixels = pixels.clamp_(0.0, 1.0).sub_(MEAN).div_(STD)
    if rng.random() < 0.5:
        pixels, labels = pixels.flip(3), labels.flip(2)
    return pixels.contiguous(memory_format=torch.channels_last), labels


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train and export one version of floor.')
    add = parser.add_argument
    add('--version', type=int, required=True, help='version of the model, a folder below --store')
    add('--store', type=Path, default=Path('models'), help='model store (default: models)')
    add('--cache', type=Path, default=Path('build/training'), help='where pictures are kept')
    add('--pictures', type=int, default=7000, help='training pictures to render')
    add('--coarse-epochs', type=int, default=8, help='passes over squeezed parts of pictures')
    add('--fine-epochs', type=int, default=3, help='passes over whole pictures, afterwards')
    add('--width', type=int, default=16, help='channels at half resolution; all others follow')
    add('--batch', type=int, default=16, help='pictures per step')
    add('--rate', type=float, default=4e-3, help='peak learning rate')
    add('--seed', type=int, default=1, help='seed of initial weights, order and augmentation')
    add('--threads', type=int, default=2, help='CPU threads')
    add('--held-out', type=int, default=300, help='held-out frames to measure on')
    return parser.parse_args()


def main() -> None:
    """Render, train, export, measure, write the manifest."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    started = time.monotonic()
    pictures = render_training_set(
        arguments.cache, count=arguments.pictures, size=INPUT_SIZE, processes=arguments.threads
    )
    print(f'{len(pictures.images)} pictures in {time.monotonic() - started:.0f} s')
    recipe = Recipe(
        width=arguments.width,
        coarse_epochs=arguments.coarse_epochs,
        fine_epochs=arguments.fine_epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        seed=arguments.seed,
    )
    network = train(pictures, recipe)
    folder = arguments.store / 'floor' / str(arguments.version)
    weights = export_onnx(network, folder / 'floor.onnx', size=INPUT_SIZE)
    scores = measure(weights, count=arguments.held_out, size=INPUT_SIZE)
    print(f'{weights}: {scores}')
    provenance: dict[str, str | int | float] = {
        'trained_by': 'tools/train_demo_model.py',
        'data': 'edge_seg.sources.scenes, procedural',
        'training_seeds': f'from {TRAINING_SEED}, {arguments.pictures} pictures',
        'held_out_seeds': f'from {HELD_OUT_SEED}, {arguments.held_out} frames at 640x480',
        **dataclasses.asdict(recipe),
    }
    write_manifest(
        weights, version=arguments.version, size=INPUT_SIZE, provenance=provenance, scores=scores
    )


if __name__ == '__main__':
    main()
