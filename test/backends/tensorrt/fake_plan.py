"""Engine files for the fake TensorRT: a plan's header, then a described 1x1 convolution."""

from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
import struct
from typing import Any

from edge_seg.core.values import OutputKind
from tiny_models import TinyModel

COMPUTE = '8.7'


@dataclass
class FakePlan:
    """What an engine is made of; every field is what the fake TensorRT will say or do.

    Attributes:
        version: of the TensorRT that wrote it.
        compute: compute capability that it was built for.
        tensors: inputs and outputs: name, mode, shape, dtype, and optionally format, location
            and profiles (a list of min, opt, max).
        layers: what the engine inspector tells.
        activation: bytes that a context takes.
        plugin: one of TensorRT's plugins that it uses, '' for none.
        wrong: faults of the numbers: 'nan', 'constant', 'one_class', 'shifted'.
    """

    version: str
    tensors: list[dict[str, Any]]
    kernel: list[list[float]]
    bias: list[float]
    mean: list[float]
    std: list[float]
    scale: float = 255.0
    input_layout: str = 'NCHW'
    output_layout: str = 'NCHW'
    kind: str = 'logits'
    compute: str = COMPUTE
    layers: list[dict[str, Any]] = field(default_factory=list)
    activation: int = 4096
    plugin: str = ''
    wrong: str = ''

    def to_bytes(self) -> bytes:
        """Give the file."""
        return plan_header(self.version) + json.dumps(asdict(self)).encode()

    def save(self, path: Path) -> Path:
        """Write the file as an engine must lie on disk."""
        path.write_bytes(self.to_bytes())
        path.chmod(0o600)
        path.parent.chmod(0o700)
        return path


def plan_header(version: str) -> bytes:
    """Give the first 28 bytes of a plan."""
    major, minor, patch = (int(part) for part in version.split('.')[:3])
    return struct.pack('<4sI16sBBBB', b'ftrt', 0, b'\x01' * 16, major, minor, patch, 0)


def plan_of(
    model: TinyModel, version: str, *, uint8: bool = False, labels: str = '', dynamic: bool = False
) -> FakePlan:
    """Build the engine of a tiny network.

    Args:
        model: the network.
        version: the TensorRT that builds.
        uint8: normalisation is fused.
        labels: dtype of a fused argmax, 'UINT8', 'INT32' or 'INT64'; '' for scores.
        dynamic: height and width are open, within a profile.
    """
    spec = model.spec
    kernel, bias = model.weights
    height, width = spec.input.size.height, spec.input.size.width
    channels, outputs = spec.input.channels, 1 if labels else len(kernel)
    shapes = {
        'NCHW': lambda c: [1, c, height, width],
        'NHWC': lambda c: [1, height, width, c],
        'NHW': lambda c: [1, height, width],
        'HW': lambda c: [height, width],
    }
    in_shape = shapes[spec.input.layout](channels)
    is_labels = bool(labels) or spec.output.kind is OutputKind.LABELS
    out_shape = shapes[spec.output.layout](1 if is_labels else outputs)
    image = {
        'name': spec.input.name,
        'mode': 'INPUT',
        'shape': in_shape,
        'dtype': 'UINT8' if uint8 else {'float16': 'HALF'}.get(spec.input.dtype, 'FLOAT'),
        'profiles': [[in_shape, in_shape, in_shape]],
    }
    result = {
        'name': spec.output.name,
        'mode': 'OUTPUT',
        'shape': out_shape,
        'dtype': labels or ('INT32' if is_labels else 'FLOAT'),
    }
    if dynamic:
        open_axes = [-1 if axis in (height, width) else axis for axis in in_shape]
        image['shape'] = open_axes
        low = [4 if axis < 0 else axis for axis in open_axes]
        image['profiles'] = [
            [low, low, low],
            [low, in_shape, [64 if axis < 0 else axis for axis in open_axes]],
        ]
        result['shape'] = [-1 if axis in (height, width) else axis for axis in out_shape]
    return FakePlan(
        version,
        [image, result],
        kernel.tolist(),
        bias.tolist(),
        list(spec.input.mean),
        list(spec.input.std),
        spec.input.scale,
        spec.input.layout,
        spec.output.layout,
        'labels' if is_labels else spec.output.kind.value,
    )
