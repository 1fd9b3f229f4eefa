"""Which label map belongs to which picture, and what is refused."""

from pathlib import Path
import struct
import tempfile
import zlib

import cv2
from edge_seg.core.values import Size
from edge_seg.errors import SourceUnavailable
from edge_seg.offline.evaluation.indexed_png import as_gray
from edge_seg.offline.evaluation.label_files import (
    find_pictures,
    PairingRule,
    read_labels,
    require_labels,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SIZE = Size(6, 4)
BY_FOLDER = PairingRule()


def write(path: Path, *, pixels: object = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (SIZE.height, SIZE.width)
    assert cv2.imwrite(str(path), np.zeros(shape, np.uint8) if pixels is None else pixels)
    return path


def pairs(folder: Path, rule: PairingRule = BY_FOLDER) -> list[tuple[str, str | None]]:
    return [
        (
            str(each.picture.relative_to(folder)),
            None if each.labels is None else str(each.labels.relative_to(folder)),
        )
        for each in find_pictures(folder, rule)
    ]


def test_images_and_labels_lie_side_by_side_in_natural_order(tmp_path: Path) -> None:
    for name in ('b10', 'b9', 'a/c'):
        write(tmp_path / 'images' / f'{name}.jpg')
        write(tmp_path / 'labels' / f'{name}.png')
    assert pairs(tmp_path) == [
        ('images/a/c.jpg', 'labels/a/c.png'),
        ('images/b9.jpg', 'labels/b9.png'),
        ('images/b10.jpg', 'labels/b10.png'),
    ]


def test_labels_may_lie_below_the_pictures(tmp_path: Path) -> None:
    write(tmp_path / 'x.png')
    write(tmp_path / 'labels' / 'x.png')
    assert pairs(tmp_path) == [('x.png', 'labels/x.png')]


def test_labels_may_lie_between_the_pictures(tmp_path: Path) -> None:
    write(tmp_path / 'x.png')
    write(tmp_path / 'x_labels.png')
    assert pairs(tmp_path) == [('x.png', 'x_labels.png')]


def test_label_maps_below_the_pictures_are_no_pictures(tmp_path: Path) -> None:
    for name in ('x.jpg', 'masks/x.png', 'masks/orphan.png'):
        write(tmp_path / name)
    assert pairs(tmp_path, PairingRule(tmp_path / 'masks')) == [('x.jpg', 'masks/x.png')]


def test_label_maps_of_the_same_name_are_no_pictures(tmp_path: Path) -> None:
    for name in ('x.jpg', 'x.png', 'y.png'):
        write(tmp_path / name)
    assert pairs(tmp_path, PairingRule(tmp_path)) == [('x.jpg', 'x.png'), ('y.png', None)]


def test_in_another_folder_label_maps_are_told_by_the_same_names(tmp_path: Path) -> None:
    for name in ('a/x_cam.jpg', 'a/masks/x_ids.png', 'b/y.jpg', 'b/masks/y_ids.png', 'c/z.jpg'):
        write(tmp_path / name)
    for name in ('c/z_ids.png', 'c/w_labels.png'):
        write(tmp_path / name)
    rule = PairingRule(tmp_path / 'a' / 'masks', '_cam', '_ids')
    for folder, found in (('b', ('y.jpg', 'masks/y_ids.png')), ('c', ('z.jpg', 'z_ids.png'))):
        there = rule.elsewhere(tmp_path / 'a', tmp_path / folder)
        assert pairs(tmp_path / folder, there) == [found]


def test_the_names_of_cityscapes_are_paired_by_their_endings(tmp_path: Path) -> None:
    write(tmp_path / 'leftImg8bit' / 'ulm' / 'ulm_1_leftImg8bit.png')
    write(tmp_path / 'gtFine' / 'ulm' / 'ulm_1_gtFine_labelTrainIds.png')
    write(tmp_path / 'gtFine' / 'ulm' / 'ulm_1_gtFine_color.png')
    rule = PairingRule(tmp_path / 'gtFine', '_leftImg8bit', '_gtFine_labelTrainIds')
    found = find_pictures(tmp_path / 'leftImg8bit', rule)
    assert [each.labels for each in found] == [
        tmp_path / 'gtFine' / 'ulm' / 'ulm_1_gtFine_labelTrainIds.png'
    ]


def test_pictures_without_labels_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write(tmp_path / 'images' / 'a.png')
    write(tmp_path / 'images' / 'b.png')
    write(tmp_path / 'labels' / 'a.png')
    found = find_pictures(tmp_path, PairingRule())
    with pytest.raises(SourceUnavailable, match=r'1 of 2 pictures .* no label map, images/b.png'):
        require_labels(tmp_path, found)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match='has no pictures; expected .* in .jpg, '):
        find_pictures(tmp_path, PairingRule())


def test_a_missing_folder_of_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path / 'x.png')
    with pytest.raises(SourceUnavailable, match='nowhere is no folder'):
        find_pictures(tmp_path, PairingRule(tmp_path / 'nowhere'))


