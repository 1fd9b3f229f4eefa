"""The yardstick: a segmentation node as a competent user writes it in an afternoon.

Default transport, a queue of ten, everything in one callback: normalise and transpose in NumPy,
a synchronous call of OpenVINO, argmax in NumPy, nearest-neighbour resize. With ``outputs: all`` it
also publishes confidence and overlay, by softmax, as the node of the Nav2 tutorial does. It is
measured, not shipped; it must stay as good as plain code gets, and no better.
"""

from array import array
import sys

import cv2
import numpy as np
import openvino
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image

MEAN = np.array([0.5, 0.5, 0.5], np.float32)
STD = np.array([0.25, 0.25, 0.25], np.float32)


class NaiveNode(Node):
    """Answers each image in its callback."""

    def __init__(self) -> None:
        super().__init__('naive')
        path = str(self.declare_parameter('network', '').value)
        self._all = self.declare_parameter('outputs', 'mask').value == 'all'
        core = openvino.Core()
        self._network = core.compile_model(path, 'CPU', {'PERFORMANCE_HINT': 'LATENCY'})
        _, _, self._height, self._width = self._network.inputs[0].shape
        classes = self._network.outputs[0].shape[1]
        self._colors = np.random.default_rng(0).integers(0, 256, (classes, 3), np.uint8)
        self._mask = self.create_publisher(Image, 'naive/mask', 10)
        self._confidence = self.create_publisher(Image, 'naive/confidence', 10)
        self._overlay = self.create_publisher(Image, 'naive/overlay', 10)
        self.create_subscription(Image, 'image', self._on_image, 10)

    def _on_image(self, message: Image) -> None:
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        small = cv2.resize(image, (self._width, self._height))
        normalised = (small.astype(np.float32) / 255.0 - MEAN) / STD
        tensor = np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])
        scores = self._network(tensor)[0][0]
        size = (message.width, message.height)
        labels = np.argmax(scores, axis=0).astype(np.uint8)
        mask = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        self._publish(self._mask, message, mask, 'mono8')
        if self._all:
            powers = np.exp(scores - scores.max(axis=0))
            share = (powers.max(axis=0) / powers.sum(axis=0) * 255).astype(np.uint8)
            self._publish(self._confidence, message, cv2.resize(share, size), 'mono8')
            overlay = (0.5 * image + 0.5 * self._colors[mask]).astype(np.uint8)
            self._publish(self._overlay, message, overlay, 'rgb8')

    def _publish(self, publisher, source: Image, pixels: np.ndarray, encoding: str) -> None:
        channels = 3 if encoding == 'rgb8' else 1
        message = Image(
            header=source.header,
            width=source.width,
            height=source.height,
            encoding=encoding,
            step=source.width * channels,
        )
        message.data = array('B', pixels.tobytes())
        publisher.publish(message)


def main() -> int:
    """Run the node."""
    rclpy.init(args=sys.argv)
    try:
        rclpy.spin(NaiveNode())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
