"""INT8 by post-training quantisation with NNCF, the only place that knows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
import io
import logging
import os
from typing import Any, TYPE_CHECKING

from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import AnyArray, ModelSpec
from edge_seg.errors import BackendUnavailable, CompileFailed
from edge_seg.offline.optimizing.calibration import Calibration, file_tensor
from edge_seg.offline.optimizing.judging import AccuracyBound, KnownFrame
from edge_seg.offline.optimizing.onnx_graphs import copied, with_signed_ranges

if TYPE_CHECKING:
    import onnx

INSTALL_HINT = 'pip install "edge_seg[quantise]", or pip install nncf onnx onnxruntime openvino'


def nncf_version() -> str:
    """Return NNCF's version.

    Raises:
        BackendUnavailable: it cannot be imported.
    """
    return str(_nncf().__version__)


def quantise_onnx(
    model: 'onnx.ModelProto',
    spec: ModelSpec,
    calibration: Calibration,
    *,
    bound: AccuracyBound | None = None,
) -> 'onnx.ModelProto':
    """Quantise an ONNX graph: weights by channel, activations symmetric by tensor, as Q/DQ.

    Args:
        model: the graph, in float32, weights inside; it is not changed.
        spec: what the manifest declares.
        calibration: what its input is on real frames.
        bound: leave layers in floating point until the score is this close; None = quantise all.

    Raises:
        BackendUnavailable: NNCF or ONNX Runtime cannot be imported.
        CompileFailed: NNCF cannot quantise this graph.
    """
    nncf = _nncf()
    name = spec.input.name
    rank = _rank(model, name)
    data = nncf.Dataset(list(calibration.tensors(rank)), lambda tensor: {name: tensor})
    options = _options(nncf, len(calibration.pixels))
    with _quiet(), _explained('the ONNX graph'):
        if bound is None:
            plain: onnx.ModelProto = nncf.quantize(model, data, **options)
            return plain
        judge = nncf.Dataset(
            list(bound.frames),
            lambda frame: {name: file_tensor(frame.pixels, spec.input, rank=rank)},
        )
        bounded: onnx.ModelProto = nncf.quantize_with_accuracy_control(
            model,
            data,
            judge,
            _validation(spec, bound, rank),
            max_drop=bound.max_drop,
            **options,
        )
        return bounded


def quantise_openvino(model: Any, calibration: Calibration) -> Any:
    """Quantise an OpenVINO model.

    Args:
        model: an openvino.Model with fixed axes.
        calibration: what its input is on real frames.

    Raises:
        BackendUnavailable: NNCF cannot be imported.
        CompileFailed: NNCF cannot quantise this model.
    """
    nncf = _nncf()
    rank = len(model.input(0).shape)
    data = nncf.Dataset(list(calibration.tensors(rank)))
    with _quiet(), _explained('the model'):
        return nncf.quantize(model, data, **_options(nncf, len(calibration.pixels)))


def _nncf() -> Any:
    # Nothing is reported to anybody from a robot's tool.
    os.environ.setdefault('NNCF_CI', '1')
    with _quiet(), sdk_import('nncf', INSTALL_HINT):
        import nncf

        nncf.set_log_level(logging.ERROR)
        return nncf


def _options(nncf: Any, frames: int) -> dict[str, Any]:
    # Symmetric ranges are what TensorRT takes, and the fastest on CPUs.
    return {'preset': nncf.QuantizationPreset.PERFORMANCE, 'subset_size': frames}


def _validation(
    spec: ModelSpec, bound: AccuracyBound, rank: int
) -> Callable[[Any, Iterable[KnownFrame]], tuple[float, list[float]]]:
    import onnxruntime

    def validate(
        model: 'onnx.ModelProto', frames: Iterable[KnownFrame]
    ) -> tuple[float, list[float]]:
        served = with_signed_ranges(copied(model))  # judged as it will be served
        session = onnxruntime.InferenceSession(
            served.SerializeToString(), providers=['CPUExecutionProvider']
        )

        def infer(frame: KnownFrame) -> AnyArray:
            tensor = file_tensor(frame.pixels, spec.input, rank=rank)
            output: AnyArray = session.run([spec.output.name], {spec.input.name: tensor})[0]
            return output

        return bound.score((frame, infer(frame)) for frame in frames)

    return validate


def _rank(model: 'onnx.ModelProto', name: str) -> int:
    return next(
        len(value.type.tensor_type.shape.dim) for value in model.graph.input if value.name == name
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's bars and notes out of what the command prints."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what NNCF raises about a network into one line.

    Raises:
        BackendUnavailable: something that NNCF needs for this format is missing.
        CompileFailed: anything else.
    """
    try:
        yield
    except ImportError as error:
        raise BackendUnavailable(
            f'NNCF misses {error.name or error}', remedy=INSTALL_HINT
        ) from error
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        text = ' '.join(str(error).split())[:300] or type(error).__name__
        raise CompileFailed(
            f'NNCF cannot quantise {what}: {text}',
            remedy='optimise with --precision fp16, or export the network again',
        ) from error
