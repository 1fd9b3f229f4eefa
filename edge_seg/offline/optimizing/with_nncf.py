"""INT8 by post-training quantisation with NNCF, the only place that knows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
import io
import logging
import os
import sys
from typing import Any, TYPE_CHECKING

from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import AnyArray, ModelSpec, UInt8Array
from edge_seg.errors import BackendUnavailable, CompileFailed
from edge_seg.offline.optimizing.calibration import Calibration, file_tensor
from edge_seg.offline.optimizing.judging import AccuracyBound, KnownFrame
from edge_seg.offline.optimizing.onnx_graphs import copied, with_signed_ranges
import numpy as np

if TYPE_CHECKING:
    import onnx

INSTALL_HINT = 'pip install "edge_seg[quantise]", or pip install nncf onnx onnxruntime openvino'
ERRORS_ONLY = 3
FOREIGN = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError)


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
    name = spec.input.name
    rank = _rank(model, name)

    def feed(pixels: UInt8Array) -> dict[str, AnyArray]:
        return {name: file_tensor(pixels, spec.input, rank=rank)}

    def running(made: 'onnx.ModelProto') -> Callable[[UInt8Array], AnyArray]:
        served = with_signed_ranges(copied(made))  # judged as it will be served
        session = onnxruntime.InferenceSession(
            served.SerializeToString(), providers=['CPUExecutionProvider']
        )
        return lambda pixels: np.asarray(session.run([spec.output.name], feed(pixels))[0])

    nncf = _nncf()
    with _quiet(), _explained('the ONNX graph'):
        import onnxruntime

        onnxruntime.set_default_logger_severity(ERRORS_ONLY)
        made: onnx.ModelProto = _quantised(
            nncf,
            model,
            calibration,
            feed=feed,
            bound=bound,
            running=running,
            advanced=_ranges_by_tensor(nncf),
        )
        return made


def quantise_openvino(
    model: Any, calibration: Calibration, *, bound: AccuracyBound | None = None
) -> Any:
    """Quantise an OpenVINO model.

    Args:
        model: an openvino.Model with fixed axes and one output.
        calibration: what its input is on real frames.
        bound: leave layers in floating point until the score is this close; None = quantise all.

    Raises:
        BackendUnavailable: NNCF cannot be imported.
        CompileFailed: NNCF cannot quantise this model.
    """
    nncf = _nncf()
    rank = len(model.input(0).shape)

    def feed(pixels: UInt8Array) -> AnyArray:
        return file_tensor(pixels, calibration.spec, rank=rank)

    def running(compiled: Any) -> Callable[[UInt8Array], AnyArray]:
        return lambda pixels: np.asarray(compiled([feed(pixels)])[0])

    with _quiet(), _explained('the model'):
        return _quantised(nncf, model, calibration, feed=feed, bound=bound, running=running)


def _quantised(
    nncf: Any,
    model: Any,
    calibration: Calibration,
    *,
    feed: Callable[[UInt8Array], Any],
    bound: AccuracyBound | None,
    running: Callable[[Any], Callable[[UInt8Array], AnyArray]],
    advanced: Any = None,
) -> Any:
    """Quantise.

    Args:
        nncf: the module.
        model: as one of its backends takes it.
        calibration: what the input is on real frames.
        feed: makes resized pixels what the model takes, each when its turn comes.
        bound: how much may be lost, or None.
        running: makes a function that gives the network's output of what NNCF has to be judged.
        advanced: what NNCF has beside, or None.
    """
    data = nncf.Dataset(calibration.pixels, feed)
    options = _options(nncf, len(calibration.pixels))
    if bound is None:
        return nncf.quantize(model, data, advanced_parameters=advanced, **options)

    def score(made: Any, frames: Iterable[KnownFrame]) -> tuple[float, list[float]]:
        infer = running(made)
        return bound.score((frame, infer(frame.pixels)) for frame in frames)

    judge = nncf.Dataset(bound.frames, lambda frame: feed(frame.pixels))
    return nncf.quantize_with_accuracy_control(
        model,
        data,
        judge,
        score,
        max_drop=bound.max_drop,
        advanced_quantization_parameters=advanced,
        **options,
    )


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


def _ranges_by_tensor(nncf: Any) -> Any:
    # By channel, as NNCF has it before depthwise convolutions, TensorRT takes none.
    from nncf.quantization.advanced_parameters import QuantizationParameters

    return nncf.AdvancedQuantizationParameters(
        activations_quantization_params=QuantizationParameters(per_channel=False)
    )


def _rank(model: 'onnx.ModelProto', name: str) -> int:
    return next(
        len(value.type.tensor_type.shape.dim) for value in model.graph.input if value.name == name
    )


def _errors() -> tuple[type[Exception], ...]:
    """List what NNCF raises about a network; those of ONNX Runtime have no root in common."""
    module = sys.modules.get('onnxruntime.capi.onnxruntime_pybind11_state')
    found = vars(module).values() if module else ()
    own = (each for each in found if isinstance(each, type) and issubclass(each, Exception))
    return (*FOREIGN, *own)


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
    except _errors() as error:
        text = ' '.join(str(error).split())[:300] or type(error).__name__
        raise CompileFailed(
            f'NNCF cannot quantise {what}: {text}',
            remedy='optimise with --precision fp16, or export the network again',
        ) from error
