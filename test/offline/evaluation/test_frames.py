"""Frames to measure with: how many, which ones, and what happens to bad ones."""

from pathlib import Path
import struct

import cv2
from edge_seg.core.decode import decode_compressed
from edge_seg.core.values import CompressedImage, Size
from edge_seg.errors import SourceUnavailable
from edge_seg.offline.evaluation.frames import (
    BadFrame,
    Frame,
    FrameRequest,
    good_frames,
    open_frames,
    StreamFrames,
)
from edge_seg.sources.video import VideoSource
from measured_models import labelled_folder, picture
import numpy as np
import pytest

HEADER_TYPES = ('builtin_interfaces/msg/Time', 'std_msgs/msg/Header')


def video(path: Path, *, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
    writer.release()
    return path


def bag(path: Path, *, frames: int, damaged: int | None) -> Path:
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    kind = 'sensor_msgs/msg/Image'
    time, header = (store.types[name] for name in HEADER_TYPES)
    with rosbag2.Writer(path, version=9) as writer:
        connection = writer.add_connection('/image', kind, typestore=store)
        for number in range(frames):
            message = store.types[kind](
                header=header(stamp=time(sec=number + 1, nanosec=0), frame_id=''),
                height=4,
                width=6,
                encoding='odd' if number == damaged else 'rgb8',
                is_bigendian=0,
                step=18,
                data=np.full(72, 10 * number, np.uint8),
            )
            writer.write(connection, number + 1, store.serialize_cdr(message, kind))
    return path


def test_rendered_scenes_are_the_same_each_time_and_have_labels() -> None:
    frames = open_frames(FrameRequest(count=2, seed=5, size=Size(64, 48)))
    assert (frames.total, frames.class_names and frames.class_names[1]) == (2, 'floor')
    first, again = (
        [frame for frame in frames.read(5) if isinstance(frame, Frame)] for _ in range(2)
    )
    assert [frame.name for frame in first] == ['scene 5', 'scene 6']
    assert all((a.image.pixels == b.image.pixels).all() for a, b in zip(first, again, strict=True))
    assert not (first[0].image.pixels == first[1].image.pixels).all()
    assert first[0].labels is not None


def test_of_many_pictures_evenly_spread_ones_are_taken(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=9)
    frames = open_frames(FrameRequest(str(folder), count=3))
    assert [frame.name for frame in frames.read(3)] == [
        'images/0.png', 'images/4.png', 'images/8.png',
    ]  # fmt: skip


def test_of_a_video_evenly_spread_frames_are_taken(tmp_path: Path) -> None:
    frames = open_frames(FrameRequest(str(video(tmp_path / 'v.avi', frames=7)), count=3))
    taken = [frame for frame in frames.read(0) if isinstance(frame, Frame)]
    assert [frame.name for frame in taken] == ['frame 0', 'frame 3', 'frame 6']
    assert [round(float(frame.image.pixels.mean()), -1) for frame in taken] == [0, 30, 60]


@pytest.mark.parametrize('damaged', [None, 1])
def test_frames_of_a_bag_are_decoded_as_by_the_node(tmp_path: Path, damaged: int | None) -> None:
    frames = open_frames(FrameRequest(str(bag(tmp_path / 'bag', frames=3, damaged=damaged))))
    found = list(frames.read(0))
    assert [frame.name for frame in found] == ['frame 0', 'frame 1', 'frame 2']
    bad = [number for number, frame in enumerate(found) if isinstance(frame, BadFrame)]
    assert bad == ([] if damaged is None else [damaged])
    last = found[2]
    assert isinstance(last, Frame)
    assert (last.image.order, int(last.image.pixels[0, 0, 0])) == ('rgb', 20)


def turned(path: Path, pixels: np.ndarray) -> Path:
    """Write a JPEG as a phone does that was held upright: pixels as they lie, and a tag."""
    entry = struct.pack('>HHIHH', 0x0112, 3, 1, 6, 0)  # orientation: rotate by 90 degrees
    tag = b'Exif\0\0MM\0*' + struct.pack('>IH', 8, 1) + entry + bytes(4)
    content = cv2.imencode('.jpg', pixels)[1].tobytes()
    segment = b'\xff\xe1' + struct.pack('>H', len(tag) + 2) + tag
    path.write_bytes(content[:2] + segment + content[2:])
    assert cv2.imread(str(path)).shape[:2] == pixels.shape[1::-1]
    return path


@pytest.mark.parametrize('single', [False, True])
def test_a_picture_is_decoded_as_by_the_node_and_not_turned(tmp_path: Path, single: bool) -> None:
    (tmp_path / 'labels').mkdir()
    assert cv2.imwrite(str(tmp_path / 'labels' / 'phone.png'), np.ones((48, 64), np.uint8))
    file = turned(tmp_path / 'phone.jpg', picture(0))
    frames = open_frames(FrameRequest(str(file if single else tmp_path)))
    (frame,) = frames.read(3)
    assert isinstance(frame, Frame)
    message = CompressedImage('jpeg', file.read_bytes())
    np.testing.assert_array_equal(frame.image.pixels, decode_compressed(message).pixels)
    assert (frame.image.size, frame.labels is None) == (Size(64, 48), False)


def test_what_the_node_would_refuse_is_refused(tmp_path: Path) -> None:
    content = cv2.imencode('.jpg', picture(0))[1].tobytes()
    (tmp_path / 'cut.jpg').write_bytes(content[: len(content) // 2])
    (bad,) = open_frames(FrameRequest(str(tmp_path))).read(0)
    assert isinstance(bad, BadFrame)
    assert 'cut.jpg cannot be decoded: ' in bad.reason


def test_frames_are_counted_by_decoding_only_where_no_file_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    def total_of(path: Path) -> int:
        told.clear()
        request = FrameRequest(str(path))
        return open_frames(request, progress=lambda *counts: told.append(counts)).total

    whole = video(tmp_path / 'v.avi', frames=8)
    assert (total_of(whole), told) == (8, [])
    assert (total_of(bag(tmp_path / 'bag', frames=4, damaged=None)), told) == (4, [])
    monkeypatch.setattr(VideoSource, 'frame_count', lambda _: None)
    assert total_of(whole) == 8
    assert told == [(number, 0) for number in range(1, 9)]


def test_a_stream_that_has_fewer_frames_than_it_says_is_refused(tmp_path: Path) -> None:
    frames = StreamFrames(str(video(tmp_path / 'v.avi', frames=3)), '', frozenset({0, 5}))
    with pytest.raises(SourceUnavailable, match='ends too early; expected 6 frames, as it says'):
        list(frames.read(0))


def test_bad_pictures_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=4)
    (folder / 'images' / '1.png').write_bytes(b'cut short')
    frames = open_frames(FrameRequest(str(folder)))
    found = list(frames.read(0))
    assert [isinstance(frame, BadFrame) for frame in found] == [False, True, False, False]
    bad: list[str] = []
    assert len(list(good_frames(frames, 0, bad=bad, limit=0.5))) == 3
    assert [text.split(':')[0] for text in bad] == ['images/1.png']


def test_too_many_bad_pictures_are_refused(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=4)
    (folder / 'images' / '1.png').write_bytes(b'cut short')
    frames = open_frames(FrameRequest(str(folder)))
    with pytest.raises(SourceUnavailable, match=r'1 of 4 frames cannot be used, .*images/1\.png'):
        list(good_frames(frames, 0, bad=[], limit=0.1))


def test_a_folder_of_nothing_but_bad_pictures_is_refused(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path, count=1)
    (folder / 'images' / '0.png').write_bytes(b'cut short')
    with pytest.raises(SourceUnavailable, match='no frame can be used'):
        list(good_frames(open_frames(FrameRequest(str(folder))), 0, bad=[], limit=1.0))


@pytest.mark.parametrize(
    ('request_', 'message'),
    [
        (FrameRequest('/nowhere'), 'does not exist'),
        (FrameRequest('/dev/null'), 'is a device|cannot be'),
        (FrameRequest(size=Size(8, 8)), 'scenes of 8x8'),
        (FrameRequest(seed=-1), 'seed -1'),
    ],
)
def test_what_has_no_frames_is_refused(request_: FrameRequest, message: str) -> None:
    with pytest.raises(SourceUnavailable, match=message):
        open_frames(request_)
