"""Writing camera images: what `decode` reads back is what was written."""

from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.encode import compress, compressed_format, ENCODABLE, encode, layout
from edge_seg.core.overlay import rgb_pixels
from edge_seg.core.values import CompressedImage, RawImage
from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

GRAY = ('mono8', 'mono16', '16UC1')
EXACT = ('rgb8', 'bgr8', 'rgba8', 'bgra8')
GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])
YUV_TOLERANCE = 3
BAYER_TOLERANCE = 8


def smooth_picture(width, height, seed=0):
    """Colours that change slowly: what chroma subsampling and mosaics keep."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(40, 216, (2, 2, 3)).astype(float)
    x = np.linspace(0, 1, width)[None, :, None]
    y = np.linspace(0, 1, height)[:, None, None]
    rows = corners[0][None, None, 0] * (1 - x) + corners[0][None, None, 1] * x
    below = corners[1][None, None, 0] * (1 - x) + corners[1][None, None, 1] * x
    return np.rint(rows * (1 - y) + below * y).astype(np.uint8)


def encoded(pixels, encoding):
    height, width = pixels.shape[:2]
    step, size = layout(encoding, width, height)
    out = np.full(size, 0xA5, np.uint8)
    encode(pixels, encoding, out=out)
    return RawImage(width, height, encoding, step, out.tobytes())


def read_back(pixels, encoding):
    return decode(encoded(pixels, encoding))


def largest_error(found, pixels):
    return int(np.abs(found.astype(int) - pixels.astype(int)).max())


def test_every_encoding_that_the_camera_offers_can_be_written():
    offered = next(spec.choices for spec in CAMERA_PARAMETERS if spec.name == 'encoding')
    assert set(offered) == set(ENCODABLE)


@pytest.mark.parametrize('encoding', EXACT)
@given(width=st.integers(1, 9), height=st.integers(1, 9), seed=st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_colour_comes_back_exactly(encoding, width, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    np.testing.assert_array_equal(rgb_pixels(read_back(pixels, encoding)), pixels)


@pytest.mark.parametrize('encoding', GRAY)
@given(width=st.integers(1, 9), height=st.integers(1, 9), seed=st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_gray_is_the_weighted_sum_of_the_colours(encoding, width, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image = read_back(pixels, encoding)
    assert image.order == 'gray'
    assert np.abs(image.pixels - pixels @ GRAY_WEIGHTS).max() <= 1


def test_sixteen_bits_span_the_whole_range():
    pixels = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    values = np.frombuffer(encoded(pixels, 'mono16').data, '<u2')
    assert values.tolist() == [0, 65535]


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2', 'nv12', 'nv21'])
@given(
    width=st.integers(8, 40).map(lambda half: 2 * half),
    height=st.integers(8, 40).map(lambda half: 2 * half),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=25, deadline=None)
def test_yuv_comes_back_as_good_as_eight_bits_allow(encoding, width, height, seed):
    plain = np.broadcast_to(smooth_picture(2, 2, seed)[0, 0], (height, width, 3))
    image = rgb_pixels(read_back(np.ascontiguousarray(plain), encoding))
    assert largest_error(image, plain) <= YUV_TOLERANCE


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2', 'nv12', 'nv21'])
def test_yuv_keeps_brightness_sharp_and_chroma_in_place(encoding):
    pixels = smooth_picture(96, 64)
    pixels[20:40, 30:60] = (210, 60, 90)
    found = rgb_pixels(read_back(pixels, encoding)).astype(int)
    inner = found[22:38, 32:58]
    assert np.abs(inner - (210, 60, 90)).max() <= YUV_TOLERANCE
    assert np.abs(found[:16] - pixels[:16]).max() <= YUV_TOLERANCE + 4


@pytest.mark.parametrize('encoding', [name for name in ENCODABLE if name.startswith('bayer')])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_bayer_mosaics_come_back_where_colours_change_slowly(encoding, seed):
    pixels = smooth_picture(64, 48, seed)
    image = rgb_pixels(read_back(pixels, encoding))
    assert largest_error(image[2:-2, 2:-2], pixels[2:-2, 2:-2]) <= BAYER_TOLERANCE


def test_the_four_bayer_patterns_begin_as_their_names_say():
    red_first = np.broadcast_to(np.array([1, 2, 3], np.uint8), (4, 4, 3))
    starts = {}
    for name in ('rggb', 'bggr', 'gbrg', 'grbg'):
        data = np.frombuffer(encoded(red_first, f'bayer_{name}8').data, np.uint8).reshape(4, 4)
        starts[name] = ''.join('rgb'[value - 1] for value in data[:2, :2].reshape(-1))
    assert starts == {name: name for name in starts}


@pytest.mark.parametrize(
    ('encoding', 'width', 'height'),
    [('yuv422', 5, 4), ('nv12', 4, 5), ('nv21', 5, 4), ('bayer_rggb8', 2, 8), ('rgb32', 4, 4)],
)
def test_what_cannot_be_written_is_refused(encoding, width, height):
    with pytest.raises(ValueError, match=encoding):
        layout(encoding, width, height)


def test_a_buffer_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match='48 bytes are needed'):
        encode(smooth_picture(4, 4), 'rgb8', out=np.empty(47, np.uint8))


@pytest.mark.parametrize('form', ['jpeg', 'png'])
@pytest.mark.parametrize('encoding', ['rgb8', 'mono8'])
def test_compressed_files_come_back(encoding, form):
    pixels = smooth_picture(64, 48)
    file = compress(pixels, encoding, form=form, quality=95)
    name = compressed_format(encoding, form)
    assert name == f'{encoding}; {form} compressed ' + ('mono8' if encoding == 'mono8' else 'bgr8')
    image = decode_compressed(CompressedImage(name, file.tobytes()))
    assert (image.order == 'gray') == (encoding == 'mono8')
    wanted = pixels if encoding == 'rgb8' else (pixels @ GRAY_WEIGHTS)[..., None]
    assert largest_error(rgb_pixels(image), wanted) <= (1 if form == 'png' else 8)
