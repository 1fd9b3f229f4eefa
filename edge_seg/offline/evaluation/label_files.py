"""Pictures and label maps on disk: how one is read, and which belongs to which."""

from dataclasses import dataclass
from pathlib import Path

import cv2
from edge_seg.core.decode import decode_compressed
from edge_seg.core.values import CompressedImage, DecodedImage, LabelArray, Size, UNLABELLED_8
from edge_seg.errors import FrameRejected, SourceUnavailable
from edge_seg.offline.evaluation.indexed_png import as_gray
from edge_seg.sources.image_folder import (
    decode_bytes,
    IMAGE_SUFFIXES,
    LABEL_FOLDER,
    natural_key,
    read_bytes,
)
import numpy as np

IMAGE_FOLDER = 'images'
LABEL_ENDING = '_labels'
EXPECTED = (
    'FOLDER/images/X.jpg with FOLDER/labels/X.png, FOLDER/X.jpg with FOLDER/labels/X.png, or '
    'FOLDER/X.jpg with FOLDER/X_labels.png; --labels, --image-ending and --label-ending say '
    'otherwise'
)


@dataclass(frozen=True, slots=True)
class PairingRule:
    """How a label map is found.

    The labels of ``images/a/X<image_ending>.jpg`` are ``<labels>/a/X<label_ending>.png``.

    Attributes:
        labels: folder of the label maps; None = ``labels`` beside or below the pictures, else
            the pictures' own folder, with the ending ``_labels``.
        image_ending: what the names of pictures have before the dot, e.g. '_leftImg8bit'.
        label_ending: the same of label maps, e.g. '_gtFine_labelTrainIds'.
    """

    labels: Path | None = None
    image_ending: str = ''
    label_ending: str = ''

    def elsewhere(self, folder: Path, other: Path) -> 'PairingRule':
        """Tell label maps from pictures in ``other`` as this rule does in ``folder``.

        Its pictures may be named in another way: it need not be of the same data set.
        """
        labels = None
        if self.labels is not None and self.labels.resolve().is_relative_to(folder.resolve()):
            there = other / self.labels.resolve().relative_to(folder.resolve())
            labels = there if there.is_dir() else None
        return PairingRule(labels, label_ending=self.label_ending)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and its label map, None when it has none."""

    picture: Path
    labels: Path | None


def find_pictures(folder: Path, rule: PairingRule) -> tuple[LabelledPicture, ...]:
    """List the pictures of a folder, subfolders too, in natural order, with their label maps.

    Raises:
        SourceUnavailable: no folder, no pictures, or no folder of label maps where one is named.
    """
    if rule.labels is not None and not rule.labels.is_dir():
        raise SourceUnavailable(f'{rule.labels} is no folder', expected='a folder of label maps')
    root = folder / IMAGE_FOLDER if (folder / IMAGE_FOLDER).is_dir() else folder
    labels, ending = _where_labels_are(folder, root, rule)
    files = [file for file in root.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES]
    maps = _label_maps(files, root, labels, ending)
    pictures = [
        file for file in files if file.stem.endswith(rule.image_ending) and file not in maps
    ]
    if not pictures:
        raise SourceUnavailable(
            f'{root} has no pictures',
            expected='names ending in '
            + ', '.join(f'{rule.image_ending}{suffix}' for suffix in IMAGE_SUFFIXES),
        )
    pictures.sort(key=lambda file: natural_key(str(file.relative_to(root))))
    return tuple(
        LabelledPicture(file, _labels_of(file, root, labels, rule.image_ending, ending))
        for file in pictures
    )


def find_picture(file: Path, rule: PairingRule) -> LabelledPicture:
    """Give a single picture with its label map."""
    root = file.parent
    labels, ending = _where_labels_are(root, root, rule)
    return LabelledPicture(file, _labels_of(file, root, labels, rule.image_ending, ending))


def _label_maps(files: list[Path], root: Path, labels: Path, ending: str) -> set[Path]:
    """Tell label maps from the pictures among which they lie, whether they have one or not."""
    top, place = root.resolve(), labels.resolve()
    folders = [each for each in (place, top / LABEL_FOLDER) if top in each.parents]
    below = [root / each.relative_to(top) for each in folders]
    maps = {file for file in files if any(folder in file.parents for folder in below)}
    if place == top and ending:
        maps |= {file for file in files if file.stem.endswith((ending, LABEL_ENDING))}
    elif place == top:  # X.png beside X.jpg
        pngs = {file for file in files if file.suffix.lower() == '.png'}
        photographs = {file.with_suffix('') for file in files if file not in pngs}
        maps |= {file for file in pngs if file.with_suffix('') in photographs}
    return maps


def _where_labels_are(folder: Path, root: Path, rule: PairingRule) -> tuple[Path, str]:
    if rule.labels is not None:
        return rule.labels, rule.label_ending
    for labels in (folder / LABEL_FOLDER, root / LABEL_FOLDER, root.parent / LABEL_FOLDER):
        if labels.is_dir():
            return labels, rule.label_ending
    return root, rule.label_ending or LABEL_ENDING


def _labels_of(
    picture: Path, root: Path, labels: Path, image_ending: str, label_ending: str
) -> Path | None:
    stem = picture.stem[: len(picture.stem) - len(image_ending)]
    file = labels / picture.parent.relative_to(root) / f'{stem}{label_ending}.png'
    return file if file.is_file() and file != picture else None


def require_labels(folder: Path, pictures: tuple[LabelledPicture, ...]) -> None:
    """Refuse a folder in which not every picture has a label map.

    Raises:
        SourceUnavailable: says how many have none, and names the first.
    """
    without = [each.picture for each in pictures if each.labels is None]
    if without:
        raise SourceUnavailable(
            f'{len(without)} of {len(pictures)} pictures in {folder} have no label map, '
            f'{without[0].relative_to(folder)} the first',
            expected=EXPECTED,
        )


def read_picture(file: Path) -> DecodedImage:
    """Decode a file as the node decodes it in a message: not turned by its EXIF, gray kept gray.

    Raises:
        SourceUnavailable: it cannot be read, or the node would refuse it.
    """
    try:
        return decode_compressed(CompressedImage(file.suffix[1:], read_bytes(file)))
    except FrameRejected as rejection:
        raise SourceUnavailable(
            f'{file} cannot be decoded: {rejection.met}', expected=rejection.expected
        ) from rejection


def read_labels(file: Path, *, size: Size, class_count: int) -> LabelArray:
    """Read a label map and check every id.

    Args:
        file: 8- or 16-bit gray PNG, or one of 8 bits with a colour table, of which the indices
            count.
        size: of its picture.
        class_count: classes of the model.

    Returns:
        (H, W) uint8, or uint16 for a 16-bit file; 255 and, in 16 bits, 65535 are no class.

    Raises:
        SourceUnavailable: the file cannot be read, is in colour, of another size, or has ids that
            the model does not know.
    """
    labels = np.asarray(decode_bytes(file, as_gray(read_bytes(file)), cv2.IMREAD_UNCHANGED))
    if labels.ndim != 2:
        raise SourceUnavailable(
            f'{file} is in colour',
            expected='one channel, or a colour table of 256, whose values are class ids',
            remedy='export the label maps as gray PNG',
        )
    if labels.shape != (size.height, size.width):
        raise SourceUnavailable(
            f'{file} is {labels.shape[1]}x{labels.shape[0]}',
            expected=f'{size.width}x{size.height}, the size of its picture',
        )
    ignored = (UNLABELLED_8, np.iinfo(labels.dtype).max)
    strange = [int(i) for i in np.unique(labels) if i >= class_count and int(i) not in ignored]
    if strange:
        count = int(np.count_nonzero(np.isin(labels, strange)))
        raise SourceUnavailable(
            f'{file} has the id {", ".join(map(str, strange[:5]))} on {count} pixels',
            expected=f'0 to {class_count - 1}, the classes of the model, or 255 for no class',
            remedy='map the ids of the data set to those of the model first',
        )
    return labels
