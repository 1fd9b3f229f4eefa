"""Models that serve without a backend, and images whose labels are known."""

from edge_seg.core.values import (
    AnyArray,
    ClassInfo,
    DecodedImage,
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    Size,
)
from edge_seg.runtime.frames.serving import ServingModel
from fake_backend import CLASSES, FakeModel, Faults, HEIGHT, WIDTH
import numpy as np

COLOURS = np.uint8([[200, 0, 0], [0, 200, 0], [0, 0, 200]])


def spec(classes: int = CLASSES, kind: OutputKind = OutputKind.LOGITS) -> ModelSpec:
    return ModelSpec(
        name='colours',
        version='1',
        input=InputSpec('image', Size(WIDTH, HEIGHT), layout='NHWC', dtype='uint8'),
        output=OutputSpec('scores', kind, layout='NHW' if kind is OutputKind.LABELS else 'NCHW'),
        classes=tuple(
            ClassInfo(f'class {index}', (index % 256, 1, 2)) for index in range(classes)
        ),
    )


def stripes(width: int, height: int) -> tuple[DecodedImage, AnyArray]:
    """Give an image of three columns of colour and its labels."""
    labels = np.repeat(np.arange(3, dtype=np.uint8), -(-width // 3))[:width]
    labels = np.broadcast_to(labels, (height, width))
    return DecodedImage(COLOURS[labels], 'rgb'), labels


def serving(faults: Faults | None = None) -> ServingModel:
    return ServingModel(spec(), FakeModel('fake', faults or Faults()), sha256='abc')
