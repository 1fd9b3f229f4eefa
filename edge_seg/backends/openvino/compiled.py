"""A model compiled by OpenVINO, with its buffers."""

from collections.abc import Sequence
import logging
from threading import Lock

from edge_seg.backends.base import CompileReport
from edge_seg.backends.feed import check_tensors, closed_error
from edge_seg.backends.openvino.devices import readable, SDK_ERRORS
from edge_seg.core.values import AnyArray, OutputKind, TensorSpec
from edge_seg.errors import InferenceFailed
import numpy as np
import openvino as ov

_log = logging.getLogger(__name__)


class OpenVinoModel:
    """One compiled model with one request.

    The input is read where the caller has it, and the output is written into an array that this
    object owns: nothing is copied. Inference runs without the GIL.
    """

    def __init__(
        self,
        compiled: ov.CompiledModel,
        *,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        output_kind: OutputKind,
        report: CompileReport,
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._output_kind = output_kind
        self._report = report
        # Held during inference too, so that a close waits for the frame that is running.
        self._lock = Lock()
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self._run_shape = tuple(compiled.input(0).shape)
        self._bound: AnyArray | None = None
        result = np.empty(tuple(compiled.output(0).shape), outputs[0].dtype)
        self._request.set_output_tensor(0, ov.Tensor(result, shared_memory=True))
        # Not marked read-only: OpenCV refuses read-only arrays as sources on some versions.
        self._results: tuple[AnyArray, ...] = (result.reshape(outputs[0].shape),)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One image, uint8 NHWC in the model's colour order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The one output that the manifest names: float32 scores, or uint8 or int32 labels."""
        return self._outputs

    @property
    def output_kind(self) -> OutputKind:
        """Meaning of the output; LABELS when argmax was built into the graph."""
        return self._output_kind

    @property
    def report(self) -> CompileReport:
        """What compiling came to."""
        return self._report

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        """Run one frame.

        Args:
            tensors: one C-contiguous uint8 array of shape ``inputs[0].shape``; must not change
                during the call.

        Returns:
            One array, the same one in every call: valid until the next call, not to be written.

        Raises:
            InferenceFailed: wrong array, OpenVINO failed, or the model is closed.
        """
        with self._lock:
            request = self._request
            if request is None:
                raise closed_error()
            check_tensors(tensors, self._inputs)
            try:
                self._bind(request, tensors[0])
                # Sharing keeps the wrapper from copying the output once more.
                request.infer(share_inputs=True, share_outputs=True)
            except SDK_ERRORS as error:
                raise InferenceFailed(f'OpenVINO failed: {readable(error)}') from error
            return self._results

    def _bind(self, request: ov.InferRequest, image: AnyArray) -> None:
        if image is self._bound:
            return
        # OpenVINO shares writable memory only; a read-only image is a rare, copied case.
        array = image if image.flags.writeable else image.copy()
        tensor = ov.Tensor(array.reshape(self._run_shape), shared_memory=True)
        request.set_input_tensor(0, tensor)
        self._bound = image if array is image else None

    def close(self) -> None:
        """Free the request and the compiled network, after the frame that is running.

        Twice is fine, from any thread. Arrays that ``infer`` gave out stay readable.
        """
        with self._lock:
            self._request = None
            self._bound = None
            self._results = ()
