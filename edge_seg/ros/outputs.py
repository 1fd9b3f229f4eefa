"""The image outputs of the segmentation node: who listens, what is computed, what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
from edge_seg.core.overlay import blend_overlay
from edge_seg.core.palette import color_mask
from edge_seg.core.values import DecodedImage, LabelArray, Size, UInt8Array
from edge_seg.errors import DropReason, FrameRejected, InferenceFailed
from edge_seg.ros.conversions import compressed_message, ImageMessage
from edge_seg.ros.publishing import MiddlewareRefused
from edge_seg.ros.qos import image_qos, reliability_named
from edge_seg.runtime.frames.serving import Segmentation
from edge_seg.runtime.frames.worker import Wanted
from edge_seg.runtime.parameters.settings import SegmentationSettings
import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class ImageTopic:
    """One output and, with an extension, its compressed twin."""

    def __init__(self, node: Node, name: str, qos: QoSProfile, *, extension: str = '') -> None:
        self._node = node
        self._extension = extension
        self._messages: dict[str, ImageMessage] = {}
        self._raw = node.create_publisher(Image, f'~/{name}', qos)
        self._compressed: Publisher[CompressedImage] | None = None
        if extension:
            topic = f'~/{name}/compressed'
            self._compressed = node.create_publisher(CompressedImage, topic, qos)

    def subscribers(self) -> int:
        """Count the subscriptions to either form."""
        return self._raw.get_subscription_count() + self._compressed_subscribers()

    @property
    def raw_bytes(self) -> int:
        """Size of the largest image that goes out uncompressed; 0 while nobody takes it so."""
        if not self._raw.get_subscription_count():
            return 0
        # The worker may add a message meanwhile.
        return max((each.filled.nbytes for each in tuple(self._messages.values())), default=0)

    def buffer(self, encoding: str, width: int, height: int) -> Any:
        """Give the pixels of the message to publish next, to be filled in place."""
        if encoding not in self._messages:
            self._messages[encoding] = ImageMessage(encoding)
        return self._messages[encoding].pixels(width, height)

    def publish(
        self, header: Header, encoding: str, *, lazy: bool, parameters: Sequence[int] = ()
    ) -> None:
        """Publish the filled buffer in the forms that somebody listens to.

        Raises:
            FrameRejected: the middleware does not take it.
        """
        message = self._messages[encoding]
        if not lazy or self._raw.get_subscription_count() > 0:
            self._send(self._raw, message.stamped(header))
        if self._compressed is not None and (not lazy or self._compressed_subscribers() > 0):
            encoded = self._encode(encoding, message, parameters)
            name = f'{encoding}; {self._extension} compressed'
            self._send(self._compressed, compressed_message(header, name, encoded))

    def destroy(self) -> None:
        """Withdraw the topics."""
        self._node.destroy_publisher(self._raw)
        if self._compressed is not None:
            self._node.destroy_publisher(self._compressed)

    def _send(self, publisher: Publisher[Any], message: Any) -> None:
        try:
            publisher.publish(message)
        except MiddlewareRefused as error:
            raise FrameRejected(
                DropReason.INTERNAL_ERROR,
                f'{publisher.topic_name} was not published: {error}',
                remedy='the middleware was busy for too long; see what else takes the cores',
            ) from error

    def _encode(
        self, encoding: str, message: ImageMessage, parameters: Sequence[int]
    ) -> UInt8Array:
        pixels: Any = message.filled
        if encoding == 'rgb8':
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)  # imencode wants BGR
        done, encoded = cv2.imencode(f'.{self._extension}', pixels, parameters)
        if not done:
            raise InferenceFailed(f'OpenCV could not write a {self._extension} of {encoding}')
        return np.asarray(encoded, dtype=np.uint8)

    def _compressed_subscribers(self) -> int:
        return 0 if self._compressed is None else self._compressed.get_subscription_count()


class MaskOutputs:
    """Publishes what the worker computed; ``publish`` is called from the worker's thread.

    Args:
        node: owner.
        camera: prefix of the topics under the node's name; '' for the only camera.
        settings: QoS, laziness, compression, transparency.
    """

    def __init__(self, node: Node, camera: str, settings: SegmentationSettings) -> None:
        qos = image_qos(reliability_named(settings.mask_qos))
        prefix = f'{camera}/' if camera else ''
        self._settings = settings
        self._mask = ImageTopic(node, f'{prefix}mask', qos, extension='png')
        self._confidence = ImageTopic(node, f'{prefix}confidence', qos)
        self._color = ImageTopic(node, f'{prefix}color_mask', qos, extension='png')
        self._overlay = ImageTopic(node, f'{prefix}overlay', qos, extension='jpeg')
        self._topics = (self._mask, self._confidence, self._color, self._overlay)

    def set_options(self, settings: SegmentationSettings) -> None:
        """Follow changes of lazy, overlay_alpha and the compression; from the next frame on."""
        self._settings = settings

    def wanted(self) -> Wanted:
        """Say what somebody listens to; everything, when the node is not lazy."""
        if not self._settings.lazy:
            return Wanted(mask=True, confidence=True, color_mask=True, overlay=True)
        return Wanted(*(topic.subscribers() > 0 for topic in self._topics))

    def subscribers(self) -> int:
        """Count the subscriptions to any output."""
        return sum(topic.subscribers() for topic in self._topics)

    @property
    def largest_bytes(self) -> int:
        """Size of the largest image that goes out uncompressed; 0 while there is none."""
        return max(topic.raw_bytes for topic in self._topics)

    def labels(self, size: Size, dtype: npt.DTypeLike) -> LabelArray:
        """Give the pixels of the next mask message."""
        encoding = 'mono8' if dtype == np.uint8 else 'mono16'
        return cast('LabelArray', self._mask.buffer(encoding, *size))

    def confidence(self, size: Size) -> UInt8Array:
        """Give the pixels of the next confidence message."""
        return cast('UInt8Array', self._confidence.buffer('mono8', *size))

    def publish(
        self, header: Header, image: DecodedImage, result: Segmentation, wanted: Wanted
    ) -> None:
        """Publish every wanted output of one frame, the mask first.

        Labels and confidence are in their messages already: ``labels`` and ``confidence`` gave
        the buffers that the model wrote to.
        """
        settings = self._settings
        lazy = settings.lazy
        height, width = result.labels.shape
        png = (cv2.IMWRITE_PNG_COMPRESSION, settings.png_compression)
        if wanted.mask:
            encoding = 'mono8' if result.labels.dtype == np.uint8 else 'mono16'
            self._mask.publish(header, encoding, lazy=lazy, parameters=png)
        if wanted.confidence and result.confidence is not None:
            self._confidence.publish(header, 'mono8', lazy=lazy)
        if wanted.color_mask or wanted.overlay:
            colors = self._color.buffer('rgb8', width, height)
            color_mask(result.labels, result.palette, out=colors)
        if wanted.color_mask:
            self._color.publish(header, 'rgb8', lazy=lazy, parameters=png)
        if wanted.overlay:
            overlay = self._overlay.buffer('rgb8', width, height)
            alpha = settings.overlay_alpha
            blend_overlay(image, colors, alpha=alpha, labels=result.labels, out=overlay)
            jpeg = (cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality)
            self._overlay.publish(header, 'rgb8', lazy=lazy, parameters=jpeg)

    def destroy(self) -> None:
        """Withdraw the topics."""
        for topic in self._topics:
            topic.destroy()
