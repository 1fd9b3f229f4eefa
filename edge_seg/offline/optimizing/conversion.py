"""The files of an optimised model: what is quantised or halved, and in which formats it comes."""

from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.openvino import INSTALL_HINT, OpenVinoBackend
from edge_seg.backends.sdk import sdk_import
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import AccuracyLost, BackendUnavailable
from edge_seg.models.package import ModelPackage
from edge_seg.offline.optimizing import openvino_graphs
from edge_seg.offline.optimizing.calibration import Calibration
from edge_seg.offline.optimizing.judging import AccuracyBound
from edge_seg.offline.optimizing.onnx_graphs import (
    is_quantised,
    layers_in_float,
    load_float,
    save_checked,
    to_half,
    with_signed_ranges,
)
from edge_seg.offline.optimizing.with_nncf import nncf_version, quantise_onnx, quantise_openvino

SOURCES = (ArtifactFormat.ONNX, ArtifactFormat.OPENVINO_IR, ArtifactFormat.TFLITE)


@dataclass(frozen=True, slots=True)
class Converted:
    """Files that were written.

    Attributes:
        files: by format, the main file first.
        kept: layers that compute in floating point.
        made_with: versions of the tools, e.g. 'nncf 3.4.0, openvino 2026.4.1'.
    """

    files: tuple[tuple[ArtifactFormat, tuple[str, ...]], ...]
    kept: tuple[str, ...]
    made_with: str


def to_int8(
    package: ModelPackage,
    calibration: Calibration,
    folder: Path,
    *,
    bound: AccuracyBound | None = None,
) -> Converted:
    """Quantise a model into ``folder``; the IR is made from the Q/DQ ONNX, so both are the same.

    Raises:
        AccuracyLost: within the bound no layer can be in INT8.
        BackendUnavailable: NNCF, ONNX or OpenVINO is missing.
        CompileFailed: the network cannot be read, quantised or written.
        IncompatibleModel: it is quantised already, or is not what the manifest says.
    """
    made_with = f'nncf {nncf_version()}, openvino {_openvino_version()}'
    spec, source = package.manifest.spec, package.artifact_for(SOURCES)
    xml = folder / f'{spec.name}.xml'
    if source.suffix != '.onnx':
        with sdk_import('openvino', INSTALL_HINT):
            from edge_seg.backends.openvino import ir_file
        quantised = quantise_openvino(ir_file.read_pinned(source, spec), calibration, bound=bound)
        if not openvino_graphs.is_quantised(quantised):
            raise _nothing_quantised(package)
        kept = openvino_graphs.layers_in_float(quantised)
        ir_file.write_ir(quantised, xml, half=False)
        return Converted((_ir(xml),), kept, made_with)
    graph = with_signed_ranges(quantise_onnx(load_float(source), spec, calibration, bound=bound))
    if not is_quantised(graph):
        raise _nothing_quantised(package)
    onnx_file = folder / f'{spec.name}.onnx'
    save_checked(graph, onnx_file)
    OpenVinoBackend().write_ir(onnx_file, xml, spec, half=False)
    kept = layers_in_float(graph)
    return Converted((_ir(xml), (ArtifactFormat.ONNX, (onnx_file.name,))), kept, made_with)


def _nothing_quantised(package: ModelPackage) -> AccuracyLost:
    return AccuracyLost(
        f'no layer of {package.identity} can be in INT8 within the bound',
        expected='at least one; nothing is published',
        remedy='allow more with --max-drop, or optimise with --precision fp16',
    )


def to_fp16(package: ModelPackage, folder: Path) -> Converted:
    """Bring a model to half precision in ``folder``: IR with halved weights, and ONNX.

    Raises:
        BackendUnavailable: OpenVINO, ONNX or ONNX Runtime is missing.
        CompileFailed: the network cannot be read or written.
        IncompatibleModel: it is in half precision or quantised already, or not as declared.
    """
    made_with = f'openvino {_openvino_version()}'
    spec, source = package.manifest.spec, package.artifact_for(SOURCES)
    xml = folder / f'{spec.name}.xml'
    if source.suffix != '.onnx':
        OpenVinoBackend().write_ir(source, xml, spec, half=True)
        return Converted((_ir(xml),), (), made_with)
    graph = load_float(source)
    OpenVinoBackend().write_ir(source, xml, spec, half=True)
    onnx_file = folder / f'{spec.name}.onnx'
    save_checked(to_half(graph), onnx_file)
    return Converted((_ir(xml), (ArtifactFormat.ONNX, (onnx_file.name,))), (), made_with)


def _ir(xml: Path) -> tuple[ArtifactFormat, tuple[str, ...]]:
    return ArtifactFormat.OPENVINO_IR, (xml.name, xml.with_suffix('.bin').name)


def _openvino_version() -> str:
    available = OpenVinoBackend().probe()
    if not available.available:
        raise BackendUnavailable(
            f'OpenVINO cannot be used: {available.reason}', remedy=available.remedy
        )
    return available.version
