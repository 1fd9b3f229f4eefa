"""The topics of the camera node: message buffers that are filled ahead and sent when due."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, cast

import cv2
from edge_seg.core.encode import compress, compressed_format, encode, layout
from edge_seg.core.values import CompressedImage, RawImage, Size, UInt8Array
from edge_seg.ros.camera_info import pinhole_info
from edge_seg.ros.publishing import publish_or_warn
from edge_seg.ros.qos import image_qos, reliability_named
from edge_seg.runtime.parameters.camera_settings import CameraSettings
from edge_seg.sources.base import SourceFrame
import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
import sensor_msgs.msg


class MessageBuffer:
    """The data of an Image message and the NumPy array over it, used again while its size lasts.

    rclpy copies a message while publishing it. ``data`` must be an array.array('B'): any other
    type sends rclpy through a Python loop over every byte.
    """

    def __init__(self, message: sensor_msgs.msg.Image) -> None:
        self.message = message
        self._bytes = np.empty(0, np.uint8)

    def bytes(self, size: int) -> UInt8Array:
        """Give ``size`` writable bytes, (size,) uint8, which are the message's data."""
        if self._bytes.size != size or not size:
            self.message.data = array('B', bytes(size))
            # Read back: the setter may have copied.
            data = self.message.data
            self._bytes = np.frombuffer(data, np.uint8) if size else np.empty(0, np.uint8)
        return self._bytes

    def set_layout(self, size: Size, encoding: str, step: int) -> None:
        """Note size and layout in the message."""
        self.message.width, self.message.height = size
        self.message.encoding, self.message.step = encoding, step


