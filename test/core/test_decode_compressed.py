"""Compressed camera images: JPEG and PNG, whole, damaged and hostile."""

import struct
import zlib

import cv2
from edge_seg.core.decode import decode, decode_compressed
from edge_seg.core.values import CompressedImage, RawImage
from edge_seg.errors import DropReason, FrameRejected
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


def scene(height=40, width=56, channels=3):
    """Draw a smooth picture: JPEG keeps it within a few levels."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 3, y * 5, 255 - x * 2 - y, 200 - x][:channels]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def packed(extension, pixels):
    done, data = cv2.imencode(extension, pixels)
    assert done
    return data.tobytes()


def refused(data, name='jpeg'):
    with pytest.raises(FrameRejected) as caught:
        decode_compressed(CompressedImage(name, data))
    return caught.value


JPEG = packed('.jpg', scene())
PNG = packed('.png', scene())


@pytest.mark.parametrize(
    'name',
    [
        'jpeg',
        'jpg',
        'JPEG',
        'png',
        '',
        'rgb8; jpeg compressed bgr8',
        'bgr8; jpeg compressed ',
        '?',
    ],
)
@pytest.mark.parametrize('data', [JPEG, PNG])
def test_files_are_known_by_their_bytes_not_by_their_name(name, data):
    decoded = decode_compressed(CompressedImage(name, data))
    assert decoded.order == 'bgr'
    assert np.abs(decoded.pixels.astype(int) - scene()).max() <= 12


@pytest.mark.parametrize(('channels', 'order'), [(1, 'gray'), (3, 'bgr'), (4, 'bgra')])
def test_png_pixels_come_back_as_they_were(channels, order):
    pixels = scene(channels=channels)
    decoded = decode_compressed(CompressedImage('png', packed('.png', pixels)))
    assert decoded.order == order
    np.testing.assert_array_equal(decoded.pixels, pixels.squeeze())


@pytest.mark.parametrize(('channels', 'order'), [(1, 'gray'), (3, 'bgr'), (4, 'bgra')])
def test_sixteen_bit_png_becomes_its_high_byte(channels, order):
    pixels = scene(channels=channels).astype(np.uint16) * 256 + 99
    decoded = decode_compressed(CompressedImage('mono16; png compressed', packed('.png', pixels)))
    assert decoded.order == order
    np.testing.assert_array_equal(decoded.pixels, (pixels >> 8).squeeze())


def test_gray_jpeg_stays_gray():
    pixels = scene(channels=1)
    decoded = decode_compressed(CompressedImage('mono8; jpeg compressed ', packed('.jpg', pixels)))
    assert decoded.order == 'gray'
    assert np.abs(decoded.pixels.astype(int) - pixels.squeeze()).max() <= 12


def test_a_compressed_mosaic_is_demosaiced():
    mosaic = np.random.default_rng(0).integers(0, 256, (8, 10), np.uint8)
    decoded = decode_compressed(
        CompressedImage('bayer_grbg8; png compressed ', packed('.png', mosaic))
    )
    expected = decode(RawImage(10, 8, 'bayer_grbg8', 10, mosaic.tobytes()))
    assert decoded.order == 'rgb'
    np.testing.assert_array_equal(decoded.pixels, expected.pixels)


def test_a_mosaic_that_the_camera_turned_into_colour_is_left_alone():
    decoded = decode_compressed(CompressedImage('bayer_rggb8; jpeg compressed bgr8', JPEG))
    assert decoded.order == 'bgr'


def test_an_orientation_tag_does_not_turn_the_picture():
    """The mask must lie over the pixels that camera_info describes."""
    entry = struct.pack('>HHIHH', 0x0112, 3, 1, 6, 0)  # orientation: rotate by 90 degrees
    tiff = b'MM\0*' + struct.pack('>IH', 8, 1) + entry + bytes(4)
    body = b'Exif\0\0' + tiff
    turned = JPEG[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + JPEG[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (56, 40)
    assert decode_compressed(CompressedImage('jpeg', turned)).size == (56, 40)


@pytest.mark.parametrize(
    'name', ['32FC1; compressedDepth png', '16UC1; compressedDepth', '16UC1; compressedDepth rvl']
)
def test_depth_is_refused_by_name(name):
    error = refused(b'\0' * 12 + PNG, name)
    assert error.reason is DropReason.UNSUPPORTED_ENCODING
    assert 'depth' in str(error)


@pytest.mark.parametrize(
    ('name', 'data'),
    [
        ('h264', b'\0\0\0\1\x67' + bytes(100)),
        ('webp', b'RIFF\x10\0\0\0WEBPVP8 '),
        ('tiff', packed('.tiff', scene())),
        ('bmp', packed('.bmp', scene())),
        ('jpeg', b'\xff'),
    ],
)
def test_other_formats_are_refused_with_what_was_met(name, data):
    error = refused(data, name)
    assert error.reason is DropReason.UNSUPPORTED_ENCODING
    assert f"'{name}'" in error.met
    assert data[:2].hex(' ') in error.met


@pytest.mark.parametrize('data', [b'', b'GIF89a', b'\xff\xd8\xff\0', b'\x89PNG\r\n\x1a\n'])
@pytest.mark.parametrize('name', ['x' * 5000, 'jpeg\n[INFO] all is well', 'compressedDepth' * 99])
def test_a_format_cannot_flood_or_forge_the_log(name, data):
    message = str(refused(data, name))
    assert len(message) < 300
    assert '\n' not in message


def test_no_data_is_truncated_data():
    assert refused(b'').reason is DropReason.TRUNCATED_DATA


@pytest.mark.parametrize('data', [JPEG, PNG], ids=['jpeg', 'png'])
def test_a_file_cut_anywhere_is_refused(data):
    """Libjpeg fills the missing part with gray and is content; a robot should not be."""
    for length in [*range(8, 40), *range(40, len(data) - 1, 7)]:
        error = refused(data[:length])
        assert error.reason in (DropReason.TRUNCATED_DATA, DropReason.UNDECODABLE)


def test_zeros_after_the_end_do_no_harm():
    """UVC cameras hand out the whole buffer."""
    decoded = decode_compressed(CompressedImage('jpeg', JPEG + bytes(1000)))
    assert decoded.size == (56, 40)


def png_header(width, height):
    """Make a PNG of any size whose pixels are a few compressed zeros."""

    def chunk(name, body):
        return (
            struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    body = (
        chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')
    )
    return b'\x89PNG\r\n\x1a\n' + body


def jpeg_header(width, height):
    """Write another size into the frame header of a JPEG."""
    at = JPEG.index(b'\xff\xc0')
    return JPEG[: at + 5] + struct.pack('>HH', height, width) + JPEG[at + 9 :]


@pytest.mark.parametrize(
    'data',
    [png_header(30000, 30000), png_header(16384, 16384), jpeg_header(65500, 65500)],
    ids=['png', 'png of short sides', 'jpeg'],
)
def test_a_small_file_that_unpacks_to_something_absurd_is_refused(data):
    assert refused(data).reason is DropReason.ABSURD_SIZE


@pytest.mark.parametrize('data', [png_header(0, 5), jpeg_header(5, 0)], ids=['png', 'jpeg'])
def test_a_file_without_pixels_is_refused(data):
    assert refused(data).reason is DropReason.ZERO_SIZE


@settings(max_examples=300)
@given(
    whole=st.sampled_from([JPEG, PNG]),
    at=st.integers(0, len(PNG) + len(JPEG)),
    junk=st.binary(min_size=1, max_size=4),
)
def test_damage_anywhere_is_refused_or_read_and_nothing_else(whole, at, junk):
    at %= len(whole)
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    try:
        decoded = decode_compressed(CompressedImage('jpeg', damaged))
    except FrameRejected:
        return
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape[:2] == (decoded.size.height, decoded.size.width)
