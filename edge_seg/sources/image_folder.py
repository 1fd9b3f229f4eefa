"""Frames from a folder of pictures, in natural order, with label maps where there are any."""

from __future__ import annotations

from pathlib import Path
import re
from typing import cast

import cv2
from edge_seg.core.values import UInt8Array
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.base import FrameSource, SourceFrame
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
"""File name endings, lower or upper case, that count as pictures."""

LABEL_FOLDER = 'labels'


class ImageFolderSource(FrameSource):
    """The JPEG and PNG files of one folder; `img2` comes before `img10`.

    Ground truth is an 8-bit PNG of class ids with the picture's name and size, in `labels/`
    inside the folder or beside it. Pictures without one have no labels.
    """

    def __init__(self, path: Path, *, loop: bool) -> None:
        """List the pictures of folder `path`; a single picture is a folder of one.

        Raises:
            SourceUnavailable: nothing is there, or no picture in it.
        """
        self._files = _pictures(path)
        folder = path if path.is_dir() else path.parent
        self._labels = _label_files(folder, self._files)
        self._loop = loop
        self._next = 0

    def read(self) -> SourceFrame | None:
        """Decode the next picture to RGB.

        Raises:
            SourceUnavailable: a file cannot be decoded, or its labels do not fit it.
        """
        if self._next >= len(self._files):
            if not self._loop or not self._files:
                return None
            self._next = 0
        file = self._files[self._next]
        self._next += 1
        image = decode_file(file, cv2.IMREAD_COLOR)
        labels = None
        if file in self._labels:
            labels = _read_labels(self._labels[file], picture=image)
        return SourceFrame(
            image=cast(UInt8Array, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)), labels=labels
        )

    def close(self) -> None:
        """Forget the list of pictures."""
        self._files = []


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sorting key in which numbers count as numbers: 'a2' before 'a10'."""
    parts = re.findall(r'\d+|\D+', name.lower())
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]


def _pictures(path: Path) -> list[Path]:
    if not path.exists():
        raise SourceUnavailable(
            f'{path} does not exist',
            expected='a folder of JPEG or PNG files',
            remedy='correct the path',
        )
    candidates = path.iterdir() if path.is_dir() else [path]
    files = [file for file in candidates if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise SourceUnavailable(
            f'{path} has no pictures',
            expected=f'files ending in {", ".join(IMAGE_SUFFIXES)}',
            remedy='name the folder that holds the pictures themselves, not one above it',
        )
    return sorted(files, key=lambda file: natural_key(file.name))


def _label_files(folder: Path, pictures: list[Path]) -> dict[Path, Path]:
    """Map pictures to their label maps; those inside the folder go before those beside it."""
    inside, beside = folder / LABEL_FOLDER, folder.absolute().parent / LABEL_FOLDER
    for labels in (inside, beside):
        pairs = {picture: labels / f'{picture.stem}.png' for picture in pictures}
        found = {picture: file for picture, file in pairs.items() if file.is_file()}
        if found and labels != folder.absolute():
            return found
    return {}


def decode_file(file: Path, flags: int) -> UInt8Array:
    """Decode a picture with cv2.imdecode.

    Raises:
        SourceUnavailable: it cannot be read or decoded.
    """
    return decode_bytes(file, read_bytes(file), flags)


def read_bytes(file: Path) -> bytes:
    """Return the content of a file.

    Raises:
        SourceUnavailable: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise SourceUnavailable(
            f'{file} cannot be read: {error.strerror}',
            expected='a readable file',
            remedy='check that it still exists and that its permissions let you read it',
        ) from error


def decode_bytes(file: Path, content: bytes, flags: int) -> UInt8Array:
    """Decode the content of a picture with cv2.imdecode; `file` is for the message.

    Raises:
        SourceUnavailable: it cannot be decoded.
    """
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if pixels is None:
        raise SourceUnavailable(
            f'{file} cannot be decoded',
            expected='a whole JPEG or PNG file',
            remedy='replace the file or take it out of the folder',
        )
    return cast(UInt8Array, pixels)


def _read_labels(file: Path, *, picture: UInt8Array) -> UInt8Array:
    labels = decode_file(file, cv2.IMREAD_UNCHANGED)
    if labels.dtype != np.uint8 or labels.shape != picture.shape[:2]:
        height, width = picture.shape[:2]
        raise SourceUnavailable(
            f'{file} is {labels.dtype} with shape {labels.shape}',
            expected=f'one 8-bit channel of class ids, {width}x{height} like its picture',
            remedy='export the label maps as gray PNG (not in colour) at the size of the pictures',
        )
    return labels
