"""Tiny networks made on the spot, with what they must compute worked out in NumPy."""

from dataclasses import dataclass, replace
from pathlib import Path

from edge_seg.core.values import (
    ClassInfo,
    InputSpec,
    ModelSpec,
    OutputKind,
    OutputSpec,
    ResizeRule,
    Size,
)
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, TensorProto

_ELEM = {
    'float32': TensorProto.FLOAT, 'float16': TensorProto.FLOAT16, 'uint8': TensorProto.UINT8,
    'int32': TensorProto.INT32, 'int64': TensorProto.INT64,
}  # fmt: skip
SIGMOIDS = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)


@dataclass(frozen=True)
class TinyModel:
    """A 1x1 convolution with the inputs, outputs and conversions around it that a test asks for.

    ``weights_dtype`` float16 makes the whole network one of half precision.
    """

    kind: OutputKind = OutputKind.LOGITS
    size: Size = Size(12, 8)
    input_layout: str = 'NCHW'
    output_layout: str = 'NCHW'
    input_dtype: str = 'float32'
    color_order: str = 'rgb'
    classes: int = 3
    batch: bool = True
    dynamic: bool = False
    extra_outputs: bool = False
    label_dtype: str = 'int64'
    mean: tuple[float, ...] = (0.4, 0.5, 0.6)
    std: tuple[float, ...] = (0.2, 0.3, 0.25)
    scale: float = 255.0
    version: str = '1'

    @property
    def spec(self) -> ModelSpec:
        """What a correct manifest says."""
        channels = self._channels
        return ModelSpec(
            'tiny',
            self.version,
            InputSpec(
                'image',
                self.size,
                layout=self.input_layout,
                dtype=self.input_dtype,
                color_order=self.color_order,
                mean=self.mean[:channels],
                std=self.std[:channels],
                scale=self.scale,
                resize=ResizeRule(),
            ),
            OutputSpec('scores', kind=self.kind, layout=self.output_layout),
            tuple(ClassInfo(f'class {i}', (i, i, i)) for i in range(self.classes)),
        )

    @property
    def _channels(self) -> int:
        return 1 if self.color_order == 'gray' else 3

    @property
    def _compute_dtype(self) -> str:
        return 'float16' if self.input_dtype == 'float16' else 'float32'

    @property
    def weights(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Kernel (outputs, inputs) and bias, exact in half precision."""
        rng = np.random.default_rng(7)
        outputs = 1 if self.kind in SIGMOIDS else self.classes
        kernel = rng.integers(-32, 33, (outputs, self._channels)) / 16
        return kernel.astype('f4'), (rng.integers(-8, 9, outputs) / 8).astype('f4')

    def pixels(self, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Give random raw pixels, (1, H, W, C)."""
        rng = np.random.default_rng(seed)
        shape = (1, self.size.height, self.size.width, self._channels)
        return rng.integers(0, 256, shape, dtype=np.uint8)

    def normalised(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Normalise the slow way; channels last."""
        spec = self.spec.input
        mean, std = np.array(spec.mean), np.array(spec.std)
        return ((pixels / spec.scale - mean) / std).astype('f4')

    def expected(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.generic]:
        """Compute the output in its declared layout."""
        kernel, bias = self.weights
        scores = np.einsum('nhwc,oc->nohw', self.normalised(pixels), kernel)
        scores = scores + bias[:, None, None]
        if self.kind is OutputKind.PROBABILITIES:
            powers = np.exp(scores - scores.max(1, keepdims=True))
            scores = powers / powers.sum(1, keepdims=True)
        elif self.kind is OutputKind.SIGMOID:
            scores = 1 / (1 + np.exp(-scores))
        elif self.kind is OutputKind.LABELS:
            scores = scores.argmax(1)[:, None]
        axes = {'NCHW': scores, 'NHWC': scores.transpose(0, 2, 3, 1)}
        axes.update({'NHW': scores[:, 0], 'HW': scores[0, 0]})
        return axes[self.output_layout]

    def save(self, path: Path) -> Path:
        """Write the network as ONNX."""
        onnx.save(self.proto(), str(path))
        return path

    def proto(self) -> onnx.ModelProto:
        """Build the network."""
        graph = _Graph()
        x = self._into_the_network(graph)
        kernel, bias = self.weights
        dtype = self._compute_dtype
        graph.constant('kernel', kernel[:, :, None, None].astype(dtype))
        graph.constant('bias', bias.astype(dtype))
        x = graph.add('Conv', [x, 'kernel', 'bias'], kernel_shape=[1, 1])
        x = self._out_of_the_network(graph, x)
        graph.add('Identity', [x], output='scores')
        return self._model(graph)

    def _into_the_network(self, graph: '_Graph') -> str:
        x = 'image'
        if self.input_dtype == 'uint8':
            x = graph.add('Cast', [x], to=TensorProto.FLOAT)
            spec = self.spec.input
            layout = (1, 1, -1) if self.input_layout == 'NHWC' else (-1, 1, 1)
            mean = (np.array(spec.mean) * spec.scale).astype('f4').reshape(layout)
            std = (np.array(spec.std) * spec.scale).astype('f4').reshape(layout)
            x = graph.add('Sub', [x, graph.constant('mean', mean)])
            x = graph.add('Div', [x, graph.constant('std', std)])
        if not self.batch:
            x = graph.add('Unsqueeze', [x, graph.constant('first', np.array([0], 'i8'))])
        if self.input_layout == 'NHWC':
            x = graph.add('Transpose', [x], perm=[0, 3, 1, 2])
        return x

    def _out_of_the_network(self, graph: '_Graph', x: str) -> str:
        if self.kind is OutputKind.PROBABILITIES:
            x = graph.add('Softmax', [x], axis=1)
        elif self.kind is OutputKind.SIGMOID:
            x = graph.add('Sigmoid', [x])
        elif self.kind is OutputKind.LABELS:
            x = graph.add('ArgMax', [x], axis=1, keepdims=1)
            if self.label_dtype != 'int64':
                x = graph.add('Cast', [x], to=_ELEM[self.label_dtype])
        if self.output_layout == 'NHWC':
            x = graph.add('Transpose', [x], perm=[0, 2, 3, 1])
        dropped = [axis for axis, name in enumerate('NC') if name not in self.output_layout]
        if not self.batch and 0 not in dropped:
            dropped.insert(0, 0)
        if dropped:
            x = graph.add('Squeeze', [x, graph.constant('dropped', np.array(dropped, 'i8'))])
        return x

    def _model(self, graph: '_Graph') -> onnx.ModelProto:
        skipped = 0 if self.batch else 1
        sizes = {'N': 1, 'C': self._channels, 'H': self.size.height, 'W': self.size.width}
        if self.dynamic:
            sizes.update({'N': 'batch', 'H': 'height', 'W': 'width'})
        shape = [sizes[axis] for axis in self.input_layout[skipped:]]
        out_type = self.label_dtype if self.kind is OutputKind.LABELS else self._compute_dtype
        out_shape = list(self.expected(self.pixels()).shape)
        if self.dynamic:
            out_shape = [f'axis {index}' for index in range(len(out_shape))]
        if not self.batch and 'N' in self.output_layout:
            out_shape = out_shape[1:]
        outputs = [helper.make_tensor_value_info('scores', _ELEM[out_type], out_shape)]
        if self.extra_outputs:
            graph.add('Relu', ['image'], output='features')
            extra = helper.make_tensor_value_info('features', _ELEM[self.input_dtype], shape)
            outputs.insert(0, extra)
        image = helper.make_tensor_value_info('image', _ELEM[self.input_dtype], shape)
        built = helper.make_graph(graph.nodes, 'tiny', [image], outputs, graph.weights)
        opset = helper.make_opsetid('', 13)
        return helper.make_model(built, opset_imports=[opset], ir_version=8)

    def but(self, **changes: object) -> 'TinyModel':
        """Give the same model with some things changed."""
        return replace(self, **changes)


class _Graph:
    """Nodes and weights as they come in."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], *, output: str = '', **attributes: object) -> str:
        """Append a node and give the name of its output."""
        name = output or f'{op}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        """Append weights and give their name."""
        self.weights.append(numpy_helper.from_array(array, name))
        return name


def quantised(model: TinyModel) -> onnx.ModelProto:
    """Give the network with its convolution in INT8, as quantisers write it (Q/DQ)."""
    proto = model.proto()
    graph = proto.graph
    nodes = list(graph.node)
    place = next(index for index, node in enumerate(nodes) if node.op_type == 'Conv')
    constants = {
        'image scale': np.float32(4 / 127),
        'kernel scale': np.float32(1 / 16),
        'zero': np.int8(0),
        'kernel int8': (model.weights[0] * 16).astype(np.int8)[:, :, None, None],
    }
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    added = [
        helper.make_node(op, [name, scale, 'zero'], [output])
        for op, name, scale, output in (
            ('QuantizeLinear', nodes[place].input[0], 'image scale', 'image int8'),
            ('DequantizeLinear', 'image int8', 'image scale', 'image real'),
            ('DequantizeLinear', 'kernel int8', 'kernel scale', 'kernel real'),
        )
    ]
    nodes[place].input[0], nodes[place].input[1] = 'image real', 'kernel real'
    del graph.node[:]
    graph.node.extend(nodes[:place] + added + nodes[place:])
    return proto
