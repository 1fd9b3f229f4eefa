"""Reading the inputs and outputs of somebody else's model file."""

from pathlib import Path

from edge_seg.backends.file_info import ModelFileInfo
from edge_seg.backends.onnx_file import read_onnx_info
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import BackendUnavailable, CompileFailed

FORMAT_OF_SUFFIX = {
    '.onnx': ArtifactFormat.ONNX,
    '.xml': ArtifactFormat.OPENVINO_IR,
    '.tflite': ArtifactFormat.TFLITE,
}


def inspect_model(path: Path) -> ModelFileInfo:
    """Read a model file's inputs and outputs without running it.

    OpenVINO reads all formats and works shapes out. Without it an ONNX file is still read by
    edge_seg itself, with the shapes that stand in the file.

    Args:
        path: a .onnx, .xml (with the .bin beside it) or .tflite file.

    Raises:
        CompileFailed: the file is missing, of another kind or unreadable.
        BackendUnavailable: what could read this format is not installed.
    """
    artifact_format = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if artifact_format is None:
        raise CompileFailed(
            f"{path.name} ends in '{path.suffix}'",
            expected=' or '.join(FORMAT_OF_SUFFIX),
            remedy='rename the file or convert the model',
        )
    if not path.is_file():
        raise CompileFailed(f'{path} is not a file', expected='a model file')
    try:
        return OpenVinoBackend().inspect(path)
    except BackendUnavailable as error:
        if artifact_format is not ArtifactFormat.ONNX:
            raise BackendUnavailable(
                f'{path.name} cannot be read: {error.met}', remedy=error.remedy
            ) from error
    return read_onnx_info(path)
