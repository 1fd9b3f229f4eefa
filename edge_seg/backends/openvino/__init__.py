"""The OpenVINO backend; the SDK is imported on first use, by the modules beside this one."""

from pathlib import Path

from edge_seg.backends.base import Availability, CompiledModel, CompileOptions, CompileReport
from edge_seg.backends.file_info import ModelFileInfo
from edge_seg.backends.layer_profile import LayerTime
from edge_seg.backends.openvino.prebuilt import PREBUILT_SUFFIX
from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import BackendUnavailable

INSTALL_HINT = 'pip install openvino'


class OpenVinoBackend:
    """Intel OpenVINO: CPU, GPU and NPU; takes OpenVINO IR, ONNX and TFLite.

    The compiled model takes raw pixels, uint8 NHWC in the model's colour order; layout and
    normalisation are part of its graph. Resizing is the caller's.
    """

    name = 'openvino'
    prebuilt_suffix = PREBUILT_SUFFIX
    formats = (ArtifactFormat.OPENVINO_IR, ArtifactFormat.ONNX, ArtifactFormat.TFLITE)

    def probe(self) -> Availability:
        """Say whether OpenVINO imports here and which devices it sees; never raises."""
        try:
            with sdk_import('openvino', INSTALL_HINT):
                from edge_seg.backends.openvino import devices
            return devices.availability()
        except BackendUnavailable as error:
            return Availability(False, reason=error.met, remedy=error.remedy)

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Load and compile; a file that ``build`` wrote (.ovbuilt) is only imported.

        Args:
            artifact: .xml (its .bin beside it), .onnx, .tflite or .ovbuilt.
            spec: what the manifest declares.
            options: ``extra`` takes OpenVINO property names and values.

        Raises:
            BackendUnavailable: OpenVINO or the device is missing.
            CompileFailed: the file cannot be read or compiled, or an option cannot be met.
            IncompatibleModel: the file's inputs or outputs are not what ``spec`` says.
        """
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import engine
        if artifact.suffix == PREBUILT_SUFFIX:
            return engine.load_prebuilt(artifact, spec, options)
        return engine.compile_file(artifact, spec, options)

    def build(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, out_path: Path
    ) -> CompileReport:
        """Compile into a file that ``compile_model`` loads with less work and memory.

        The file belongs to this OpenVINO version, device and ``spec``; ``compile_model`` refuses
        it anywhere else. It appears under its name only when it is whole.

        Args:
            artifact: the model's file.
            spec: what the manifest declares; normalisation and argmax are compiled in.
            options: as for ``compile_model``; ``cache_dir`` is not used.
            out_path: file to write, ending in ``PREBUILT_SUFFIX``; replaced when it exists.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel: as ``compile_model``.
        """
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import engine
        return engine.build(artifact, spec, options, out_path)

    def inspect(self, path: Path) -> ModelFileInfo:
        """Read a file's inputs and outputs.

        Raises:
            BackendUnavailable: OpenVINO is missing.
            CompileFailed: the file cannot be read.
        """
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import graph
        return graph.inspect_file(path)

    def profile_layers(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions, *, runs: int
    ) -> tuple[LayerTime, ...]:
        """Run a model on noise and give its layers, slowest first; see ``LayerProfiling``.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel: as ``compile_model``.
            InferenceFailed: it does not run.
        """
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import layers
        return layers.profile_layers(artifact, spec, options, runs=runs)

    def write_ir(self, source: Path, target: Path, spec: ModelSpec, *, half: bool) -> None:
        """Write a model file as OpenVINO IR, with the declared output only and fixed axes.

        Args:
            source: .onnx, .xml or .tflite.
            target: the .xml; its .bin comes beside it.
            spec: what the manifest declares; it holds for ``target`` as well.
            half: keep the weights in half precision.

        Raises:
            BackendUnavailable: OpenVINO is missing.
            CompileFailed: a file cannot be read or written.
            IncompatibleModel: the file is not what ``spec`` says.
        """
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import ir_file
        ir_file.write_ir(ir_file.read_pinned(source, spec), target, half=half)
