"""The rendered source: pace in scene time, labels, end."""

from edge_seg.sources.base import SourceFrame
from edge_seg.sources.scenes import SceneSequence
from edge_seg.sources.synthetic import SyntheticSource
import numpy as np
import pytest


def test_the_nth_frame_shows_the_scene_at_n_over_rate():
    sequence = SceneSequence(5, width=96, height=64)
    with SyntheticSource(5, width=96, height=64, rate_hz=10.0) as source:
        frames = [source.read() for _ in range(45)]
    for number in (0, 1, 39, 40, 44):
        expected = sequence.render(number / 10.0)
        np.testing.assert_array_equal(frames[number].image, expected.image)
        np.testing.assert_array_equal(frames[number].labels, expected.labels)
        assert frames[number].stamp_ns == number * 100_000_000


def test_frames_are_the_readers_own():
    with SyntheticSource(1, width=64, height=48, rate_hz=1.0) as source:
        first = source.read()
        kept = first.image.copy(), first.labels.copy()
        source.read()
        np.testing.assert_array_equal(first.image, kept[0])
        np.testing.assert_array_equal(first.labels, kept[1])


def test_iteration_ends_when_closed_and_closing_twice_is_fine():
    source = SyntheticSource(1, width=64, height=48, rate_hz=30.0)
    count = 0
    for frame in source:
        assert isinstance(frame, SourceFrame)
        count += 1
        if count == 3:
            source.close()
    assert count == 3
    source.close()


@pytest.mark.parametrize('rate_hz', [0.0, -1.0, float('nan')])
def test_a_rate_that_is_none_is_refused(rate_hz):
    with pytest.raises(ValueError, match='rate'):
        SyntheticSource(1, width=64, height=48, rate_hz=rate_hz)
