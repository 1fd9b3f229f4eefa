"""The golden sample: an image with known labels that a model must get right before it serves."""

from pathlib import Path
from typing import Any

import cv2
from edge_seg.core.values import DecodedImage
from edge_seg.errors import IntegrityError, LoadStage, ModelRejected
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
import numpy as np

NOT_COMPARED = 255
"""Label of the pixels of which nobody says what they are."""


def check_golden(package: ModelPackage, model: ServingModel) -> None:
    """Compare a model with its golden sample, when the manifest has one.

    Raises:
        IntegrityError: the sample cannot be read, image and labels differ in size, or nothing is
            labelled.
        ModelRejected: too few pixels agree.
        InferenceFailed: the backend failed.
    """
    golden = package.manifest.golden
    if golden is None:
        return
    pixels = _read(package.path_of(golden.image), cv2.IMREAD_COLOR)
    expected = _read(package.path_of(golden.labels), cv2.IMREAD_UNCHANGED)
    if expected.shape != pixels.shape[:2]:
        raise IntegrityError(
            f'{golden.labels.path} of {package.identity} is {expected.shape}',
            expected=f'{pixels.shape[:2]}, the size of {golden.image.path}, in one channel',
        )
    image = DecodedImage(pixels=pixels, order='bgr')
    found = model.segment(image, confidence=False, watch=Stopwatch()).labels
    known = expected != NOT_COMPARED
    if not known.any():
        raise IntegrityError(
            f'{golden.labels.path} of {package.identity} has no label',
            expected=f'class ids; {NOT_COMPARED} says that a pixel is not compared',
        )
    agreement = float(np.mean(found[known] == expected[known]))
    if agreement < golden.minimum_agreement:
        raise ModelRejected(
            LoadStage.WARM,
            f'{agreement:.1%} of the golden sample {golden.image.path} came out right',
            expected=f'at least {golden.minimum_agreement:.1%}',
            remedy='the weights, the normalisation or the class order differ from the manifest',
        )


def _read(path: Path, flags: int) -> Any:
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        raise IntegrityError(f'the golden sample {path} is no image that OpenCV reads')
    return pixels
