"""Random outputs of networks, and the models that they fit."""

from edge_seg.core.geometry import plan_geometry
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.values import (
    ClassInfo,
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    ResizeRule,
    Size,
    TensorSpec,
)
import numpy as np
import oracle

ONE_CHANNEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)
STRETCH = ResizeRule()


def model(network, *, classes=5, kind=OutputKind.LOGITS, layout='NCHW', rule=STRETCH, **output):
    table = tuple(ClassInfo(f'class {i}', (i % 256, 0, 0)) for i in range(classes))
    return ModelSpec(
        name='model',
        version='1',
        input=InputSpec('image', network, resize=rule),
        output=OutputSpec('scores', kind, layout, **output),
        classes=table,
    )


def shape_of(layout, channels, cells):
    return {
        'NCHW': (1, channels, cells.height, cells.width),
        'NHWC': (1, cells.height, cells.width, channels),
        'NHW': (1, cells.height, cells.width),
        'HW': (cells.height, cells.width),
    }[layout]


def random_output(seed, kind, layout, cells, *, classes=5, dtype='float32', coarse=False):
    """Make an output; ``coarse`` rounds scores to few values, so that many are equal."""
    generator = np.random.default_rng(seed)
    if kind is OutputKind.LABELS:
        ids = generator.integers(0, classes, shape_of(layout, 1, cells))
        return ids.astype(dtype)
    channels = 1 if kind in ONE_CHANNEL else classes
    scores = generator.normal(scale=3, size=(1, channels, cells.height, cells.width))
    if coarse:
        scores = np.round(scores / 2)
    if kind is OutputKind.SIGMOID:
        scores = oracle.sigmoid(scores)
    elif kind is OutputKind.PROBABILITIES:
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    scores = np.moveaxis(scores, 1, -1) if layout == 'NHWC' else scores
    return np.ascontiguousarray(scores.reshape(shape_of(layout, channels, cells)).astype(dtype))


def described(tensor, layout):
    return TensorSpec('scores', tensor.shape, tensor.dtype.name, layout)


def square(tensor, kind, layout='NCHW', **model_settings):
    """Postprocessor and plan for an output that is as large as network and camera."""
    planes = oracle.to_planes(tensor, layout)
    size = Size(planes.shape[2], planes.shape[1])
    spec = model(size, kind=kind, layout=layout, **model_settings)
    return Postprocessor(described(tensor, layout), kind, spec), plan_geometry(size, size, STRETCH)
