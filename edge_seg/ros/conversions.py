"""Converts between ROS messages and the package's own values, without copying pixels."""

from array import array
from collections.abc import Callable
import json
import sys

from builtin_interfaces.msg import Time
from edge_seg.core.decode import unsupported_encoding
from edge_seg.core.values import (
    AnyArray,
    ClassInfo,
    CompressedImage,
    DecodedImage,
    RawImage,
    UInt8Array,
)
from edge_seg.errors import DropReason, FrameRejected
import numpy as np
import sensor_msgs.msg
import std_msgs.msg

NANOSECONDS = 1_000_000_000


def raw_image(message: sensor_msgs.msg.Image) -> RawImage:
    """Look at an Image message as a value; the pixels stay where they are."""
    return RawImage(
        width=message.width,
        height=message.height,
        encoding=message.encoding,
        step=message.step,
        data=message.data,
        is_bigendian=bool(message.is_bigendian),
    )


def compressed_image(message: sensor_msgs.msg.CompressedImage) -> CompressedImage:
    """Look at a CompressedImage message as a value; the bytes stay where they are."""
    return CompressedImage(format=message.format, data=message.data)


def seconds(stamp: Time) -> float:
    """Give a stamp in seconds; 0 for the unset stamp."""
    return float(stamp.sec + stamp.nanosec / NANOSECONDS)


class ImageMessage:
    """One Image message and the NumPy array that lies over its pixels, used again and again.

    rclpy copies a message while publishing it, so the buffer is free again when ``publish``
    returns. ``data`` is an array.array('B'): any other type sends rclpy through a Python loop
    over every byte (https://github.com/ros-perception/vision_opencv/issues/304).
    """

    def __init__(self, encoding: str) -> None:
        self._channels = {'mono8': 1, 'mono16': 1, 'rgb8': 3}[encoding]
        self._dtype = np.dtype(np.uint16 if encoding == 'mono16' else np.uint8)
        self.filled: AnyArray = np.empty((0, 0), dtype=self._dtype)
        """The writable pixels, (H, W) or (H, W, 3), as ``pixels`` gave them last."""
        self.message = sensor_msgs.msg.Image(
            encoding=encoding, is_bigendian=int(sys.byteorder == 'big')
        )

    def pixels(self, width: int, height: int) -> AnyArray:
        """Give the writable pixels, (H, W) or (H, W, 3), for an image of this size."""
        if self.message.width != width or self.message.height != height:
            step = width * self._channels * self._dtype.itemsize
            self.message.data = array('B', bytes(step * height))
            shape = (height, width, 3) if self._channels == 3 else (height, width)
            # Over the message's own array: assigning to `data` copies where fields go unchecked.
            self.filled = np.frombuffer(self.message.data, dtype=self._dtype).reshape(shape)
            self.message.width, self.message.height, self.message.step = width, height, step
        return self.filled

    def stamped(self, header: std_msgs.msg.Header) -> sensor_msgs.msg.Image:
        """Give the message with this header."""
        self.message.header = header
        return self.message


def compressed_message(
    header: std_msgs.msg.Header, name: str, encoded: UInt8Array
) -> sensor_msgs.msg.CompressedImage:
    """Wrap encoded bytes; ``name`` is the format, e.g. 'mono8; png compressed'."""
    return sensor_msgs.msg.CompressedImage(
        header=header, format=name, data=array('B', encoded.tobytes())
    )


def labels_json(model: str, classes: tuple[ClassInfo, ...], unlabelled: int) -> str:
    """Describe the classes of a mask for programs without vision_msgs."""
    return json.dumps(
        {
            'model': model,
            'unlabelled': unlabelled,
            'classes': [
                {'id': index, 'name': info.name, 'color': list(info.color)}
                for index, info in enumerate(classes)
            ],
        }
    )


def cv_bridge_decoder() -> Callable[[RawImage], DecodedImage] | None:
    """Give a decoder for rare encodings when cv_bridge is installed, else None.

    An import can also fail with AttributeError: cv_bridge built against NumPy 1 under NumPy 2
    (https://github.com/ros-perception/vision_opencv/issues/535).
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):
        return None
    bridge = CvBridge()

    def decode(image: RawImage) -> DecodedImage:
        message = sensor_msgs.msg.Image(
            width=image.width,
            height=image.height,
            encoding=image.encoding,
            step=image.step,
            is_bigendian=int(image.is_bigendian),
            data=image.data,
        )
        try:
            pixels = bridge.imgmsg_to_cv2(message, desired_encoding='rgb8')
        except CvBridgeError as error:  # a TypeError too
            raise unsupported_encoding(image.encoding) from error
        except (ValueError, TypeError) as error:
            raise FrameRejected(
                DropReason.UNDECODABLE,
                f'cv_bridge cannot convert {image.encoding}: {error}',
                remedy='publish rgb8 or bgr8',
            ) from error
        return DecodedImage(pixels=pixels, order='rgb')

    return decode
