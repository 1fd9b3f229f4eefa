"""Raw camera images: what is read, what is viewed in place, what is refused and why."""

from array import array

from edge_seg.core.decode import decode, SUPPORTED_ENCODINGS
from edge_seg.core.frame_limits import MAX_PIXELS, MAX_SIDE
from edge_seg.core.values import DecodedImage, RawImage, Size
from edge_seg.errors import DropReason, FrameRejected
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

BYTES = {
    'rgb8': 3,
    'bgr8': 3,
    '8UC3': 3,
    'rgba8': 4,
    'bgra8': 4,
    '8UC4': 4,
    'mono8': 1,
    '8UC1': 1,
    'mono16': 2,
    '16UC1': 2,
    'yuv422': 2,
    'uyvy': 2,
    'yuv422_yuy2': 2,
    'yuyv': 2,
    'nv12': 1,
    'nv21': 1,
    'bayer_rggb8': 1,
    'bayer_bggr8': 1,
    'bayer_gbrg8': 1,
    'bayer_grbg8': 1,
}
VIEWED = {
    'rgb8': 'rgb',
    'bgr8': 'bgr',
    '8UC3': 'bgr',
    'rgba8': 'rgba',
    'bgra8': 'bgra',
    '8UC4': 'bgra',
    'mono8': 'gray',
    '8UC1': 'gray',
}
BAYER = {
    'bayer_rggb8': 'rggb',
    'bayer_bggr8': 'bggr',
    'bayer_gbrg8': 'gbrg',
    'bayer_grbg8': 'grbg',
}


def rows_of(encoding, height):
    return height * 3 // 2 if encoding in ('nv12', 'nv21') else height


def with_step(rows, step):
    """Lay (n, row bytes) out with padding that is full of garbage."""
    padded = np.full((rows.shape[0], step), 0xA5, np.uint8)
    padded[:, : rows.shape[1]] = rows
    return padded.tobytes()


def random_message(seed, encoding, size, padding=0):
    generator = np.random.default_rng(seed)
    row_bytes = size.width * BYTES[encoding]
    shape = (rows_of(encoding, size.height), row_bytes)
    rows = generator.integers(0, 256, shape, np.uint8)
    step = row_bytes + padding
    return RawImage(size.width, size.height, encoding, step, with_step(rows, step)), rows


def refused(image, **options):
    with pytest.raises(FrameRejected) as caught:
        decode(image, **options)
    return caught.value


def test_the_accepted_list_is_the_documented_one():
    assert set(SUPPORTED_ENCODINGS) == set(BYTES)


@pytest.mark.parametrize('padding', [0, 1, 13])
@pytest.mark.parametrize(('encoding', 'order'), VIEWED.items())
def test_eight_bit_pixels_are_viewed_in_place(encoding, order, padding):
    message, rows = random_message(1, encoding, Size(7, 5), padding)
    decoded = decode(message)
    assert decoded.order == order
    assert decoded.size == (7, 5)
    np.testing.assert_array_equal(decoded.pixels.reshape(5, -1), rows)
    assert np.shares_memory(decoded.pixels, np.frombuffer(message.data, np.uint8))
    assert not decoded.pixels.flags.writeable


@pytest.mark.parametrize(
    'wrap', [bytes, bytearray, memoryview, lambda data: array('B', data), np.array]
)
def test_any_buffer_will_do(wrap):
    message, rows = random_message(2, 'rgb8', Size(4, 3), 2)
    data = np.frombuffer(message.data, np.uint8) if wrap is np.array else message.data
    decoded = decode(RawImage(4, 3, 'rgb8', message.step, wrap(data)))
    np.testing.assert_array_equal(decoded.pixels.reshape(3, -1), rows)


@pytest.mark.parametrize('padding', [0, 1, 6])
@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_sixteen_bits_become_their_high_byte(encoding, is_bigendian, padding):
    values = np.array([[0, 255, 256], [511, 32768, 65535]], '>u2' if is_bigendian else '<u2')
    step = 6 + padding
    data = with_step(values.view(np.uint8), step)
    decoded = decode(RawImage(3, 2, encoding, step, data, is_bigendian))
    assert decoded.order == 'gray'
    np.testing.assert_array_equal(decoded.pixels, [[0, 0, 1], [1, 128, 255]])


