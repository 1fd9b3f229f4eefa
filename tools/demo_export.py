"""Exports the demo network to ONNX, measures the exported file and writes its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
from demo_dataset import held_out_frames, HELD_OUT_SEED
from edge_seg.sources.scene_classes import SCENE_CLASS_COLORS, SCENE_CLASS_NAMES, SceneClass
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import numpy.typing as npt
import torch
import yaml

MEAN = 0.5
STD = 0.25
"""Normalisation of every channel: (pixel / 255 - MEAN) / STD."""

_OPSET = 17
_CAMERA = (640, 480)
_GOLDEN_SEED = HELD_OUT_SEED + 900_006
_GOLDEN_AGREEMENT = 0.85


def export_onnx(network: torch.nn.Module, path: Path, *, size: tuple[int, int]) -> Path:
    """Write `network` as one static ONNX file: `image` (1, 3, h, w) to `logits` (1, c, h/2, w/2).

    `size` is (width, height).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sample = torch.zeros(1, 3, size[1], size[0])
    torch.onnx.export(
        network.eval().to(memory_format=torch.contiguous_format),
        (sample,),
        str(path),
        opset_version=_OPSET,
        input_names=['image'],
        output_names=['logits'],
        dynamo=False,
    )
    return path


def measure(weights: Path, *, count: int, size: tuple[int, int]) -> dict[str, float]:
    """Score the file with OpenCV DNN on held-out frames, at the camera's full resolution.

    Returns mean intersection over union, that of each class, and the share of right pixels.
    """
    network = cv2.dnn.readNetFromONNX(str(weights))
    classes = len(SceneClass)
    confusion = np.zeros((classes, classes), np.int64)
    for frame in held_out_frames(count, width=_CAMERA[0], height=_CAMERA[1]):
        predicted = _segment(network, frame.image, size=size)
        pairs = frame.labels.astype(np.int64) * classes + predicted
        confusion += np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    scores = right / union
    named = {f'iou_{name}': value for name, value in zip(SCENE_CLASS_NAMES, scores, strict=True)}
    named = {'miou': scores.mean(), **named, 'pixel_accuracy': right.sum() / confusion.sum()}
    return {name: round(float(value), 4) for name, value in named.items()}


def _segment(
    network: cv2.dnn.Net, image: npt.NDArray[np.uint8], *, size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    tensor = (small.astype(np.float32) / 255.0 - MEAN) / STD
    network.setInput(np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]))
    labels = network.forward()[0].argmax(axis=0).astype(np.uint8)
    return cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def write_manifest(
    weights: Path,
    *,
    version: int,
    size: tuple[int, int],
    provenance: dict[str, str | int | float],
    scores: dict[str, float],
) -> Path:
    """Write manifest.yaml beside `weights` (format: config/manifest.schema.json)."""
    manifest = {
        'schema': 1,
        'name': 'floor',
        'version': version,
        'description': 'Floor, walls, obstacles and people in procedural scenes (demo model).',
        'artifacts': [{'format': 'onnx', 'files': [_file_entry(weights)]}],
        'input': {
            'name': 'image',
            'width': size[0],
            'height': size[1],
            'layout': 'NCHW',
            'dtype': 'float32',
            'color_order': 'rgb',
            'mean': [MEAN] * 3,
            'std': [STD] * 3,
            'scale': 255,
            'resize': {'mode': 'stretch'},
        },
        'output': {'name': 'logits', 'kind': 'logits', 'layout': 'NCHW', 'resample': 'labels'},
        'classes': [
            {'name': name, 'color': list(color)}
            for name, color in zip(SCENE_CLASS_NAMES, SCENE_CLASS_COLORS, strict=True)
        ],
        'licence': 'Apache-2.0',
        'provenance': {**provenance, 'metrics': scores},
        'golden': _write_golden(weights.parent),
    }
    path = weights.with_name('manifest.yaml')
    path.write_text(yaml.safe_dump(manifest, sort_keys=False, default_flow_style=None))
    return path


def _file_entry(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {'path': path.name, 'sha256': digest, 'size': len(content)}


def _write_golden(folder: Path) -> dict[str, object]:
    """Write a held-out picture with its true labels, which a loaded model must mostly find."""
    frame = SceneSequence(_GOLDEN_SEED, width=320, height=240).render(1.0)
    image, labels = folder / 'golden.jpg', folder / 'golden_labels.png'
    cv2.imwrite(str(image), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(labels), frame.labels)
    return {
        'image': _file_entry(image),
        'labels': _file_entry(labels),
        'minimum_agreement': _GOLDEN_AGREEMENT,
    }
