"""The V4L2 source: what can be said without a camera, and the reading with a stand-in."""

from pathlib import Path

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources import v4l2
from edge_seg.sources.v4l2 import V4l2Source
import numpy as np
import pytest

ANY_DEVICE = Path('/dev/null')


class FakeCapture:
    """A camera that gives a given number of pictures, then fails."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.asked = {}
        self.opened = True
        self.released = 0
        self.skipped = 0

    def get(self, prop):
        return self.asked.get(prop, 0.0)

    def set(self, prop, value):
        self.asked[prop] = value

    def read_rgb(self):
        if not self.pictures:
            return None
        self.pictures -= 1
        return np.zeros((4, 6, 3), np.uint8)

    def skip(self, count):
        self.skipped += count

    def release(self):
        self.released += 1


@pytest.fixture
def camera(monkeypatch):
    fake = FakeCapture(pictures=2)
    monkeypatch.setattr(v4l2, 'Capture', lambda name, backend: fake)
    return fake


def open_any(**options):
    return V4l2Source(ANY_DEVICE, width=800, height=600, rate_hz=25.0, **options)


def test_a_missing_device_is_refused_with_those_that_are_there():
    with pytest.raises(SourceUnavailable, match='/dev/video987 does not exist') as caught:
        V4l2Source(Path('/dev/video987'), width=640, height=480, rate_hz=30.0)
    assert 'cameras that are there' in caught.value.expected
    assert 'plug the camera in' in caught.value.remedy


def test_a_file_is_not_a_camera(tmp_path):
    file = tmp_path / 'video0'
    file.touch()
    with pytest.raises(SourceUnavailable, match='is not a device'):
        V4l2Source(file, width=640, height=480, rate_hz=30.0)


def test_a_device_that_is_no_camera_is_refused():
    with pytest.raises(SourceUnavailable, match='cannot be opened as a camera'):
        open_any()


def test_size_and_rate_are_asked_of_the_camera(camera):
    with open_any() as source:
        assert source.read().image.shape == (4, 6, 3)
    assert camera.asked[cv2.CAP_PROP_FRAME_WIDTH] == 800
    assert camera.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 600
    assert camera.asked[cv2.CAP_PROP_FPS] == 25.0
    assert camera.released == 1


def test_a_camera_that_stops_is_an_error_and_a_closed_one_is_an_end(camera):
    source = open_any()
    assert source.read().stamp_ns is None
    source.read()
    with pytest.raises(SourceUnavailable, match='gave no picture'):
        source.read()
    source.close()
    assert source.read() is None


def test_pictures_that_waited_while_nobody_read_are_passed_over(camera):
    camera.pictures = 4
    now_s = [100.0]
    source = open_any(clock=lambda: now_s[0])
    for pause_s in (60.0, 0.04, 0.2):  # the first: from opening to reading
        now_s[0] += pause_s
        source.read()
    assert camera.skipped == 0
    camera.asked[cv2.CAP_PROP_BUFFERSIZE] = 2.0
    now_s[0] += 5.0
    source.read()
    assert camera.skipped == 2
