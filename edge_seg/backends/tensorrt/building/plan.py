"""Everything that is decided before a build begins, and the key that follows from it."""

from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.onnx_file import read_onnx_info
from edge_seg.backends.tensorrt.building.config import Limits
from edge_seg.backends.tensorrt.building.network import NetworkFacts, read_network
from edge_seg.backends.tensorrt.building.options import build_options
from edge_seg.backends.tensorrt.building.precision import plan_precision
from edge_seg.backends.tensorrt.building.trtexec import trtexec_lines, TrtexecLines
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.engine.fitting import EngineTensor, fit_input, Shape
from edge_seg.backends.tensorrt.files.key import built_for, EngineKey, NO_TF32
from edge_seg.backends.tensorrt.library.device import this_device
from edge_seg.backends.tensorrt.library.sdk import Sdk
from edge_seg.core.values import ModelSpec


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """A build that is decided.

    Attributes:
        network: the ONNX file.
        spec: what the manifest declares.
        device: the GPU.
        limits: what the builder is told.
        pinned: name and shape of the input where the file leaves it open, else None.
        key: names the engine that comes out.
    """

    network: NetworkFacts
    spec: ModelSpec
    device: DeviceInfo
    limits: Limits
    pinned: tuple[str, Shape] | None
    key: EngineKey

    def trtexec(self, out: Path) -> TrtexecLines:
        """Write the command lines that do the same by hand."""
        return trtexec_lines(
            self.network.path, out, self.limits, device=self.device.index, shape=self.pinned
        )


def plan_build(sdk: Sdk, artifact: Path, spec: ModelSpec, options: CompileOptions) -> BuildPlan:
    """Decide how a file is built here; reads the file, touches no GPU memory.

    Raises:
        BackendUnavailable: no driver or no such device.
        CompileFailed: the file cannot be read, or an option or the precision cannot be met.
        IncompatibleModel: the file's input is not what ``spec`` says.
    """
    wanted = build_options(options)
    device = this_device(options.device)
    network = read_network(artifact)
    on_dla = wanted.dla_core >= 0
    precision = plan_precision(wanted.precision, network, sdk.has, on_dla=on_dla)
    limits = Limits(wanted, precision, wanted.workspace_bytes(device))
    pinned = _pinned(artifact, spec)
    key = EngineKey(
        network.sha256,
        built_for(device, sdk.version),
        precision.effective,
        () if pinned is None else (f'{pinned[0]}:{pinned[1]}',),
        limits.workspace_bytes,
        wanted.optimisation_level,
        () if precision.tf32 else (NO_TF32,),
        wanted.dla_core,
    )
    return BuildPlan(network, spec, device, limits, pinned, key)


def _pinned(artifact: Path, spec: ModelSpec) -> tuple[str, Shape] | None:
    inputs = read_onnx_info(artifact).inputs
    tensors = [EngineTensor(found, is_input=True) for found in inputs]
    fit = fit_input(tensors, spec, file=artifact.name)
    found = next(each for each in inputs if each.name == spec.input.name)
    if found.shape is not None and all(axis >= 0 for axis in found.shape):
        return None
    return fit.spec.name, fit.run_shape
