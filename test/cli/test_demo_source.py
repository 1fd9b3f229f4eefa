"""What the demo finds out of its source before it starts anything."""

from pathlib import Path
import tempfile

import cv2
from edge_seg.cli.demo.source import DemoSource, fitted, look_at
from edge_seg.core.values import Size
from edge_seg.errors import SourceUnavailable
import numpy as np
import pytest


def test_without_a_source_scenes_are_rendered():
    rendered = DemoSource('synthetic', Size(640, 480), 'raw', truth=True)
    assert look_at('') == look_at('synthetic') == rendered


def test_pictures_keep_their_shape(tmp_path, monkeypatch):
    folder = tmp_path / 'a walk'
    folder.mkdir()
    cv2.imwrite(str(folder / '1.png'), np.zeros((300, 501, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert look_at('a walk') == DemoSource(str(folder), Size(500, 300), 'raw')


@pytest.mark.parametrize(
    ('size', 'wanted'),
    [
        (Size(1920, 1080), Size(1280, 720)),
        (Size(1280, 720), Size(1280, 720)),
        (Size(3000, 4000), Size(960, 1280)),
        (Size(33, 1), Size(32, 2)),
    ],
)
def test_large_pictures_are_made_smaller(size, wanted):
    assert fitted(size) == wanted


def test_a_device_is_opened_by_the_camera_node_only():
    assert look_at('/dev/null') == DemoSource('/dev/null')


def test_a_device_is_known_by_what_it_is_and_not_by_its_folder(tmp_path):
    link = tmp_path / 'front camera'
    link.symlink_to('/dev/null')
    assert look_at(str(link)) == DemoSource(str(link))
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        picture = Path(folder) / '1.png'
        cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
        assert look_at(str(picture)) == DemoSource(str(picture), Size(64, 48))


def test_a_camera_that_is_not_there_is_refused_before_anything_is_started():
    with pytest.raises(SourceUnavailable, match='/dev/video987 does not exist'):
        look_at('/dev/video987')


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceUnavailable, match=r'nothing\.mp4. does not exist'):
        look_at(str(Path(tmp_path, 'nothing.mp4')))
