"""Trying a model before it is published: it compiles, runs, and gives what is declared."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.core.values import AnyArray, ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import CompileFailed, IncompatibleModel, UnsupportedNetwork
from edge_seg.offline.imports.openvino_files import run_once
from edge_seg.offline.imports.pytorch import Sample
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.loading.warm_up import warm
import numpy as np

TOLERANCE = 1e-3
"""Of a probability; of an exported network, relative to its largest score, or to its pixels."""
PROPORTION_TOLERANCE = 1.5
"""Cells: where the size is no multiple of the stride, the last one sticks out or is missing."""

ELSEWHERE = 'a branch of it may depend on the input; export it to ONNX yourself'


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying a model came to.

    Attributes:
        checks: what holds, in words.
        notes: what the operator should look at.
    """

    checks: tuple[str, ...]
    notes: tuple[str, ...]


def try_model(file: Path, spec: ModelSpec) -> Trial:
    """Compile a model with OpenVINO and run it as the node would.

    Args:
        file: .onnx or .xml.
        spec: what is declared.

    Raises:
        BackendUnavailable: OpenVINO is missing.
        CompileFailed: OpenVINO cannot read or compile it.
        IncompatibleModel: it gives something else than is declared.
        UnsupportedNetwork: its output has other proportions than the image.
        InferenceFailed: it fails, or gives NaN, infinite, or the same scores everywhere.
    """
    options = CompileOptions(device='CPU', precision='fp32')
    compiled = OpenVinoBackend().compile_model(file, spec, options)
    _check_proportions(compiled.outputs[0], spec)
    with closing(ServingModel(spec, compiled, sha256='')) as model:
        shape = compiled.inputs[0].shape
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        scores = np.array(compiled.infer([noise])[0])
        _check_values(scores, spec)
        warm(model, spec.input.size, runs=1)  # finite, and not the same everywhere
    axes = ','.join(str(axis) for axis in scores.shape)
    return Trial(
        checks=(
            f'compiles on {compiled.report.backend} {compiled.report.backend_version}',
            f'gives finite {spec.output.kind.value} [{axes}]',
        ),
        notes=_notes(scores, spec),
    )


def check_against_original(file: Path, sample: Sample, output: str) -> str:
    """Compare an exported network with what it computed before; returns the check in words.

    Raises:
        CompileFailed: it computes something else.
    """
    expected = sample.outputs[output].astype(np.float64)
    answer: AnyArray = run_once(file, sample.image)
    met = answer.astype(np.float64).reshape(expected.shape)
    if answer.dtype.kind in 'biu':
        return _compared_labels(met, expected)
    largest = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(met - expected).max()) / largest
    if not difference <= TOLERANCE:
        raise CompileFailed(
            f'the exported network differs from PyTorch by {difference:.2g} of its largest score',
            expected=f'at most {TOLERANCE:g}',
            remedy=ELSEWHERE,
        )
    return f'equals PyTorch to {difference:.1g} of the largest score'


def _compared_labels(met: AnyArray, expected: AnyArray) -> str:
    """Let a few pixels differ: where two classes tie, rounding decides."""
    wrong, pixels = int(np.count_nonzero(met != expected)), expected.size
    if wrong > max(1, TOLERANCE * pixels):
        raise CompileFailed(
            f'the exported network gives {wrong} of {pixels} pixels another class than PyTorch',
            expected=f'at most one in {1 / TOLERANCE:.0f}',
            remedy=ELSEWHERE,
        )
    return f'gives {pixels - wrong} of {pixels} pixels the class that PyTorch gives'


def _check_proportions(output: TensorSpec, spec: ModelSpec) -> None:
    """Refuse what is no map of the image, such as a table of boxes."""
    axes = dict(zip(output.layout, output.shape, strict=True))
    width, height = spec.input.size
    if abs(axes['H'] * width / height - axes['W']) > PROPORTION_TOLERANCE * max(1, width / height):
        raise UnsupportedNetwork(
            f'output {output.name!r} is {axes["W"]}x{axes["H"]}, the image {width}x{height}',
            expected='a map with the proportions of the image',
            remedy='choose another --output, or correct --output-layout; boxes are not supported',
        )


def _check_values(scores: AnyArray, spec: ModelSpec) -> None:
    low, high = float(scores.min()), float(scores.max())
    kind = spec.output.kind
    if kind in (OutputKind.PROBABILITIES, OutputKind.SIGMOID):
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            other = 'logits' if kind is OutputKind.PROBABILITIES else 'sigmoid_logits'
            raise IncompatibleModel(
                f'output {spec.output.name!r} has values from {low:.3g} to {high:.3g}',
                expected=f'0 to 1 as {kind.value}',
                remedy=f'pass --kind {other}',
            )
    elif kind is OutputKind.LABELS:
        foreign = {int(label) for label in np.unique(scores)} - set(range(len(spec.classes)))
        foreign.discard(-1 if spec.output.ignore_id is None else spec.output.ignore_id)
        if foreign:
            raise IncompatibleModel(
                f'output {spec.output.name!r} has the class {max(foreign)}',
                expected=f'0 to {len(spec.classes) - 1}, as there are {len(spec.classes)} classes',
                remedy='pass --classes with all of them, or --ignore-id',
            )


def _notes(scores: AnyArray, spec: ModelSpec) -> tuple[str, ...]:
    if spec.output.kind not in (OutputKind.LOGITS, OutputKind.SIGMOID_LOGITS):
        return ()
    if scores.min() < 0 or scores.max() > 1:
        return ()
    if spec.output.kind is OutputKind.SIGMOID_LOGITS:
        return ('all values lie in 0 to 1: if that is a probability, pass --kind sigmoid',)
    axis = -3 if spec.output.layout == 'NCHW' else -1
    if np.allclose(scores.astype(np.float32).sum(axis=axis), 1, atol=1e-2):
        return ('the scores of each pixel sum to 1: pass --kind probabilities',)
    return ()