def test_ids_of_the_model_and_no_class_are_taken(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2, 255, 0, 0]] * 4, np.uint8)
    file = write(tmp_path / 'l.png', pixels=labels)
    assert (read_labels(file, size=SIZE, class_count=3) == labels).all()


def test_label_maps_of_16_bits_are_taken(tmp_path: Path) -> None:
    labels = np.array([[0, 300, 65535, 255, 0, 0]] * 4, np.uint16)
    file = write(tmp_path / 'l.png', pixels=labels)
    read = read_labels(file, size=SIZE, class_count=301)
    assert read.dtype == np.uint16
    assert (read == labels).all()


@pytest.mark.parametrize(
    ('pixels', 'message'),
    [
        (np.full((4, 6), 3, np.uint8), 'has the id 3 on 24 pixels'),
        (np.zeros((4, 5), np.uint8), 'is 5x4; expected 6x4'),
        (np.zeros((4, 6, 3), np.uint8), 'is in colour'),
    ],
)
def test_label_maps_that_do_not_fit_are_named(
    tmp_path: Path, pixels: object, message: str
) -> None:
    file = write(tmp_path / 'bad.png', pixels=pixels)
    with pytest.raises(SourceUnavailable, match=rf'bad\.png {message}'):
        read_labels(file, size=SIZE, class_count=3)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    file = tmp_path / 'bad.png'
    file.write_bytes(b'not a picture')
    with pytest.raises(SourceUnavailable, match=r'bad\.png cannot be decoded'):
        read_labels(file, size=SIZE, class_count=3)


def indexed_png(path: Path, indices: np.ndarray, *, depth: int = 8) -> Path:
    """Write a PNG with a colour table, as PASCAL VOC has them."""
    height, width = indices.shape
    rows = b''.join(b'\0' + row.astype(np.uint8).tobytes() for row in indices)
    table = np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes()
    parts = (
        (b'IHDR', struct.pack('>IIBBBBB', width, height, depth, 3, 0, 0, 0)),
        (b'PLTE', table),
        (b'tRNS', b'\xff' * 256),
        (b'IDAT', zlib.compress(rows)),
        (b'IEND', b''),
    )
    chunks = (
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in parts
    )
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(chunks))
    return path


def test_of_a_label_map_with_a_colour_table_the_indices_count(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2, 255, 2, 1]] * 4)
    file = indexed_png(tmp_path / 'voc.png', indices)
    assert cv2.imread(str(file), cv2.IMREAD_UNCHANGED).ndim == 3
    assert (read_labels(file, size=SIZE, class_count=3) == indices).all()


@settings(deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_left_to_the_decoder(at: int, damage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = indexed_png(Path(folder, 'voc.png'), np.zeros((4, 6))).read_bytes()
    damaged = content[:at] + damage + content[at + len(damage) :]
    if damaged[: len(content)] != content:
        assert as_gray(damaged) == damaged


@pytest.mark.parametrize('content', [b'', b'\x89PNG', b'\x89PNG\r\n\x1a\n', b'JFIF'])
def test_what_is_no_png_is_left_as_it_is(content: bytes) -> None:
    assert as_gray(content) == content
