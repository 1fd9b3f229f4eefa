"""The frame path against an independent one, for every rule, layout, kind and resampling."""

from contextlib import closing
from itertools import product
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.values import OutputKind
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
from independent_path import KINDS, NEEDED, pictures, RULES, slow_masks, with_rule
import numpy as np
import pytest

ONE_CHANNEL = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS, OutputKind.LABELS)
LAYOUTS = [*product(['NCHW', 'NHWC'], ['NCHW', 'NHWC']), ('NCHW', 'NHW'), ('NHWC', 'HW')]
CASES = [
    (kind, image, output)
    for kind, model in KINDS.items()
    for image, output in LAYOUTS
    if 'C' in output or model.kind in ONE_CHANNEL
]


@pytest.mark.parametrize(('kind', 'image', 'output'), CASES)
def test_the_frame_path_gives_the_masks_of_an_independent_one(
    kind: str, image: str, output: str, tmp_path: Path
) -> None:
    model = KINDS[kind].but(input_layout=image, output_layout=output)
    file = model.save(tmp_path / 'tiny.onnx')
    resamplings = ['labels'] if model.kind is OutputKind.LABELS else ['labels', 'logits']
    agreements = {}
    for rule, resample in product(RULES, resamplings):
        spec = with_rule(model, rule, resample)
        options = CompileOptions(device='CPU', precision='fp32', threads=1)
        compiled = create('openvino').compile_model(file, spec, options)
        with closing(ServingModel(spec, compiled, sha256='')) as serving:
            masks = [
                serving.segment(picture, confidence=False, watch=Stopwatch()).labels
                for picture in pictures()
            ]
        expected = list(slow_masks(file, model, rule, resample))
        assert len(np.unique(expected)) > 1
        agreements[rule, resample] = float(np.mean(np.stack(masks) == np.stack(expected)))
    assert {at: share for at, share in agreements.items() if share < NEEDED} == {}
