"""Messages to values and back: no pixel is copied, and none goes astray."""

from array import array
import json
import sys
from types import ModuleType

from builtin_interfaces.msg import Time
from edge_seg.core.values import ClassInfo, RawImage
from edge_seg.errors import DropReason, FrameRejected
from edge_seg.ros.conversions import (
    compressed_message,
    cv_bridge_decoder,
    ImageMessage,
    labels_json,
    raw_image,
    seconds,
)
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header


@pytest.mark.parametrize(
    ('encoding', 'dtype', 'channels'),
    [('mono8', 'u1', 1), ('mono16', '=u2', 1), ('rgb8', 'u1', 3)],
)
def test_what_is_written_into_the_pixels_is_in_the_message(
    encoding: str, dtype: str, channels: int
) -> None:
    image = ImageMessage(encoding)
    values = np.arange(6 * 4 * channels).reshape(4, 6, channels).astype(dtype)
    np.copyto(image.pixels(6, 4).reshape(values.shape), values)

    message = image.stamped(Header(frame_id='front'))

    np.testing.assert_array_equal(np.frombuffer(message.data, dtype).reshape(values.shape), values)
    assert (message.width, message.height, message.encoding) == (6, 4, encoding)
    assert message.step == 6 * channels * np.dtype(dtype).itemsize
    assert message.is_bigendian == (sys.byteorder == 'big')
    assert message.header.frame_id == 'front'


def test_a_message_of_the_same_size_is_used_again() -> None:
    image = ImageMessage('mono8')
    first = image.pixels(6, 4)
    image.stamped(Header())
    assert image.pixels(6, 4) is first


def test_a_message_follows_a_change_of_size() -> None:
    image = ImageMessage('mono8')
    image.pixels(6, 4)[:] = 1
    image.pixels(3, 5)[:] = 2
    message = image.stamped(Header())
    assert bytes(message.data) == bytes([2]) * 15
    assert (message.width, message.height, message.step) == (3, 5, 3)


def test_an_image_message_is_looked_at_in_place() -> None:
    message = Image(width=2, height=1, encoding='rgb8', step=6, is_bigendian=1)
    message.data = array('B', range(6))
    image = raw_image(message)
    assert image.data is message.data
    assert (image.width, image.height, image.step) == (2, 1, 6)
    assert (image.encoding, image.is_bigendian) == ('rgb8', True)


def test_a_compressed_message_keeps_bytes_format_and_header() -> None:
    encoded = np.array([1, 2, 3], np.uint8)
    message = compressed_message(Header(frame_id='front'), 'mono8; png compressed', encoded)
    assert bytes(message.data) == b'\1\2\3'
    assert message.format == 'mono8; png compressed'
    assert message.header.frame_id == 'front'


def test_a_stamp_becomes_seconds() -> None:
    assert seconds(Time(sec=3, nanosec=250_000_000)) == 3.25
    assert seconds(Time()) == 0.0


def test_labels_are_described_in_json() -> None:
    text = labels_json('floor@2', (ClassInfo('other', (1, 2, 3)),), 255)
    assert json.loads(text) == {
        'model': 'floor@2',
        'unlabelled': 255,
        'classes': [{'id': 0, 'name': 'other', 'color': [1, 2, 3]}],
    }


class CvBridgeError(TypeError):
    """Stands for that of cv_bridge."""


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> type:
    """Install a cv_bridge that makes a gray ramp of '8UC1 variants' and knows nothing else."""

    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> object:
            assert desired_encoding == 'rgb8'
            if message.encoding != '32SC3':
                raise CvBridgeError(f'Unrecognized image encoding [{message.encoding}]')
            shape = (message.height, message.width, 3)
            pixels = np.ndarray(shape, np.int32, message.data, 0, (message.step, 12, 4))
            return pixels.astype(np.uint8)

    module = ModuleType('cv_bridge')
    module.CvBridge = CvBridge  # type: ignore[attr-defined]
    module.CvBridgeError = CvBridgeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    return CvBridge


def test_cv_bridge_reads_what_we_do_not(bridge: type) -> None:
    decode = cv_bridge_decoder()
    assert decode is not None
    data = np.arange(6, dtype=np.int32)
    image = decode(RawImage(2, 1, '32SC3', 24, array('B', data.tobytes())))
    assert image.order == 'rgb'
    assert image.pixels.tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_an_encoding_that_cv_bridge_does_not_know_either_is_unsupported(bridge: type) -> None:
    decode = cv_bridge_decoder()
    assert decode is not None
    with pytest.raises(FrameRejected, match='rgb8, bgr8') as refused:
        decode(RawImage(1, 1, 'x123', 1, b'0'))
    assert refused.value.reason is DropReason.UNSUPPORTED_ENCODING
    assert 'x123' in str(refused.value)


def test_data_that_cv_bridge_cannot_read_is_undecodable(bridge: type) -> None:
    decode = cv_bridge_decoder()
    assert decode is not None
    with pytest.raises(FrameRejected) as refused:
        decode(RawImage(9, 9, '32SC3', 108, array('B', b'short')))
    assert refused.value.reason is DropReason.UNDECODABLE


@pytest.mark.parametrize('problem', [ImportError('none'), AttributeError('_ARRAY_API not found')])
def test_a_cv_bridge_that_does_not_import_is_done_without(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise problem

    monkeypatch.setitem(sys.modules, 'cv_bridge', Broken('cv_bridge'))
    assert cv_bridge_decoder() is None
