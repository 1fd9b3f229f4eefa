"""A network for benchmarks: the cost of one for 640x480, with weights that mean nothing.

Made in the manner of Fast-SCNN (arXiv:1902.04502): learned downsampling to an eighth, inverted
bottlenecks, fusion with the finer features, classifier, bilinear upsampling to the input's size.
The weights are the same every time.
"""

from dataclasses import dataclass, field
import hashlib
from pathlib import Path
import shutil
from typing import Any

from edge_seg.cli.bench.result import MeasurementFailed
from edge_seg.core.palette import default_colors
from edge_seg.core.values import ArtifactFormat, ClassInfo, InputSpec, ModelSpec, OutputSpec, Size
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.store import ModelStore
import numpy as np

MODEL = 'wide@1'
SIZE = Size(640, 480)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 8
OPSET, IR_VERSION = 13, 8
STEM = 32
GAIN = 40.0
"""Of the classifier, so that the scores spread as those of a trained network do."""
WIDTHS = (64, 112)
BOTTLENECKS = ((64, 2), (64, 1), (64, 1), (96, 2), (96, 1), (96, 1), (128, 1), (128, 1))
EXPANSION = 6
FUSED = 208

Network = Any


@dataclass(slots=True)
class _Graph:
    """Nodes and weights in the order in which they are added."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(2024))

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        name = f't{len(self.nodes)}'
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f'w{len(self.weights)}'
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        gain: float = 1.0,
    ) -> str:
        """Convolve with random weights whose sum is zero, so that no channel is all bias."""
        given, wanted = channels
        shape = (wanted, given // groups, kernel, kernel)
        weights = self.rng.standard_normal(shape) * np.sqrt(2.0 / (shape[1] * kernel**2))
        weights *= gain
        weights -= weights.mean(axis=(1, 2, 3), keepdims=True)
        bias = np.zeros(wanted, np.float32)
        return self.add(
            'Conv',
            [x, self.constant(weights.astype(np.float32)), self.constant(bias)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def relu(self, x: str) -> str:
        return self.add('Relu', [x])

    def separable(self, x: str, channels: tuple[int, int], *, stride: int) -> str:
        """Convolve each channel by itself, then mix them."""
        given = channels[0]
        x = self.relu(self.conv(x, (given, given), kernel=3, stride=stride, groups=given))
        return self.relu(self.conv(x, channels, kernel=1))

    def bottleneck(self, x: str, channels: tuple[int, int], *, stride: int) -> str:
        """Widen, convolve each channel by itself, narrow; add the input where it fits."""
        given, wanted = channels
        wide = given * EXPANSION
        inner = self.relu(self.conv(x, (given, wide), kernel=1))
        inner = self.relu(self.conv(inner, (wide, wide), kernel=3, stride=stride, groups=wide))
        narrow = self.conv(inner, (wide, wanted), kernel=1)
        return self.add('Add', [x, narrow]) if stride == 1 and given == wanted else narrow

    def enlarged(self, x: str, factor: int) -> str:
        """Interpolate bilinearly."""
        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        return self.add(
            'Resize', [x, '', scales], mode='linear', coordinate_transformation_mode='half_pixel'
        )


def network_store(root: Path) -> ModelStore:
    """Make a store with the network as MODEL.

    Raises:
        MeasurementFailed: the package onnx is missing.
    """
    name, version = MODEL.split('@')
    folder = root / name / version
    shutil.rmtree(root, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / 'network.onnx'
    digest = write_network(path)
    colors = default_colors(CLASSES)
    spec = ModelSpec(
        name=name,
        version=version,
        input=InputSpec('image', SIZE, mean=MEAN, std=STD),
        output=OutputSpec('logits'),
        classes=tuple(ClassInfo(f'class{index}', color) for index, color in enumerate(colors)),
    )
    file = ArtifactFile(path.name, digest, path.stat().st_size)
    manifest = Manifest(spec, (Artifact(ArtifactFormat.ONNX, (file,)),), licence='Apache-2.0')
    (folder / 'manifest.yaml').write_bytes(dump_manifest(manifest))
    return ModelStore(root)


def write_network(path: Path) -> str:
    """Write the network as ONNX; input ``image`` (1, 3, 480, 640), output ``logits``.

    Returns:
        The SHA-256 digest of the file, in hexadecimal.

    Raises:
        MeasurementFailed: the package onnx is missing.
    """
    try:
        import onnx
        from onnx import helper, TensorProto
    except ImportError as error:
        raise MeasurementFailed(
            'the package onnx makes the network of this benchmark, and it is not installed',
            remedy='pip install onnx',
        ) from error
    graph = _Graph()
    _nodes(graph)
    graph.nodes[-1].output[0] = 'logits'
    shapes = ((3, 'image'), (CLASSES, 'logits'))
    image, logits = (
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, [1, channels, SIZE.height, SIZE.width]
        )
        for channels, name in shapes
    )
    whole = helper.make_graph(graph.nodes, 'nav2_class', [image], [logits], graph.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid('', OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _nodes(graph: _Graph) -> None:
    x = graph.relu(graph.conv('image', (3, STEM), kernel=3, stride=2))
    channels = STEM
    for width in WIDTHS:
        x = graph.separable(x, (channels, width), stride=2)
        channels = width
    fine, fine_channels = x, channels
    for width, stride in BOTTLENECKS:
        x = graph.bottleneck(x, (channels, width), stride=stride)
        channels = width
    coarse = graph.conv(graph.enlarged(x, 4), (channels, FUSED), kernel=1)
    fine = graph.conv(fine, (fine_channels, FUSED), kernel=1)
    x = graph.relu(graph.add('Add', [coarse, fine]))
    for _ in range(3):
        x = graph.separable(x, (FUSED, FUSED), stride=1)
    x = graph.conv(x, (FUSED, CLASSES), kernel=1, gain=GAIN)
    graph.enlarged(x, 8)
