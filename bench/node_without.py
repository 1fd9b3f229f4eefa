"""The segmentation node without a lever that is in its code; for `edge_seg bench levers`.

EDGE_SEG_WITHOUT names it: allocator, reader or message. Measured, not shipped.
"""

import os
import sys
from types import ModuleType
from typing import Any

from edge_seg.core.values import DecodedImage, Size
from edge_seg.ros import camera_port, frame_flow, process, segmentation_node
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.runtime.frames.serving import Segmentation
from edge_seg.runtime.frames.worker import Wanted
import numpy as np
import numpy.typing as npt
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Header


def replace(module: ModuleType, name: str, stand_in: object) -> None:
    """Put something in the place of a name that a module uses."""
    if not hasattr(module, name):
        raise AttributeError(f'{module.__name__} has no {name} any more; mend {__file__}')
    setattr(module, name, stand_in)


def without_allocator() -> None:
    """Leave the C library as it is."""
    replace(process, 'keep_image_buffers_on_the_heap', lambda: True)


class ByExecutor:
    """Stands in for the FrameReader; the executor calls the callbacks of the subscriptions."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.group = MutuallyExclusiveCallbackGroup()

    def start(self) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """Stop nothing."""

    def attach(self, *_: Any) -> None:
        """Leave it to the executor."""

    def detach(self, *_: Any) -> None:
        """Leave it to the executor."""


def without_reader() -> None:
    """Take frames in callbacks of the executor."""
    replace(frame_flow, 'FrameReader', ByExecutor)


class CopyingOutputs(MaskOutputs):
    """Makes an array for each mask, and a message that it is copied into."""

    def labels(self, size: Size, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Give fresh memory."""
        return np.empty((size.height, size.width), dtype)

    def publish(
        self, header: Header, image: DecodedImage, result: Segmentation, wanted: Wanted
    ) -> None:
        """Copy the mask into a message of its own."""
        self._mask._messages.clear()  # noqa: SLF001
        height, width = result.labels.shape
        np.copyto(super().labels(Size(width, height), result.labels.dtype), result.labels)
        super().publish(header, image, result, wanted)


def without_message() -> None:
    """Copy each mask into a new message."""
    replace(camera_port, 'MaskOutputs', CopyingOutputs)


def main() -> int:
    """Run the node."""
    levers = {
        'allocator': without_allocator,
        'reader': without_reader,
        'message': without_message,
    }
    levers[os.environ['EDGE_SEG_WITHOUT']]()
    return segmentation_node.main()


if __name__ == '__main__':
    sys.exit(main())
