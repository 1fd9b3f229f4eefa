"""Where pixels go on the way to the network and back."""

from dataclasses import replace

from edge_seg.core.geometry import labels_to_camera, plan_geometry, Roi, scores_to_camera
from edge_seg.core.values import ResizeMode, ResizeRule, Size
from hypothesis import example, given
from hypothesis import strategies as st
import numpy as np
import oracle
import pytest

STRETCH = ResizeRule()
LETTERBOX = ResizeRule(ResizeMode.LETTERBOX)
CROP = ResizeRule(ResizeMode.CENTER_CROP)

sides = st.integers(1, 40)
sizes = st.builds(Size, sides, sides)
rules = st.sampled_from(
    [STRETCH, LETTERBOX, replace(LETTERBOX, anchor='top_left', pad_value=0), CROP]
)
seeds = st.integers(0, 2**32 - 1)


def random_labels(seed, size, classes=5, dtype=np.uint8):
    generator = np.random.default_rng(seed)
    return generator.integers(0, classes, (size.height, size.width)).astype(dtype)


@pytest.mark.parametrize(
    ('camera', 'network', 'rule', 'camera_roi', 'network_roi'),
    [
        ((640, 480), (384, 288), STRETCH, (0, 0, 640, 480), (0, 0, 384, 288)),
        ((1920, 1080), (384, 288), STRETCH, (0, 0, 1920, 1080), (0, 0, 384, 288)),
        ((1920, 1080), (384, 288), LETTERBOX, (0, 0, 1920, 1080), (0, 36, 384, 216)),
        ((1080, 1920), (384, 288), LETTERBOX, (0, 0, 1080, 1920), (111, 0, 162, 288)),
        (
            (1920, 1080),
            (384, 288),
            replace(LETTERBOX, anchor='top_left'),
            (0, 0, 1920, 1080),
            (0, 0, 384, 216),
        ),
        ((1920, 1080), (384, 288), CROP, (240, 0, 1440, 1080), (0, 0, 384, 288)),
        ((480, 640), (384, 288), CROP, (0, 140, 480, 360), (0, 0, 384, 288)),
        ((16384, 1), (384, 288), LETTERBOX, (0, 0, 16384, 1), (0, 143, 384, 1)),
        ((1, 16384), (384, 288), CROP, (0, 8191, 1, 1), (0, 0, 384, 288)),
    ],
)
def test_plan_of_known_sizes(camera, network, rule, camera_roi, network_roi):
    plan = plan_geometry(Size(*camera), Size(*network), rule)
    assert plan.camera_roi == Roi(*camera_roi)
    assert plan.network_roi == Roi(*network_roi)


@pytest.mark.parametrize('size', [Size(0, 10), Size(10, 0), Size(-1, 5)])
def test_plan_refuses_a_size_without_pixels(size):
    with pytest.raises(ValueError, match='sizes must be positive'):
        plan_geometry(size, Size(8, 8), STRETCH)
    with pytest.raises(ValueError, match='sizes must be positive'):
        plan_geometry(Size(8, 8), size, STRETCH)


@given(camera=sizes, network=sizes, rule=rules)
@example(camera=Size(16384, 1), network=Size(3, 500), rule=LETTERBOX)
@example(camera=Size(1, 16384), network=Size(500, 3), rule=CROP)
def test_rois_lie_inside_and_keep_the_aspect_to_half_a_pixel(camera, network, rule):
    plan = plan_geometry(camera, network, rule)
    for roi, frame in ((plan.camera_roi, camera), (plan.network_roi, network)):
        assert roi.x >= 0
        assert roi.y >= 0
        assert roi.width >= 1
        assert roi.height >= 1
        assert roi.x + roi.width <= frame.width
        assert roi.y + roi.height <= frame.height
    if rule.mode is ResizeMode.STRETCH:
        assert not plan.is_padded
        assert not plan.is_cropped
        return
    # One side fills its frame; the other is what the aspect ratio asks for, rounded.
    inner, outer = plan.network_roi, camera
    if rule.mode is ResizeMode.CENTER_CROP:
        inner, outer = plan.camera_roi, network
    ideal_height = inner.width * outer.height / outer.width
    ideal_width = inner.height * outer.width / outer.height
    assert (
        abs(ideal_height - inner.height) <= 0.5
        or abs(ideal_width - inner.width) <= 0.5
        or min(inner.width, inner.height) == 1
    )


@given(camera=sizes, network=sizes, cells=sizes, rule=rules, seed=seeds)
def test_labels_come_back_as_the_oracle_says(camera, network, cells, rule, seed):
    plan = plan_geometry(camera, network, rule)
    labels = random_labels(seed, cells)
    found = labels_to_camera(labels, plan, unlabelled=255)
    np.testing.assert_array_equal(found, oracle.nearest(labels, plan, 255))


