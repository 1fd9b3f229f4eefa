"""Masks of the frame path against ONNX Runtime between slow NumPy pre- and postprocessing.

Nothing is shared but the values that describe a model: the geometry is worked out here anew, the
arithmetic is that of the oracle.
"""

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
import math
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.geometry import GeometryPlan, Roi
from edge_seg.core.values import DecodedImage, OutputKind, ResizeMode, ResizeRule, Size
from edge_seg.runtime.serving import ServingModel
from edge_seg.runtime.stopwatch import Stopwatch
from edge_seg.sources.scenes import SceneSequence
import numpy as np
import onnxruntime
import oracle
import pytest
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


def reference(session: onnxruntime.InferenceSession, model: TinyModel, rule: str, resample: str):
    """Give the masks of the independent path."""
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


def with_rule(model: TinyModel, rule: str, resample: str):
    """Give what a manifest with this rule says."""
    spec = model.spec
    return replace(
        spec,
        input=replace(spec.input, resize=RULES[rule]),
        output=replace(spec.output, resample=resample),
    )


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('kind', KINDS)
def test_the_frame_path_gives_the_masks_of_an_independent_one(
    kind: str, layout: str, tmp_path: Path
) -> None:
    model = KINDS[kind].but(input_layout=layout, output_layout=layout)
    file = model.save(tmp_path / 'tiny.onnx')
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    resamplings = ['labels'] if model.kind is OutputKind.LABELS else ['labels', 'logits']
    agreements = {}
    for rule, resample in product(RULES, resamplings):
        spec = with_rule(model, rule, resample)
        options = CompileOptions(device='CPU', precision='fp32', threads=1)
        compiled = create('openvino').compile_model(file, spec, options)
        with closing(ServingModel(spec, compiled, sha256='')) as serving:
            masks = [
                serving.segment(image, confidence=False, watch=Stopwatch()).labels
                for image in pictures()
            ]
        expected = list(reference(session, model, rule, resample))
        assert len(np.unique(expected)) > 1
        agreements[rule, resample] = float(np.mean(np.stack(masks) == np.stack(expected)))
    assert {at: share for at, share in agreements.items() if share < NEEDED} == {}
