"""The OpenCV DNN backend: no SDK needed; the last resort, and the oracle of the tests."""

from collections.abc import Sequence
from dataclasses import replace
import logging
from pathlib import Path
import re
from threading import Lock
from typing import Any

import cv2
from edge_seg.backends.base import Availability, CompiledModel, CompileOptions, CompileReport
from edge_seg.backends.declared import check_input, check_output, input_shape, select
from edge_seg.backends.feed import check_tensors, closed_error
from edge_seg.backends.file_info import FoundTensor
from edge_seg.backends.onnx_file import read_onnx_info
from edge_seg.core.values import AnyArray, ArtifactFormat, ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, InferenceFailed
import numpy as np
import numpy.typing as npt

_log = logging.getLogger(__name__)
_DEVICES = ('CPU', 'AUTO')
_SOURCE_PLACE = re.compile(r'OpenCV\([^)]*\) \S+:\d+: error: \(-?\d+:([^)]*)\)')


class OpenCvBackend:
    """OpenCV's own network runtime, on the CPU.

    Takes ONNX files only, computes in fp32 only, and not every operation or open axis of a file
    is supported: what it cannot run is refused when compiling. The caller normalises, in the
    layout of the file. The number of threads is OpenCV's process-wide one
    (``cv2.setNumThreads``); it is not changed here, since the frame path shares it.
    """

    name = 'opencv'
    formats = (ArtifactFormat.ONNX,)

    def probe(self) -> Availability:
        """Say whether this OpenCV was built with its DNN module; never raises."""
        if not hasattr(cv2, 'dnn'):
            return Availability(
                False,
                cv2.__version__,
                reason='this OpenCV was built without its dnn module',
                remedy='install python3-opencv, or: pip install opencv-python-headless',
            )
        return Availability(True, cv2.__version__, _DEVICES)

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Load the network and run it once, which is how its output shape is learnt.

        ``threads``, ``pin_threads``, ``cache_dir`` and ``argmax_in_graph`` have no effect.

        Raises:
            BackendUnavailable: no DNN module, or a device other than the CPU.
            CompileFailed: the file cannot be read or run, or an option cannot be met.
            IncompatibleModel: the file's inputs or outputs are not what ``spec`` says.
        """
        self._check_options(options)
        info = read_onnx_info(artifact)
        run_shape = check_input(info.inputs, spec.input, file=artifact.name)
        declared = select(
            info.outputs, spec.output.name, what='output', field='output.name', file=artifact.name
        )
        network = _Network(artifact, spec.input.name, spec.output.name)
        # OpenCV takes float32 also for a float16 input, and converts the weights.
        dtype = 'uint8' if spec.input.dtype == 'uint8' else 'float32'
        try:
            result = network.run(np.zeros(run_shape, dtype))
        except cv2.error as error:
            raise CompileFailed(
                f'OpenCV {cv2.__version__} cannot run {artifact.name}: {_readable(error)}',
                remedy='export it with fixed axes and common operations, or use openvino',
            ) from error
        output = replace(
            check_output(
                FoundTensor(declared.name, result.shape, declared.dtype), spec, file=artifact.name
            ),
            dtype=result.dtype.name,
        )
        return OpenCvModel(network, spec, input_dtype=dtype, run_shape=run_shape, output=output)

    def _check_options(self, options: CompileOptions) -> None:
        found = self.probe()
        if not found.available:
            raise BackendUnavailable(found.reason, remedy=found.remedy)
        if options.device.strip().upper() not in _DEVICES:
            raise BackendUnavailable(
                f"the opencv backend has no device '{options.device}'",
                expected=' or '.join(_DEVICES),
                remedy='set device: CPU, or use another backend',
            )
        if options.precision not in ('auto', 'fp32'):
            raise CompileFailed(
                f'the opencv backend does not compute in {options.precision}',
                expected='fp32 or auto',
            )
        if options.extra:
            names = ', '.join(name for name, _ in options.extra)
            raise CompileFailed(f'the opencv backend has no option {names}', expected='none')
        if options.threads > 0 and options.threads != cv2.getNumThreads():
            _log.warning(
                'opencv runs with the %d threads of the whole process, not %d',
                cv2.getNumThreads(),
                options.threads,
            )


class _Network:
    """A network read from a file, with the names it is fed and read by."""

    def __init__(self, artifact: Path, input_name: str, output_name: str) -> None:
        self._names = (input_name, output_name)
        try:
            self._net = cv2.dnn.readNetFromONNX(str(artifact))
        except cv2.error as error:
            raise CompileFailed(
                f'OpenCV {cv2.__version__} cannot read {artifact.name}: {_readable(error)}',
                remedy='export it with common operations, or use openvino',
            ) from error

    def run(self, array: npt.NDArray[Any]) -> AnyArray:
        """Run once; ``cv2.error`` passes."""
        self._net.setInput(array, self._names[0])
        return np.asarray(self._net.forward(self._names[1]))


class OpenCvModel:
    """One network; OpenCV runs without the GIL."""

    def __init__(
        self,
        network: _Network,
        spec: ModelSpec,
        *,
        input_dtype: str,
        run_shape: tuple[int, ...],
        output: TensorSpec,
    ) -> None:
        self._inputs = (
            TensorSpec(spec.input.name, input_shape(spec.input), input_dtype, spec.input.layout),
        )
        self._outputs = (output,)
        self._output_kind = spec.output.kind
        self._run_shape = run_shape
        # Held during inference too, so that a close waits for the frame that is running.
        self._lock = Lock()
        self._network: _Network | None = network

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One image in the layout of the file.

        float32 normalised by the caller, or raw uint8 when the file normalises by itself.
        """
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The one output that the manifest names, in the dtype that OpenCV gives.

        Scores are float32. Labels are whole numbers: integers, or float32 from OpenCV 4.
        """
        return self._outputs

    @property
    def output_kind(self) -> OutputKind:
        """Meaning of the output, as declared."""
        return self._output_kind

    @property
    def report(self) -> CompileReport:
        """What compiling came to."""
        return CompileReport('opencv', cv2.__version__, 'CPU', 'fp32')

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        """Run one frame.

        Args:
            tensors: one C-contiguous array as ``inputs[0]`` says.

        Returns:
            One array, valid until the next call.

        Raises:
            InferenceFailed: wrong array, OpenCV failed, or the model is closed.
        """
        with self._lock:
            network = self._network
            if network is None:
                raise closed_error()
            check_tensors(tensors, self._inputs)
            try:
                result = network.run(tensors[0].reshape(self._run_shape))
            except cv2.error as error:
                raise InferenceFailed(f'OpenCV failed: {_readable(error)}') from error
            return (result.reshape(self._outputs[0].shape),)

    def close(self) -> None:
        """Free the network after the frame that is running; twice is fine, from any thread."""
        with self._lock:
            self._network = None


def _readable(error: cv2.error) -> str:
    text = _SOURCE_PLACE.sub(r'\1:', str(error))
    return ' '.join(text.split())
