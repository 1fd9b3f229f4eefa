"""The U-Net of docs/bring-your-own-model.md as ONNX, made without PyTorch."""

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime

CLASSES = 4
WIDTH = 24
SIDE = 128
OPSET = 17


class Network:
    """A graph that grows.

    Args:
        seed: of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def block(self, source: str, inputs: int, outputs: int) -> str:
        """Add a convolution with ReLU, its weights at random."""
        deviation = np.sqrt(2 / (9 * inputs))
        kernel = self._random.normal(0, deviation, (outputs, inputs, 3, 3))
        return self.add('Relu', [self.convolution(source, kernel, pads=[1, 1, 1, 1])])

    def convolution(self, source: str, kernel: np.ndarray, **attributes: list[int]) -> str:
        """Add a convolution."""
        return self.add('Conv', [source, self.weight(kernel.astype(np.float32))], **attributes)

    def weight(self, values: np.ndarray) -> str:
        """Add a constant."""
        name = f'weight_{len(self._weights)}'
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """Add an operation; give the name of its result."""
        name = f'{kind.lower()}_{len(self._nodes)}'
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def finished(self, result: str, channels: int) -> onnx.ModelProto:
        """Give the model with this result."""
        image = helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, SIDE, SIDE])
        shape = [1, channels, SIDE, SIDE]
        scores = helper.make_tensor_value_info(result, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self._nodes, 'unet', [image], [scores], self._weights)
        opsets = [helper.make_opsetid('', OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save_unet(frames: Path, target: Path) -> None:
    """Write the network, its last layer fitted to labelled pictures, as the page does it.

    Args:
        frames: folder with images/ and labels/.
        target: the file.
    """
    network = Network()
    features = _features(network)
    session = onnxruntime.InferenceSession(
        network.finished(features, WIDTH).SerializeToString(), providers=['CPUExecutionProvider']
    )
    found, truth = [], []
    for file in sorted((frames / 'images').glob('*.png')):
        pixels = np.moveaxis(cv2.imread(str(file))[..., ::-1], -1, 0)[None] / np.float32(255)
        found.append(np.moveaxis(session.run(None, {'image': pixels})[0][0], 0, -1))
        truth.append(cv2.imread(str(frames / 'labels' / file.name), cv2.IMREAD_GRAYSCALE))
    head = _fitted(np.stack(found).reshape(-1, WIDTH), np.eye(CLASSES)[np.stack(truth).ravel()])
    scores = network.convolution(features, head.T[:, :, None, None])
    onnx.save(network.finished(scores, CLASSES), str(target))


def _features(network: Network) -> str:
    def halved(source: str) -> str:
        return network.add('MaxPool', [source], kernel_shape=[2, 2], strides=[2, 2])

    def doubled(source: str) -> str:
        scales = network.weight(np.array([1, 1, 2, 2], np.float32))
        return network.add('Resize', [source, '', scales], mode='nearest')

    fine = network.block('image', 3, WIDTH)
    middle = network.block(halved(fine), WIDTH, 2 * WIDTH)
    coarse = network.block(halved(middle), 2 * WIDTH, 4 * WIDTH)
    joined = network.add('Concat', [middle, doubled(coarse)], axis=1)
    middle = network.block(joined, 6 * WIDTH, 2 * WIDTH)
    joined = network.add('Concat', [fine, doubled(middle)], axis=1)
    return network.block(joined, 3 * WIDTH, WIDTH)


def _fitted(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fit scores to classes by least squares, rare classes counting as much as frequent ones."""
    weight = 1 / truth.mean(axis=0)[truth.argmax(axis=1), None]
    squares = found.T @ (weight * found) + 1e-3 * np.eye(found.shape[1])
    return np.linalg.solve(squares, found.T @ (weight * (truth - 1 / CLASSES)))
