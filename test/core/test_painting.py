"""Colours of masks and overlays."""

from edge_seg.core.overlay import blend_overlay, rgb_pixels
from edge_seg.core.palette import color_mask, default_colors, Palette
from edge_seg.core.values import ClassInfo, DecodedImage
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4}


def classes(count):
    colors = default_colors(count)
    return tuple(ClassInfo(f'class {i}', colors[i]) for i in range(count))


def random_pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def image_like(rgb, order):
    """Express the same picture in another channel order, alpha at random."""
    channels = {
        'r': rgb[..., 0], 'g': rgb[..., 1], 'b': rgb[..., 2], 'a': random_pixels(9, *rgb.shape[:2])
    }  # fmt: skip
    return DecodedImage(np.stack([channels[letter] for letter in order], axis=-1), order)


@given(
    count=st.integers(1, 255),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_mask_has_the_colours_of_the_table(count, height, width, seed):
    table = classes(count)
    labels = random_pixels(seed, height, width)
    painted = color_mask(labels, Palette(table))
    for (row, column), label in np.ndenumerate(labels):
        expected = table[label].color if label < count else (0, 0, 0)
        assert tuple(painted[row, column]) == expected


def test_sixteen_bit_masks_are_painted_too():
    table = classes(300)
    labels = np.array([[0, 255, 256], [299, 300, 65535]], np.uint16)
    painted = color_mask(labels, Palette(table))
    expected = [
        [table[0].color, table[255].color, table[256].color],
        [table[299].color, (0,) * 3, (0,) * 3],
    ]
    np.testing.assert_array_equal(painted, expected)


def test_the_palette_knows_its_unlabelled_value():
    assert Palette(classes(255)).unlabelled == 255
    assert Palette(classes(256)).unlabelled == 65535


@pytest.mark.parametrize('count', [1, 8, 24])
def test_default_colours_tell_classes_apart(count):
    colors = np.array(default_colors(count), int)
    distances = np.abs(colors[:, None] - colors[None]).sum(axis=2)
    assert distances[~np.eye(count, dtype=bool)].min(initial=999) >= 40
    assert colors.sum(axis=1).min() >= 100  # none is taken for the black of no class


def test_default_colours_do_not_change_when_classes_are_added():
    assert default_colors(20)[:5] == default_colors(5)
    assert len(set(default_colors(300))) == 300


def test_painting_goes_where_the_caller_wants_it():
    out = np.zeros((2, 3, 3), np.uint8)
    labels = np.zeros((2, 3), np.uint8)
    assert color_mask(labels, Palette(classes(2)), out=out) is out
    assert (out == classes(2)[0].color).all()
    for wrong in (np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3, 3), np.int32)):
        with pytest.raises(ValueError, match='is needed'):
            color_mask(labels, Palette(classes(2)), out=wrong)


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize('order', sorted(CHANNELS))
def test_overlay_mixes_camera_and_colours(order, alpha):
    camera, colors = random_pixels(1, 5, 7, 3), random_pixels(2, 5, 7, 3)
    blended = blend_overlay(image_like(camera, order), colors, alpha=alpha)
    expected = camera * (1 - alpha) + colors * alpha
    assert np.abs(blended - expected).max() <= 0.51


def test_overlay_on_gray_shows_gray():
    gray = random_pixels(1, 5, 7)
    blended = blend_overlay(DecodedImage(gray, 'gray'), np.zeros((5, 7, 3), np.uint8), alpha=0.0)
    np.testing.assert_array_equal(blended, np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize(('dtype', 'unlabelled'), [(np.uint8, 255), (np.uint16, 65535)])
def test_overlay_leaves_unlabelled_pixels_as_the_camera_saw_them(dtype, unlabelled):
    camera = random_pixels(1, 4, 6, 3)
    labels = np.zeros((4, 6), dtype)
    labels[:, 2:5] = unlabelled
    colors = np.full((4, 6, 3), 200, np.uint8)
    out = np.empty((4, 6, 3), np.uint8)
    image = DecodedImage(camera, 'rgb')
    assert blend_overlay(image, colors, alpha=0.5, labels=labels, out=out) is out
    np.testing.assert_array_equal(out[:, 2:5], camera[:, 2:5])
    assert np.abs(out[:, :2] - (camera[:, :2] * 0.5 + 100)).max() <= 0.51


def test_overlay_never_writes_to_the_camera_image():
    memory = random_pixels(1, 4 * 32)
    memory.flags.writeable = False
    view = np.ndarray((4, 6, 3), np.uint8, memory, 0, (32, 3, 1))
    colors = np.zeros((4, 6, 3), np.uint8)
    blended = blend_overlay(DecodedImage(view, 'rgb'), colors, alpha=0.5)
    assert not np.shares_memory(blended, memory)
    assert rgb_pixels(DecodedImage(view, 'rgb')) is view


@pytest.mark.parametrize(
    ('colors', 'options', 'met'),
    [
        (np.zeros((6, 4, 3), np.uint8), {}, 'colors have shape'),
        (np.zeros((4, 6, 3), np.uint8), {'alpha': 1.5}, 'alpha is 1.5'),
        (np.zeros((4, 6, 3), np.uint8), {'out': np.zeros((4, 6), np.uint8)}, 'is needed'),
    ],
)
def test_overlay_refuses_what_does_not_fit(colors, options, met):
    image = DecodedImage(np.zeros((4, 6, 3), np.uint8), 'rgb')
    with pytest.raises(ValueError, match=met):
        blend_overlay(image, colors, **{'alpha': 0.5, **options})
