"""The golden sample: an image with known labels that a model must get right before it serves."""

from pathlib import Path
from typing import Any

import cv2
from edge_seg.core.unpack import measure
from edge_seg.core.values import DecodedImage
from edge_seg.errors import FrameRejected, IntegrityError, LoadStage, ModelRejected
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
import numpy as np

LARGEST_FILE_BYTES = 64 << 20


def check_golden(package: ModelPackage, model: ServingModel) -> None:
    """Compare a model with its golden sample, when the manifest has one.

    Raises:
        IntegrityError: the sample cannot be read or is larger than a camera image may be, image
            and labels differ in size, or nothing is labelled.
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
    not_compared = np.iinfo(expected.dtype).max  # of these pixels nobody says what they are
    known = expected != not_compared
    if not known.any():
        raise IntegrityError(
            f'{golden.labels.path} of {package.identity} has no label',
            expected=f'class ids; {not_compared} says that a pixel is not compared',
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
    """Unpack an image of a sane size: this happens in the process that serves frames."""
    size = path.stat().st_size
    if size > LARGEST_FILE_BYTES:
        raise IntegrityError(
            f'the golden sample {path} has {size >> 20} MiB',
            expected=f'at most {LARGEST_FILE_BYTES >> 20} MiB',
        )
    file = path.read_bytes()
    try:
        measure(path.suffix, file)
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    except FrameRejected as refusal:
        raise IntegrityError(
            f'the golden sample {path} is {refusal.met}',
            expected=refusal.expected or 'a JPEG or a PNG',
        ) from refusal
    except cv2.error:
        pixels = None
    if pixels is None:
        raise IntegrityError(
            f'the golden sample {path} cannot be decompressed', expected='an intact JPEG or PNG'
        )
    return pixels
