"""The other yardstick: a segmentation node in the manner of the Nav2 tutorial's.

Mask, confidence and overlay of every frame: default transport, a queue of ten, everything in one
callback, ONNX Runtime (OpenVINO where it is missing) called synchronously, softmax and argmax in
NumPy over all scores. Written anew; measured, not shipped. It must stay as good as plain code
gets, and no better.
"""

from array import array
import sys

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
OVERLAY_ALPHA = 0.5


class Nav2Node(Node):
    """Answers each image in its callback."""

    def __init__(self) -> None:
        super().__init__('nav2_style')
        self._infer, (self._height, self._width), classes = open_network(
            str(self.declare_parameter('network', '').value),
            str(self.declare_parameter('precision', 'f32').value),
        )
        self._colors = np.random.default_rng(0).integers(0, 256, (classes, 3), np.uint8)
        self._mask = self.create_publisher(Image, 'nav2_style/mask', 10)
        self._confidence = self.create_publisher(Image, 'nav2_style/confidence', 10)
        self._overlay = self.create_publisher(Image, 'nav2_style/overlay', 10)
        self.create_subscription(Image, 'image', self._on_image, 10)

    def _on_image(self, message: Image) -> None:
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        small = cv2.resize(image, (self._width, self._height))
        normalised = (small.astype(np.float32) / 255.0 - MEAN) / STD
        tensor = np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])
        scores = self._infer(tensor)[0]
        powers = np.exp(scores - scores.max(axis=0, keepdims=True))
        probabilities = powers / powers.sum(axis=0, keepdims=True)
        labels = np.argmax(probabilities, axis=0).astype(np.uint8)
        certainty = (probabilities.max(axis=0) * 255).astype(np.uint8)
        size = (message.width, message.height)
        mask = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        self._publish(self._mask, message, mask, 'mono8')
        self._publish(self._confidence, message, cv2.resize(certainty, size), 'mono8')
        painted = self._colors[mask]
        overlay = cv2.addWeighted(image, 1 - OVERLAY_ALPHA, painted, OVERLAY_ALPHA, 0)
        self._publish(self._overlay, message, overlay, 'rgb8')

    def _publish(self, publisher, source: Image, pixels: np.ndarray, encoding: str) -> None:
        channels = 3 if encoding == 'rgb8' else 1
        publisher.publish(
            Image(
                header=source.header,
                width=source.width,
                height=source.height,
                encoding=encoding,
                step=source.width * channels,
                data=array('B', pixels.tobytes()),
            )
        )


def open_network(path: str, precision: str):
    """Open a network; gives a function from tensor to scores, input size (h, w), classes.

    The precision is for OpenVINO; ONNX Runtime computes in that of the network.
    """
    try:
        import onnxruntime
    except ImportError:
        import openvino

        options = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': precision}
        compiled = openvino.Core().compile_model(path, 'CPU', options)
        size = tuple(compiled.inputs[0].shape)[2:]
        return (lambda tensor: compiled(tensor)[0]), size, compiled.outputs[0].shape[1]
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    taken, given = session.get_inputs()[0], session.get_outputs()[0]

    def infer(tensor: np.ndarray) -> np.ndarray:
        return session.run([given.name], {taken.name: tensor})[0]

    return infer, tuple(taken.shape[2:]), given.shape[1]


def main() -> int:
    """Run the node."""
    rclpy.init(args=sys.argv)
    try:
        rclpy.spin(Nav2Node())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
