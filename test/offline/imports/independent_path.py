"""Masks by ONNX Runtime between slow NumPy pre- and postprocessing.

Nothing of the frame path is in it but the values that describe a model: the geometry is worked out
here anew, the arithmetic is that of the oracle.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
import math
from pathlib import Path

from edge_seg.core.geometry import GeometryPlan, Roi
from edge_seg.core.values import (
    DecodedImage,
    LabelArray,
    ModelSpec,
    OutputKind,
    ResizeMode,
    ResizeRule,
    Size,
)
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import onnxruntime
import oracle
from tiny_models import TinyModel

NEEDED = 0.999
NETWORK = Size(30, 18)
CAMERA = Size(54, 40)
RULES = {
    'stretch': ResizeRule(),
    'letterbox': ResizeRule(ResizeMode.LETTERBOX),
    'letterbox top left': ResizeRule(ResizeMode.LETTERBOX, anchor='top_left'),
    'centre crop': ResizeRule(ResizeMode.CENTER_CROP),
}
LABEL_TYPES = ('int64', 'int32', 'uint8')
KINDS = {
    'logits': TinyModel(size=NETWORK, classes=3),
    'probabilities': TinyModel(size=NETWORK, classes=3, kind=OutputKind.PROBABILITIES),
    'sigmoid': TinyModel(size=NETWORK, classes=2, kind=OutputKind.SIGMOID),
    'sigmoid logits': TinyModel(size=NETWORK, classes=2, kind=OutputKind.SIGMOID_LOGITS),
    **{
        f'labels {dtype}': TinyModel(
            size=NETWORK, classes=3, kind=OutputKind.LABELS, label_dtype=dtype
        )
        for dtype in LABEL_TYPES
    },
}
ONE_CHANNEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS, OutputKind.LABELS)
LAYOUTS = [*product(['NCHW', 'NHWC'], ['NCHW', 'NHWC']), ('NCHW', 'NHW'), ('NHWC', 'HW')]
NETWORKS = [
    (kind, image, output)
    for kind, model in KINDS.items()
    for image, output in LAYOUTS
    if 'C' in output or model.kind in ONE_CHANNEL
]
"""Kind, layout of the input, layout of the output."""


def resamplings(kind: str) -> tuple[str, ...]:
    """Say how masks of a kind can be brought to the camera's size."""
    return ('labels',) if KINDS[kind].kind is OutputKind.LABELS else ('labels', 'logits')


def half_up(value: Fraction) -> int:
    """Round to the nearest whole number, halves up, but never to 0."""
    return max(1, math.floor(value + Fraction(1, 2)))


def inside(frame: Size, shape: Size) -> Size:
    """Give the largest size inside a frame with the aspect ratio of a shape."""
    scale = min(Fraction(frame.width, shape.width), Fraction(frame.height, shape.height))
    return Size(half_up(shape.width * scale), half_up(shape.height * scale))


def slow_plan(rule: ResizeRule) -> GeometryPlan:
    """Say where the camera image lies in the network's input."""
    camera, network = Roi(0, 0, *CAMERA), Roi(0, 0, *NETWORK)
    if rule.mode is ResizeMode.LETTERBOX:
        size = inside(NETWORK, CAMERA)
        corner = (0, 0)
        if rule.anchor == 'center':
            corner = ((NETWORK.width - size.width) // 2, (NETWORK.height - size.height) // 2)
        network = Roi(*corner, *size)
    elif rule.mode is ResizeMode.CENTER_CROP:
        size = inside(CAMERA, NETWORK)
        corner = ((CAMERA.width - size.width) // 2, (CAMERA.height - size.height) // 2)
        camera = Roi(*corner, *size)
    return GeometryPlan(CAMERA, NETWORK, camera, network, rule.pad_value)


@cache
def pictures() -> tuple[DecodedImage, ...]:
    """Render a few camera images; as with a lens, no detail is finer than a pixel."""
    sequence = SceneSequence(3, width=4 * CAMERA.width, height=4 * CAMERA.height)
    frames = [sequence.render(time_s).image for time_s in (0.0, 7.0, 14.0)]
    blocks = [f.reshape(CAMERA.height, 4, CAMERA.width, 4, 3) for f in frames]
    return tuple(DecodedImage(b.mean(axis=(1, 3)).astype(np.uint8), 'rgb') for b in blocks)


@cache
def slow_pixels(rule: str) -> tuple[np.ndarray, ...]:
    """Fit the pictures into the network's input: whole gray levels, (1, H, W, 3)."""
    spec = TinyModel(size=NETWORK, input_dtype='uint8').spec.input
    fitted = [
        oracle.preprocess(image, slow_plan(RULES[rule]), spec, 'NHWC', 'uint8')[0]
        for image in pictures()
    ]
    return tuple(np.floor(pixels + 0.5) for pixels in fitted)


def slow_masks(file: Path, model: TinyModel, rule: str, resample: str) -> Iterator[LabelArray]:
    """Give the mask of each picture.

    Args:
        file: the network as ONNX.
        model: what it is.
        rule: one of RULES.
        resample: labels or logits.
    """
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    spec = with_rule(model, rule, resample)
    for pixels in slow_pixels(rule):
        tensor = (pixels / spec.input.scale - spec.input.mean) / spec.input.std
        if model.input_layout == 'NCHW':
            tensor = tensor.transpose(0, 3, 1, 2)
        scores = session.run(None, {'image': tensor.astype(np.float32)})[0]
        labels, _, _ = oracle.postprocess(
            scores, model.output_layout, model.kind, spec, slow_plan(RULES[rule])
        )
        yield labels


def with_rule(model: TinyModel, rule: str, resample: str) -> ModelSpec:
    """Give what a manifest with this rule says."""
    spec = model.spec
    return replace(
        spec,
        input=replace(spec.input, resize=RULES[rule]),
        output=replace(spec.output, resample=resample),
    )
