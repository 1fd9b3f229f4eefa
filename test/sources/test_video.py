"""The video source with a real file written by OpenCV."""

import cv2
from edge_seg.errors import SourceUnavailable
from edge_seg.sources.capture import Capture
from edge_seg.sources.video import VideoSource
import numpy as np
import pytest

LEVELS = (20, 80, 140, 200)


@pytest.fixture
def clip(tmp_path):
    """Four flat red frames at 20 Hz."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20.0, (64, 48))
    assert writer.isOpened()
    for level in LEVELS:
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 2] = level
        writer.write(picture)
    writer.release()
    return path


def levels(frames):
    return [
        min(LEVELS, key=lambda level: abs(level - int(frame.image[24, 32, 0]))) for frame in frames
    ]


def test_every_frame_comes_once_as_rgb_with_its_time(clip):
    with VideoSource(clip, loop=False) as source:
        assert source.rate_hz == pytest.approx(20.0)
        frames = list(source)
    assert levels(frames) == list(LEVELS)
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image[24, 32, 2] < 30
    assert [frame.stamp_ns for frame in frames] == [0, 50_000_000, 100_000_000, 150_000_000]


@pytest.mark.parametrize('declared', [-1, 0, 3, 4, 5])
def test_the_declared_number_of_frames_counts_only_if_it_is_true(clip, monkeypatch, declared):
    with VideoSource(clip, loop=True) as source:
        assert source.frame_count() == 4
        assert levels([source.read() for _ in range(5)]) == [*LEVELS, LEVELS[0]]
        monkeypatch.setattr(Capture, 'get', lambda *_: float(declared))
        assert source.frame_count() == (4 if declared == 4 else None)


def test_a_loop_shows_every_frame_again_and_time_goes_on(clip):
    with VideoSource(clip, loop=True) as source:
        frames = [source.read() for _ in range(10)]
    assert levels(frames) == [*LEVELS, *LEVELS, *LEVELS[:2]]
    stamps = [frame.stamp_ns for frame in frames]
    assert np.diff(stamps).tolist() == [50_000_000] * 9


def test_closing_ends_a_loop_and_twice_is_fine(clip):
    source = VideoSource(clip, loop=True)
    source.read()
    source.close()
    source.close()
    assert source.read() is None


def test_a_video_that_vanishes_before_its_second_round_is_named(clip):
    source = VideoSource(clip, loop=True)
    for _ in LEVELS:
        assert source.read() is not None
    clip.unlink()
    with pytest.raises(SourceUnavailable, match=r'clip\.avi cannot be decoded'):
        source.read()


def test_something_that_is_no_video_is_refused_with_the_way_to_convert_it(tmp_path):
    path = tmp_path / 'notes.mp4'
    path.write_text('no video at all')
    with pytest.raises(SourceUnavailable, match='ffmpeg -i INPUT') as caught:
        VideoSource(path, loop=False)
    assert 'notes.mp4' in caught.value.met


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceUnavailable, match='is not a file'):
        VideoSource(tmp_path / 'nothing.avi', loop=False)