@given(camera=sizes, network=sizes, rule=rules, seed=seeds)
def test_sixteen_bit_labels_come_back_too(camera, network, rule, seed):
    plan = plan_geometry(camera, network, rule)
    labels = random_labels(seed, network, 1000, np.uint16)
    found = labels_to_camera(labels, plan, unlabelled=65535)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, oracle.nearest(labels, plan, 65535))


def into_network(labels, plan):
    """Resample camera labels into the network's frame: the pixel under each centre."""
    inner, outer = plan.network_roi, plan.camera_roi
    xs = oracle.centres(inner.width, outer.x, outer.width, 1, 1)
    ys = oracle.centres(inner.height, outer.y, outer.height, 1, 1)
    canvas = np.full((plan.network.height, plan.network.width), 200, labels.dtype)
    canvas[inner.rows, inner.columns] = labels[np.ix_([int(y) for y in ys], [int(x) for x in xs])]
    return canvas


@given(camera=sizes, extra=sizes, rule=st.sampled_from([STRETCH, LETTERBOX]), seed=seeds)
@example(camera=Size(1, 39), extra=Size(40, 1), rule=LETTERBOX, seed=0)
def test_enlarging_and_back_is_the_identity(camera, extra, rule, seed):
    network = Size(camera.width + extra.width, camera.height + extra.height)
    plan = plan_geometry(camera, network, rule)
    labels = random_labels(seed, camera)
    back = labels_to_camera(into_network(labels, plan), plan, unlabelled=255)
    np.testing.assert_array_equal(back, labels)


@given(camera=sizes, network=sizes, rule=rules)
def test_a_camera_pixel_comes_back_from_less_than_one_sample_away(camera, network, rule):
    """Positions survive the round trip to half a network pixel and half a camera pixel."""
    plan = plan_geometry(camera, network, rule)
    roi = plan.camera_roi
    columns = np.arange(camera.width, dtype=np.uint16)
    there = into_network(np.tile(columns, (camera.height, 1)), plan)
    back = labels_to_camera(there, plan, unlabelled=65535)[roi.rows, roi.columns]
    shift = back.astype(float) - columns[roi.columns]
    assert np.abs(shift).max() <= 0.5 + 0.5 * roi.width / plan.network_roi.width
    assert abs(shift.mean()) <= 0.5  # and without a drift to one side


@given(camera=sizes, network=sizes, rule=st.sampled_from([LETTERBOX, CROP]), seed=seeds)
def test_padding_never_reaches_the_mask(camera, network, rule, seed):
    plan = plan_geometry(camera, network, rule)
    labels = np.full((network.height, network.width), 9, np.uint8)
    inner = plan.network_roi
    labels[inner.rows, inner.columns] = 1
    found = labels_to_camera(labels, plan, unlabelled=255)
    roi = plan.camera_roi
    assert (found[roi.rows, roi.columns] == 1).all()
    assert (found == 255).sum() == camera.width * camera.height - roi.width * roi.height


@given(
    camera=sizes,
    cells=st.builds(Size, st.integers(1, 10), st.integers(1, 10)),
    stride=st.sampled_from([1, 2, 4, 8]),
    rule=rules,
    seed=seeds,
)
def test_scores_are_interpolated_as_the_oracle_says(camera, cells, stride, rule, seed):
    network = Size(cells.width * stride, cells.height * stride)
    plan = plan_geometry(camera, network, rule)
    plane = np.random.default_rng(seed).normal(size=(cells.height, cells.width))
    plane = plane.astype(np.float32)
    np.testing.assert_allclose(
        scores_to_camera(plane, plan), oracle.scores_in_roi(plane, plan), atol=2e-5
    )


def test_results_are_written_where_the_caller_wants_them():
    plan = plan_geometry(Size(20, 10), Size(8, 8), CROP)
    labels = random_labels(1, Size(8, 8))
    out = np.zeros((10, 20), np.uint8)
    assert labels_to_camera(labels, plan, unlabelled=255, out=out) is out
    np.testing.assert_array_equal(out, oracle.nearest(labels, plan, 255))
    plane = np.ones((8, 8), np.float32)
    scores = np.zeros((10, 10), np.float32)
    assert scores_to_camera(plane, plan, out=scores) is scores
    assert (scores == 1).all()


@pytest.mark.parametrize('size', [Size(20, 10), Size(8, 8)])
def test_a_fresh_result_shares_nothing_with_the_labels(size):
    labels = random_labels(1, Size(8, 8))
    plan = plan_geometry(size, Size(8, 8), STRETCH)
    assert not np.shares_memory(labels, labels_to_camera(labels, plan, unlabelled=255))


@pytest.mark.parametrize('out', [np.zeros((20, 10), np.uint8), np.zeros((10, 20), np.uint16)])
def test_a_wrong_result_array_is_refused(out):
    plan = plan_geometry(Size(20, 10), Size(8, 8), STRETCH)
    with pytest.raises(ValueError, match='is needed'):
        labels_to_camera(random_labels(1, Size(8, 8)), plan, unlabelled=255, out=out)