def bt601(y, u, v):
    """Limited-range BT.601, as ITU-R writes it; OpenCV takes luma below black for black."""
    y, u, v = 1.164383 * np.maximum(y - 16.0, 0), u - 128.0, v - 128.0
    rgb = [y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u]
    return np.clip(np.stack(rgb, axis=-1), 0, 255)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'luma', 'u', 'v'),
    [('yuv422', 1, 0, 2), ('uyvy', 1, 0, 2), ('yuv422_yuy2', 0, 1, 3), ('yuyv', 0, 1, 3)],
)
def test_yuv422_is_read_by_its_byte_order(encoding, luma, u, v, padding):
    message, rows = random_message(3, encoding, Size(8, 3), padding)
    pairs = rows.reshape(3, 4, 4).astype(float)
    chroma = [np.repeat(pairs[..., at], 2, axis=1) for at in (u, v)]
    expected = bt601(rows[:, luma::2].astype(float), *chroma)
    decoded = decode(message)
    assert decoded.order == 'rgb'
    assert np.abs(decoded.pixels - expected).max() <= 2


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(('encoding', 'u', 'v'), [('nv12', 0, 1), ('nv21', 1, 0)])
def test_nv12_and_nv21_differ_in_their_chroma_order(encoding, u, v, padding):
    message, rows = random_message(4, encoding, Size(6, 4), padding)
    chroma = rows[4:].reshape(2, 3, 2).astype(float)
    wide = [chroma[..., at].repeat(2, axis=0).repeat(2, axis=1) for at in (u, v)]
    decoded = decode(message)
    assert decoded.order == 'rgb'
    assert decoded.size == (6, 4)
    assert np.abs(decoded.pixels - bt601(rows[:4].astype(float), *wide)).max() <= 2


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize(('encoding', 'pattern'), BAYER.items())
def test_bayer_mosaics_get_their_colours_back(encoding, pattern, padding):
    """ROS rggb is OpenCV's BG: a red scene that comes out blue would show here."""
    color = {'r': 200, 'g': 120, 'b': 30}
    mosaic = np.empty((6, 8), np.uint8)
    for at, letter in enumerate(pattern):
        mosaic[at // 2 :: 2, at % 2 :: 2] = color[letter]
    decoded = decode(RawImage(8, 6, encoding, 8 + padding, with_step(mosaic, 8 + padding)))
    assert decoded.order == 'rgb'
    assert (decoded.pixels == (200, 120, 30)).all()


@settings(max_examples=60)
@given(
    encoding=st.sampled_from(sorted(BYTES)),
    width=st.integers(2, 9),
    height=st.integers(2, 9),
    padding=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_padding_never_changes_the_picture(encoding, width, height, padding, seed):
    size = Size(width * 2, height * 2)
    padded, _ = random_message(seed, encoding, size, padding)
    tight, _ = random_message(seed, encoding, size)
    np.testing.assert_array_equal(decode(padded).pixels, decode(tight).pixels)


@pytest.mark.parametrize('encoding', sorted(BYTES))
def test_the_padding_of_the_last_row_may_be_missing(encoding):
    message, _ = random_message(1, encoding, Size(4, 4), 5)
    short = RawImage(4, 4, encoding, message.step, message.data[:-5])
    np.testing.assert_array_equal(decode(short).pixels, decode(message).pixels)


@pytest.mark.parametrize('encoding', sorted(BYTES))
def test_one_byte_too_few_is_truncated(encoding):
    message, _ = random_message(1, encoding, Size(4, 4), 5)
    for length in (0, 1, len(message.data) - 6):
        error = refused(RawImage(4, 4, encoding, message.step, message.data[:length]))
        assert error.reason is DropReason.TRUNCATED_DATA
        assert f'{length} bytes' in error.met


@pytest.mark.parametrize('encoding', sorted(BYTES))
def test_a_step_shorter_than_a_row_is_refused(encoding):
    for step in (0, 4 * BYTES[encoding] - 1):
        error = refused(RawImage(4, 4, encoding, step, bytes(1000)))
        assert error.reason is DropReason.WRONG_STEP
        assert f'{4 * BYTES[encoding]}' in error.expected


@pytest.mark.parametrize('encoding', ['rgb8', 'nv12', 'no_such_encoding'])
@pytest.mark.parametrize('size', [(0, 4), (4, 0), (0, 0), (-1, 4)])
def test_zero_sizes_are_refused(encoding, size):
    error = refused(RawImage(*size, encoding, 12, bytes(100)))
    assert error.reason is DropReason.ZERO_SIZE


@pytest.mark.parametrize(
    'size', [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (MAX_SIDE, MAX_SIDE), (2**32 - 1, 2**32 - 1)]
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(size):
    error = refused(RawImage(*size, 'bayer_rggb8', 2**32 - 1, b''))
    assert error.reason is DropReason.ABSURD_SIZE


def test_the_largest_size_is_accepted():
    width, height = MAX_SIDE, MAX_PIXELS // MAX_SIDE
    decoded = decode(RawImage(width, height, 'mono8', width, np.zeros(width * height, np.uint8)))
    assert decoded.size == (width, height)


@pytest.mark.parametrize(
    ('encoding', 'size'),
    [
        ('yuv422', (5, 4)),
        ('yuyv', (1, 4)),
        ('nv12', (5, 4)),
        ('nv12', (4, 5)),
        ('nv21', (4, 1)),
        ('bayer_rggb8', (2, 8)),
        ('bayer_grbg8', (8, 1)),
    ],
)
def test_sides_that_the_layout_cannot_have_are_refused(encoding, size):
    error = refused(RawImage(*size, encoding, 64, bytes(10000)))
    assert error.reason is DropReason.UNDECODABLE
    assert error.expected


@pytest.mark.parametrize('encoding', ['', 'rgb16', 'RGB8', '32FC1', 'bayer_rggb16', 'ümlaut'])
def test_an_unknown_encoding_names_the_known_ones(encoding):
    error = refused(RawImage(4, 4, encoding, 64, bytes(1000)))
    assert error.reason is DropReason.UNSUPPORTED_ENCODING
    assert f"'{encoding}'" in str(error)
    for known in SUPPORTED_ENCODINGS:
        assert known in str(error)


@pytest.mark.parametrize('encoding', ['x' * 5000, 'rgb8\n[INFO] all is well'])
def test_an_encoding_cannot_flood_or_forge_the_log(encoding):
    message = str(refused(RawImage(4, 4, encoding, 64, bytes(1000))))
    assert len(message) < 500
    assert '\n' not in message


def test_the_fallback_reads_what_is_not_known_here():
    answer = DecodedImage(np.zeros((4, 6, 3), np.uint8), 'bgr')
    asked = []

    def fallback(image):
        asked.append(image.encoding)
        return answer

    assert decode(RawImage(6, 4, 'rgb16', 36, bytes(144)), fallback=fallback) is answer
    decode(RawImage(6, 4, 'rgb8', 18, bytes(72)), fallback=fallback)
    refused(RawImage(0, 4, 'rgb16', 36, b''), fallback=fallback)
    refused(RawImage(2**20, 4, 'rgb16', 36, b''), fallback=fallback)
    assert asked == ['rgb16']


def test_a_fallback_may_refuse_with_a_reason_of_its_own():
    def fallback(image):
        raise FrameRejected(DropReason.UNSUPPORTED_ENCODING, f'{image.encoding} is beyond me')

    error = refused(RawImage(6, 4, 'rgb16', 36, bytes(144)), fallback=fallback)
    assert 'beyond me' in error.met


@pytest.mark.parametrize('pixels', [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint16)])
def test_a_fallback_that_changes_size_or_depth_is_not_believed(pixels):
    image = RawImage(6, 4, 'rgb16', 36, bytes(144))
    error = refused(image, fallback=lambda _: DecodedImage(pixels, 'bgr'))
    assert error.reason is DropReason.UNDECODABLE


@settings(max_examples=300)
@given(
    width=st.one_of(st.integers(0, 12), st.integers(0, 2**32 - 1)),
    height=st.one_of(st.integers(0, 12), st.integers(0, 2**32 - 1)),
    encoding=st.one_of(st.sampled_from(sorted(BYTES)), st.text(max_size=12)),
    step=st.one_of(st.integers(0, 60), st.integers(0, 2**32 - 1)),
    data=st.binary(max_size=600),
    is_bigendian=st.booleans(),
)
def test_garbage_is_refused_or_read_and_nothing_else(
    width, height, encoding, step, data, is_bigendian
):
    try:
        decoded = decode(RawImage(width, height, encoding, step, data, is_bigendian))
    except FrameRejected:
        return
    assert decoded.size == (width, height)
    assert decoded.pixels.dtype == np.uint8
