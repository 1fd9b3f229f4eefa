"""The TensorRT backend; the SDKs are imported on first use, by the folders beside this one."""

from pathlib import Path

from edge_seg.backends.base import Availability, CompiledModel, CompileOptions
from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.tensorrt.building.ahead import BuildsEngines
from edge_seg.backends.tensorrt.cuda.driver import DriverRefused, read_devices
from edge_seg.backends.tensorrt.cuda.opening import choose_layer
from edge_seg.backends.tensorrt.library.device import bus_id
from edge_seg.backends.tensorrt.library.sdk import INSTALL_HINT, load_sdk
from edge_seg.backends.tensorrt.serving.layers import inspect_layers
from edge_seg.backends.tensorrt.serving.loading import load_engine
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import BackendUnavailable


class TensorRtBackend(BuildsEngines):
    """NVIDIA TensorRT, with PyCUDA or cuda-bindings for CUDA.

    Takes engines (.plan, .engine, .trt) that were built on this kind of machine; an ONNX file
    must be built into one first. The caller normalises, unless the engine takes uint8.
    """

    name = 'tensorrt'
    formats = (ArtifactFormat.TENSORRT_ENGINE, ArtifactFormat.ONNX)

    def probe(self) -> Availability:
        """Say what is missing, driver first; never raises.

        Without a working driver nothing of TensorRT or CUDA is imported.
        """
        try:
            sdk = load_sdk()
            choose_layer('auto')
            devices = read_devices()
        except BackendUnavailable as missing:
            return Availability(False, reason=missing.met, remedy=missing.remedy)
        except DriverRefused as refusal:
            return Availability(False, reason=str(refusal), remedy=INSTALL_HINT)
        names = tuple(f'GPU.{device.index}' for device in devices)
        return Availability(True, sdk.version, (*names, 'AUTO'))

    def bus_id(self, device: str) -> str:
        """Say where on the PCI bus a GPU is; see ``KnowsBus``."""
        return bus_id(device)

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Load an engine.

        ``threads``, ``pin_threads``, ``cache_dir`` and ``argmax_in_graph`` have no effect: they
        are decided when the engine is built.

        Args:
            artifact: .plan, .engine or .trt; only this user or root may be able to write it.
            spec: what the manifest declares.
            options: ``extra`` takes memory (pinned, auto, mapped), cuda (auto, pycuda,
                cuda-bindings), cuda_graph (true, false), dla_core and unrecorded (true, false).

        Raises:
            BackendUnavailable: driver, TensorRT, CUDA layer or device missing.
            CompileFailed: the engine cannot be loaded here, does not fit into memory, others
                can write it, or an option cannot be met.
            IncompatibleModel: the engine's inputs or outputs are not what ``spec`` says.
        """
        return load_engine(artifact, spec, options)

    def profile_layers(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, *, runs: int
    ) -> tuple[LayerTime, ...]:
        """Give the layers of an engine as its inspector tells them, without times.

        Nothing is run, so ``runs`` has no effect; see ``LayerProfiling``.

        Raises:
            BackendUnavailable, CompileFailed: as ``compile_model``.
        """
        return inspect_layers(artifact, spec, options)
