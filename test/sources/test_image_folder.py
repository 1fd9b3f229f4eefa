"""The folder source with real files on disk."""

from collections import Counter

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.image_folder import ImageFolderSource, natural_key
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def write(path, value, *, size=(8, 6)):
    """Write a flat picture whose red channel is `value`."""
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = value
    assert cv2.imwrite(str(path), picture)
    return path


def reds(source, count):
    return [int(source.read().image[0, 0, 0]) for _ in range(count)]


def test_pictures_come_in_natural_order_as_rgb(tmp_path):
    for number in (10, 2, 1):
        write(tmp_path / f'img{number}.png', 10 * number)
    (tmp_path / 'notes.txt').write_text('not a picture')
    with ImageFolderSource(tmp_path, loop=False) as source:
        frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [10, 20, 100]
    assert all(frame.image[0, 0, 2] == 0 for frame in frames)
    assert frames[0].labels is None
    assert frames[0].stamp_ns is None


def test_loop_starts_again_and_close_ends_it(tmp_path):
    for number in (1, 2):
        write(tmp_path / f'{number}.PNG', number)
    source = ImageFolderSource(tmp_path, loop=True)
    assert reds(source, 5) == [1, 2, 1, 2, 1]
    source.close()
    source.close()
    assert source.read() is None


def test_jpeg_gray_and_sixteen_bit_pictures_become_rgb8(tmp_path):
    cv2.imwrite(str(tmp_path / '1.jpg'), np.full((6, 8, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / '2.png'), np.full((6, 8), 90, np.uint8))
    cv2.imwrite(str(tmp_path / '3.png'), np.full((6, 8), 90 << 8, np.uint16))
    for frame in ImageFolderSource(tmp_path, loop=False):
        assert frame.image.shape == (6, 8, 3)
        assert frame.image.dtype == np.uint8
        assert abs(int(frame.image[3, 3, 1]) - 90) <= 2


@pytest.mark.parametrize('place', ['drive/labels', 'labels'])
def test_labels_are_found_inside_and_beside_the_folder(tmp_path, place):
    write(tmp_path / 'drive' / 'a.png', 1)
    write(tmp_path / 'drive' / 'b.png', 2)
    truth = np.arange(48, dtype=np.uint8).reshape(6, 8)
    (tmp_path / place).mkdir()
    cv2.imwrite(str(tmp_path / place / 'a.png'), truth)
    first, second = list(ImageFolderSource(tmp_path / 'drive', loop=False))
    np.testing.assert_array_equal(first.labels, truth)
    assert second.labels is None


@pytest.mark.parametrize(
    'labels',
    [np.zeros((6, 9), np.uint8), np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint16)],
)
def test_labels_that_do_not_fit_the_picture_are_refused(tmp_path, labels):
    write(tmp_path / 'a.png', 1)
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'labels' / 'a.png'), labels)
    with pytest.raises(SourceUnavailable, match='expected one 8-bit channel of class ids, 8x6'):
        ImageFolderSource(tmp_path, loop=False).read()


def test_a_damaged_picture_is_named(tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8 no more')
    with pytest.raises(SourceUnavailable, match=r'broken\.jpg cannot be decoded'):
        ImageFolderSource(tmp_path, loop=False).read()


def test_an_empty_file_and_a_vanished_file_are_named(tmp_path):
    (tmp_path / 'empty.png').touch()
    with pytest.raises(SourceUnavailable, match='cannot be decoded'):
        ImageFolderSource(tmp_path, loop=False).read()
    source = ImageFolderSource(tmp_path, loop=False)
    (tmp_path / 'empty.png').unlink()
    with pytest.raises(SourceUnavailable, match='cannot be read'):
        source.read()


def test_a_folder_without_pictures_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(SourceUnavailable, match='has no pictures'):
        ImageFolderSource(tmp_path, loop=False)
    with pytest.raises(SourceUnavailable, match='does not exist'):
        ImageFolderSource(tmp_path / 'nowhere', loop=False)


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=2))
def test_natural_order_is_the_order_of_the_numbers(numbers):
    names = [f'frame_{number}.png' for number in numbers]
    ordered = sorted(names, key=natural_key)
    assert ordered == [f'frame_{number}.png' for number in sorted(numbers)]


@given(st.lists(st.text(max_size=12), max_size=8))
def test_natural_order_takes_any_names(names):
    in_order = sorted(names, key=natural_key)

    assert Counter(in_order) == Counter(names)