class CameraTopics:
    """Sends frames to those of image, image/compressed, labels and camera_info that are asked for.

    Args:
        node: owner.
        settings: as checked at configure.
        first: the source's first frame, which tells what it has to offer.
    """

    def __init__(self, node: Node, settings: CameraSettings, first: SourceFrame) -> None:
        self._node = node
        self._settings = settings
        self._stamp_ns: int | None = None
        qos = image_qos(reliability_named(settings.qos))
        recorded = not isinstance(first.image, np.ndarray)
        compressed = isinstance(first.image, CompressedImage) or (
            bool(settings.compressed) and not recorded
        )
        name, kind = ('image', sensor_msgs.msg.Image)
        if compressed:
            name, kind = ('image/compressed', sensor_msgs.msg.CompressedImage)
        self._image = node.create_publisher(kind, name, qos)
        self._info = node.create_publisher(sensor_msgs.msg.CameraInfo, 'camera_info', qos)
        self._labels: Publisher[Any] | None = None
        if settings.publish_labels and not recorded:
            self._labels = node.create_publisher(sensor_msgs.msg.Image, 'labels', qos)
        self._raw = MessageBuffer(sensor_msgs.msg.Image())
        self._compressed = sensor_msgs.msg.CompressedImage()
        self._label_buffer = MessageBuffer(sensor_msgs.msg.Image())
        self._info_message = sensor_msgs.msg.CameraInfo()
        self._info_sizes: tuple[Size, Size] | None = None
        self._ready: list[tuple[Publisher[Any], Any]] = []

    @property
    def topic(self) -> str:
        """Full name of the image topic."""
        return str(self._image.topic_name)

    def subscribers(self) -> int:
        """Count the subscriptions to any of the topics."""
        return sum(publisher.get_subscription_count() for publisher in self._publishers())

    def wanted(self) -> bool:
        """Say whether anybody listens to any of the topics."""
        return any(publisher.get_subscription_count() > 0 for publisher in self._publishers())

    def prepare(self, frame: SourceFrame) -> None:
        """Fill the messages that somebody listens to."""
        self._stamp_ns = frame.stamp_ns if self._settings.stamps == 'source' else None
        self._ready.clear()
        if isinstance(frame.image, RawImage):
            self._prepare_recorded(frame.image)
        elif isinstance(frame.image, CompressedImage):
            self._offer(self._image, lambda: self._recorded_file(cast('Any', frame.image)))
        else:
            self._prepare_pixels(frame.image, frame.labels)

    def publish(self) -> bool:
        """Stamp and send the messages that ``prepare`` filled, the image first.

        Returns:
            False when the middleware refused one of them.
        """
        if self._stamp_ns is None:
            stamp = self._node.get_clock().now().to_msg()
        else:
            stamp = Time(nanoseconds=self._stamp_ns).to_msg()
        sent = []
        for publisher, message in self._ready:
            message.header.stamp = stamp
            message.header.frame_id = self._settings.frame_id
            sent.append(publish_or_warn(self._node, publisher, message))
        return all(sent)

    def destroy(self) -> None:
        """Withdraw the topics."""
        for publisher in self._publishers():
            self._node.destroy_publisher(publisher)

    def _publishers(self) -> tuple[Publisher[Any], ...]:
        always = (self._image, self._info)
        return always if self._labels is None else (*always, self._labels)

    def _offer(self, publisher: Publisher[Any], fill: Callable[[], Any]) -> None:
        if publisher.get_subscription_count() > 0:
            self._ready.append((publisher, fill()))

    def _prepare_pixels(self, image: UInt8Array, labels: UInt8Array | None) -> None:
        size = Size(self._settings.width, self._settings.height)
        original = Size(image.shape[1], image.shape[0])
        self._offer(self._image, lambda: self._image_message(_scaled(image, size)))
        self._offer(self._info, lambda: self._camera_info(size, original))
        if labels is not None and self._labels is not None:
            self._offer(self._labels, lambda: self._label_message(labels, size))

    def _prepare_recorded(self, image: RawImage) -> None:
        size = Size(image.width, image.height)
        self._offer(self._image, lambda: self._recorded_image(image))
        self._offer(self._info, lambda: self._camera_info(size, size))

    def _image_message(self, pixels: UInt8Array) -> Any:
        settings = self._settings
        if settings.compressed:
            form, quality = settings.compressed, settings.jpeg_quality
            file = compress(pixels, settings.encoding, form=form, quality=quality)
            self._compressed.format = compressed_format(settings.encoding, form)
            self._compressed.data = array('B', file.tobytes())
            return self._compressed
        size = Size(pixels.shape[1], pixels.shape[0])
        plan = layout(settings.encoding, *size)
        self._raw.set_layout(size, settings.encoding, plan.step)
        encode(pixels, settings.encoding, out=self._raw.bytes(plan.size))
        return self._raw.message

    def _recorded_image(self, image: RawImage) -> Any:
        """Pass a recorded image on as it is, faults included: that is what a bag is good for."""
        data = np.frombuffer(memoryview(cast('bytes', image.data)), np.uint8)
        self._raw.set_layout(Size(image.width, image.height), image.encoding, image.step)
        self._raw.message.is_bigendian = int(image.is_bigendian)
        np.copyto(self._raw.bytes(data.size), data)
        return self._raw.message

    def _recorded_file(self, image: CompressedImage) -> Any:
        self._compressed.format = image.format
        self._compressed.data = array('B', bytes(memoryview(cast('bytes', image.data))))
        return self._compressed

    def _label_message(self, labels: UInt8Array, size: Size) -> Any:
        self._label_buffer.set_layout(size, 'mono8', size.width)
        out = self._label_buffer.bytes(size.width * size.height).reshape(size.height, size.width)
        cv2.resize(labels, size, dst=out, interpolation=cv2.INTER_NEAREST)
        return self._label_buffer.message

    def _camera_info(self, size: Size, original: Size) -> Any:
        if self._info_sizes != (size, original):
            fov = self._settings.horizontal_fov_deg
            self._info_message = pinhole_info(size, original=original, horizontal_fov_deg=fov)
            self._info_sizes = (size, original)
        return self._info_message


def _scaled(image: UInt8Array, size: Size) -> UInt8Array:
    if (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = image.shape[1] > size.width or image.shape[0] > size.height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
