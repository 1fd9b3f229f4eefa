"""The yardstick: a segmentation node as a competent user writes it in an afternoon.

Default transport, a queue of ten, everything in one callback: normalise and transpose in NumPy,
a synchronous call of OpenVINO, argmax in NumPy, nearest-neighbour resize. It is measured, not
shipped; it must stay as good as plain code gets, and no better.
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
        precision = str(self.declare_parameter('precision', 'f32').value)  # as edge_seg has it
        options = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': precision}
        self._network = openvino.Core().compile_model(path, 'CPU', options)
        _, _, self._height, self._width = self._network.inputs[0].shape
        self._mask = self.create_publisher(Image, 'naive/mask', 10)
        self.create_subscription(Image, 'image', self._on_image, 10)

    def _on_image(self, message: Image) -> None:
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        small = cv2.resize(image, (self._width, self._height))
        normalised = (small.astype(np.float32) / 255.0 - MEAN) / STD
        tensor = np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis])
        scores = self._network(tensor)[0][0]
        labels = np.argmax(scores, axis=0).astype(np.uint8)
        size = (message.width, message.height)
        mask = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        self._mask.publish(
            Image(
                header=message.header,
                width=message.width,
                height=message.height,
                encoding='mono8',
                step=message.width,
                data=array('B', mask.tobytes()),
            )
        )


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
