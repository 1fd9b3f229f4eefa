"""Sample frames with the mask that the model makes of them, ready to stand in a page."""

from dataclasses import dataclass

import cv2
from edge_seg.core.overlay import blend_overlay, rgb_pixels
from edge_seg.core.palette import color_mask, Palette
from edge_seg.core.values import DecodedImage, LabelArray, UInt8Array
from edge_seg.errors import EdgeSegError, SourceUnavailable
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.offline.evaluation.frames import Frame, FrameRequest, good_frames, open_frames
from edge_seg.offline.evaluation.running import running_model, RunningModel, RunOptions
from edge_seg.offline.evaluation.scoring import labels_fit
import numpy as np

WIDTH = 480
ALPHA = 0.55
QUALITY = 85


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame.

    Attributes:
        name: of the frame.
        camera: JPEG.
        overlay: JPEG, the model's mask over the image.
        truth: JPEG, the true labels over the image; None when they are not known.
    """

    name: str
    camera: bytes
    overlay: bytes
    truth: bytes | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Some frames.

    Attributes:
        frames: may be empty.
        data: what they are, in words.
        note: why there are none, '' when there are.
    """

    frames: tuple[Sample, ...]
    data: str
    note: str = ''


def draw_samples(
    stores: LayeredStore, package: ModelPackage, request: FrameRequest, options: RunOptions
) -> Samples:
    """Run a model on some frames; one that does not run here has none, and the reason.

    Raises:
        SourceUnavailable: the frames cannot be read.
    """
    if request.count < 1:
        return Samples((), '', 'none were asked for')
    frames = open_frames(request)
    try:
        with running_model(stores, package, options) as running:
            known = labels_fit(frames, running.spec)
            class_count = len(running.spec.classes) if known else 0
            drawn = tuple(
                _sample(frame, running)
                for frame in good_frames(frames, class_count, bad=[], limit=1.0)
            )
    except SourceUnavailable:
        raise
    except EdgeSegError as error:
        # A report says what is known of a model that is made for another machine, too.
        return Samples((), frames.description, f'the model does not run here: {error}')
    return Samples(drawn, frames.description)


def _sample(frame: Frame, running: RunningModel) -> Sample:
    palette = Palette(running.spec.classes)
    labels = running.segment(frame.image)
    return Sample(
        name=frame.name,
        camera=_jpeg(rgb_pixels(frame.image)),
        overlay=_painted(frame.image, labels, palette),
        truth=None if frame.labels is None else _painted(frame.image, frame.labels, palette),
    )


def _painted(image: DecodedImage, labels: LabelArray, palette: Palette) -> bytes:
    colors = color_mask(labels, palette)
    return _jpeg(blend_overlay(image, colors, alpha=ALPHA, labels=labels))


def _jpeg(pixels: UInt8Array) -> bytes:
    height, width = pixels.shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return content.tobytes()
