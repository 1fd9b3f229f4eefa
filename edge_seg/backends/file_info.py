"""What stands in a model file: format, inputs and outputs."""

from dataclasses import dataclass

from edge_seg.core.values import ArtifactFormat


@dataclass(frozen=True, slots=True)
class FoundTensor:
    """An input or output as the file has it.

    Attributes:
        name: tensor name.
        shape: all axes, -1 where the file leaves one open; None when not even their number is
            known.
        dtype: NumPy name, or the format's own name where NumPy has none ('bfloat16').
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str

    def __str__(self) -> str:
        if self.shape is None:
            return f'{self.name} {self.dtype} [...]'
        axes = ','.join('?' if axis < 0 else str(axis) for axis in self.shape)
        return f'{self.name} {self.dtype} [{axes}]'


@dataclass(frozen=True, slots=True)
class ModelFileInfo:
    """The inside of a model file.

    Attributes:
        format: what the file is.
        inputs: in the file's order, weights left out.
        outputs: in the file's order.
        read_by: which reader said so, e.g. 'openvino 2026.4.1'.
    """

    format: ArtifactFormat
    inputs: tuple[FoundTensor, ...]
    outputs: tuple[FoundTensor, ...]
    read_by: str


def listed(tensors: tuple[FoundTensor, ...]) -> str:
    """Write tensors for an error message, e.g. 'images float32 [1,3,?,?]'."""
    return ', '.join(str(tensor) for tensor in tensors) or 'nothing'
