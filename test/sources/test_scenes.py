"""Procedural scenes: determinism, labels that fit the picture, motion and cost."""

import time

from edge_seg.sources.scene_classes import SCENE_CLASS_COLORS, SCENE_CLASS_NAMES, SceneClass
from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scenes import SceneSequence
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


@pytest.mark.parametrize('seed', [0, 7, 123456])
def test_equal_arguments_give_equal_frames_in_any_order(seed):
    moments = [0.0, 9.3, 2.5, 4.0]
    first = SceneSequence(seed, width=160, height=120)
    frames = {t_s: first.render(t_s) for t_s in moments}
    second = SceneSequence(seed, width=160, height=120)
    for t_s in reversed(moments):
        again = second.render(t_s)
        np.testing.assert_array_equal(again.image, frames[t_s].image)
        np.testing.assert_array_equal(again.labels, frames[t_s].labels)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    t_s=st.floats(0.0, 3600.0),
    width=st.integers(16, 300),
    height=st.integers(16, 300),
)
def test_every_size_seed_and_time_renders_known_classes(seed, t_s, width, height):
    frame = SceneSequence(seed, width=width, height=height).render(t_s)
    assert frame.image.shape == (height, width, 3)
    assert frame.image.dtype == frame.labels.dtype == np.uint8
    assert frame.labels.shape == (height, width)
    assert frame.labels.max() <= max(SceneClass)


def test_scenes_of_many_seeds_show_every_class_and_differ():
    seen = np.zeros(len(SceneClass))
    pictures = []
    for seed in range(20):
        frame = SceneSequence(seed, width=160, height=120).render(1.0)
        seen += np.bincount(frame.labels.ravel(), minlength=len(SceneClass))
        pictures.append(frame.image.astype(np.float32))
    shares = seen / seen.sum()
    assert (shares > (0.03, 0.25, 0.1, 0.03, 0.01)).all(), shares
    differences = [np.abs(a - b).mean() for a, b in zip(pictures[:-1], pictures[1:], strict=True)]
    assert min(differences) > 10.0


def test_frames_move_smoothly_inside_a_scene_and_jump_between_scenes():
    sequence = SceneSequence(3, width=160, height=120)

    def label_change(t_s, step_s):
        before, after = sequence.render(t_s).labels, sequence.render(t_s + step_s).labels
        return float((before != after).mean())

    assert label_change(1.0, 1 / 30) < 0.03
    assert label_change(1.0, 1.5) > label_change(1.0, 1 / 30)
    assert label_change(SCENE_PERIOD_S - 0.01, 0.02) > 0.1


def test_labels_lie_on_the_picture_exactly():
    """Contours in the labels coincide with contours in the picture; a shift makes them worse."""
    better = 0
    for seed in range(8):
        frame = SceneSequence(seed, width=320, height=240).render(0.5)
        gray = frame.image.astype(np.float32).mean(axis=2)
        gradient = np.abs(np.diff(gray, axis=1))
        contour = np.diff(frame.labels.astype(int), axis=1) != 0
        aligned = gradient[contour].mean()
        shifted = [gradient[np.roll(contour, shift, axis=1)].mean() for shift in (-3, 3)]
        better += aligned > max(shifted)
    assert better == 8


def test_floor_never_lies_above_the_horizon_band():
    """No stray floor labels in sky, ceiling or along wall tops."""
    for seed in range(30):
        labels = SceneSequence(seed, width=320, height=240).render(2.0).labels
        assert not (labels[:20] == SceneClass.FLOOR).any(), seed


def test_classes_are_named_and_coloured_once():
    assert SCENE_CLASS_NAMES == ('background', 'floor', 'wall', 'obstacle', 'person')
    assert len(set(SCENE_CLASS_COLORS)) == len(SCENE_CLASS_NAMES)


@pytest.mark.parametrize('t_s', [-0.1, float('nan'), float('inf')])
def test_impossible_times_are_refused(t_s):
    with pytest.raises(ValueError, match='scene time'):
        SceneSequence(0, width=64, height=64).render(t_s)


def test_impossible_sizes_and_seeds_are_refused():
    with pytest.raises(ValueError, match='8x64'):
        SceneSequence(0, width=8, height=64)
    with pytest.raises(ValueError, match='-1'):
        SceneSequence(-1, width=64, height=64)


@pytest.mark.bench
def test_a_vga_frame_takes_a_third_of_a_frame_time():
    sequence = SceneSequence(0, width=640, height=480)
    sequence.render(0.0)
    times = []
    for number in range(90):
        started = time.perf_counter()
        sequence.render(number / 30.0)
        times.append(time.perf_counter() - started)
    assert np.median(times) < 0.012
