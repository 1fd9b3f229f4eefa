"""A frame that got its mask, as told to whoever judges the model."""

from dataclasses import dataclass

from edge_seg.core.values import DecodedImage, LabelArray


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame that got its mask.

    Attributes:
        header: header of the camera image, as it came.
        image: the camera image.
        labels: (H, W), the mask; valid until the next frame of this camera.
        latency_s: how long segmenting took.
    """

    header: object
    image: DecodedImage
    labels: LabelArray
    latency_s: float
