"""Masks and confidences, compared with the slow oracle."""

from itertools import product

from edge_seg.core.geometry import plan_geometry
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.values import OutputKind, ResizeMode, ResizeRule, Size, TensorSpec
from edge_seg.errors import IncompatibleModel, InferenceFailed
from hypothesis import given, settings
from hypothesis import strategies as st
from model_outputs import described, model, ONE_CHANNEL, random_output, square, STRETCH
import numpy as np
import oracle
import pytest

SCORES = (OutputKind.LOGITS, OutputKind.PROBABILITIES)
RULES = [
    STRETCH,
    ResizeRule(ResizeMode.LETTERBOX),
    ResizeRule(ResizeMode.LETTERBOX, anchor='top_left'),
    ResizeRule(ResizeMode.CENTER_CROP),
]
CONFIDENCE_STEPS = 0.51  # half a level of rounding, and float32


def assert_like_oracle(tensor, layout, kind, spec, plan):
    postprocess = Postprocessor(described(tensor, layout), kind, spec)
    labels, confidence, margin = oracle.postprocess(tensor, layout, kind, spec, plan)
    found = postprocess.labels(tensor, plan)
    assert found.dtype == spec.label_dtype
    # Scores scaled in float32 and in float64 may break a tie differently; nothing else may.
    sure = True if spec.output.resample == 'labels' or margin is None else margin > 1e-4
    np.testing.assert_array_equal(np.where(sure, found, 0), np.where(sure, labels, 0))
    assert postprocess.has_confidence is (kind is not OutputKind.LABELS)
    if not postprocess.has_confidence:
        return
    mask = postprocess.labels_and_confidence(tensor, plan)
    np.testing.assert_array_equal(mask.labels, found)
    assert mask.confidence.dtype == np.uint8
    difference = np.abs(mask.confidence.astype(float) - np.round(confidence))
    assert np.where(sure, difference, 0).max() <= 1
    assert np.where(sure, np.abs(mask.confidence - confidence), 0).max() <= CONFIDENCE_STEPS


COMBINATIONS = [
    *product(SCORES, ['NCHW', 'NHWC'], ['float32', 'float16'], RULES, ['labels', 'logits']),
    *product(
        ONE_CHANNEL,
        ['NCHW', 'NHWC', 'NHW', 'HW'],
        ['float32', 'float16'],
        RULES,
        ['labels', 'logits'],
    ),
    *product(
        [OutputKind.LABELS],
        ['NCHW', 'NHWC', 'NHW', 'HW'],
        ['int64', 'int32', 'uint8', 'float32'],
        RULES,
        ['labels'],
    ),
]


@pytest.mark.parametrize(('kind', 'layout', 'dtype', 'rule', 'resample'), COMBINATIONS)
def test_every_combination_agrees_with_the_oracle(kind, layout, dtype, rule, resample):
    classes = 2 if kind in ONE_CHANNEL else 5
    network = Size(24, 16)
    spec = model(network, classes=classes, kind=kind, layout=layout, rule=rule, resample=resample)
    for stride, camera in ((1, Size(37, 21)), (4, Size(13, 30))):
        cells = Size(network.width // stride, network.height // stride)
        tensor = random_output(stride, kind, layout, cells, classes=classes, dtype=dtype)
        assert_like_oracle(tensor, layout, kind, spec, plan_geometry(camera, network, rule))


sides = st.integers(1, 24)
sizes = st.builds(Size, sides, sides)


@settings(max_examples=200)
@given(
    camera=sizes,
    network=sizes,
    cells=sizes,
    case=st.sampled_from(COMBINATIONS),
    classes=st.integers(1, 7),
    ignore=st.one_of(st.none(), st.integers(0, 6)),
    threshold=st.sampled_from([0.5, 0.1, 0.9]),
    coarse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_agrees_with_the_oracle(
    camera, network, cells, case, classes, ignore, threshold, coarse, seed
):
    kind, layout, dtype, rule, resample = case
    classes = 2 if kind in ONE_CHANNEL else classes
    spec = model(
        network,
        classes=classes,
        kind=kind,
        layout=layout,
        rule=rule,
        resample=resample,
        threshold=threshold,
        ignore_id=ignore,
    )
    tensor = random_output(seed, kind, layout, cells, classes=classes, dtype=dtype, coarse=coarse)
    assert_like_oracle(tensor, layout, kind, spec, plan_geometry(camera, network, rule))


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('classes', [1, 2, 21, 255, 256, 300, 600])
def test_winners_are_those_of_argmax_for_any_number_of_classes(layout, classes):
    size = Size(13, 7)
    tensor = random_output(classes, OutputKind.LOGITS, layout, size, classes=classes, coarse=True)
    spec = model(size, classes=classes, layout=layout)
    found = Postprocessor(described(tensor, layout), OutputKind.LOGITS, spec).labels(
        tensor, plan_geometry(size, size, STRETCH)
    )
    assert found.dtype == (np.uint8 if classes <= 255 else np.uint16)
    axis = 1 if layout == 'NCHW' else 3
    np.testing.assert_array_equal(found, tensor.argmax(axis=axis)[0])


@pytest.mark.parametrize('kind', [*SCORES, *ONE_CHANNEL])
@pytest.mark.parametrize('size', [Size(640, 479), Size(1, 200_003), Size(200_003, 1)], ids=str)
def test_large_outputs_are_decided_in_every_row(kind, size):
    classes = 2 if kind in ONE_CHANNEL else 4
    tensor = random_output(7, kind, 'NCHW', size, classes=classes, coarse=True)
    postprocess, plan = square(tensor, kind, classes=classes)
    labels, share = oracle.decide(tensor[0], kind, 0.5)
    mask = postprocess.labels_and_confidence(tensor, plan)
    np.testing.assert_array_equal(mask.labels, labels)
    assert np.abs(mask.confidence - share * 255).max() <= CONFIDENCE_STEPS
    np.testing.assert_array_equal(postprocess.labels(tensor, plan), labels)


@pytest.mark.parametrize('shape', [(1, 3, 1, 1), (1, 3, 4, 1), (1, 3, 1, 4)])
def test_the_first_of_equal_scores_wins(shape):
    tensor = np.ones(shape, np.float32)
    tensor[0, 0] = 0
    postprocess, plan = square(tensor, OutputKind.LOGITS, classes=3)
    assert (postprocess.labels(tensor, plan) == 1).all()


def test_infinite_logits_have_winners_too():
    tensor = np.zeros((1, 3, 1, 3), np.float32)
    tensor[0, :, 0, 0] = -np.inf, -np.inf, 4
    tensor[0, :, 0, 1] = 1, np.inf, 4
    tensor[0, :, 0, 2] = -np.inf
    postprocess, plan = square(tensor, OutputKind.LOGITS, classes=3)
    mask = postprocess.labels_and_confidence(tensor, plan)
    np.testing.assert_array_equal(mask.labels, [[2, 1, 0]])
    np.testing.assert_array_equal(mask.confidence, [[255, 0, 0]])


@pytest.mark.parametrize('scale', [1e-3, 1, 50, 1e4, 1e30])
@pytest.mark.parametrize('resample', ['labels', 'logits'])
def test_confidence_survives_any_magnitude(scale, resample):
    tensor = random_output(5, OutputKind.LOGITS, 'NCHW', Size(6, 5)) * np.float32(scale)
    postprocess, plan = square(tensor, OutputKind.LOGITS, resample=resample)
    expected = oracle.decide(tensor[0], OutputKind.LOGITS, 0.5)[1] * 255
    found = postprocess.labels_and_confidence(tensor, plan).confidence
    assert np.abs(found - expected).max() <= CONFIDENCE_STEPS


@pytest.mark.parametrize('resample', ['labels', 'logits'])
@pytest.mark.parametrize('kind', [*SCORES, *ONE_CHANNEL])
@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_nan_is_an_error_and_not_a_class(kind, dtype, resample):
    classes = 2 if kind in ONE_CHANNEL else 5
    tensor = random_output(0, kind, 'NCHW', Size(6, 5), classes=classes, dtype=dtype)
    postprocess, plan = square(tensor, kind, classes=classes, resample=resample)
    tensor[0, -1, 2, 3] = np.nan
    with pytest.raises(InferenceFailed, match='holds NaN'):
        postprocess.labels(tensor, plan)
    tensor[0, -1, 2, 3] = 0.5
    postprocess.labels(tensor, plan)  # the next frame is not the worse for it


@pytest.mark.parametrize(
    ('threshold', 'labels'),
    [(0.5, [0, 1, 1]), (0.25, [1, 1, 1]), (0.75, [0, 0, 1]), (0.8, [0, 0, 0])],
)
def test_a_probability_at_the_threshold_is_class_one(threshold, labels):
    tensor = np.array([[0.25, 0.5, 0.75]], np.float32)
    postprocess, plan = square(tensor, OutputKind.SIGMOID, 'HW', classes=2, threshold=threshold)
    np.testing.assert_array_equal(postprocess.labels(tensor, plan), [labels])


@pytest.mark.parametrize(('threshold', 'labels'), [(0.5, [0, 1, 1]), (0, [1, 1, 1]), (1, [0] * 3)])
def test_the_threshold_of_logits_is_a_probability(threshold, labels):
    tensor = np.array([[-0.01, 0, 500]], np.float32)
    postprocess, plan = square(
        tensor, OutputKind.SIGMOID_LOGITS, 'HW', classes=2, threshold=threshold
    )
    np.testing.assert_array_equal(postprocess.labels(tensor, plan), [labels])


def test_confidence_of_one_channel_is_that_of_the_class_taken():
    tensor = np.array([[-3, 3, 0, -200, 200]], np.float32)
    postprocess, plan = square(tensor, OutputKind.SIGMOID_LOGITS, 'HW', classes=2, threshold=0.9)
    mask = postprocess.labels_and_confidence(tensor, plan)
    np.testing.assert_array_equal(mask.labels, [[0, 1, 0, 0, 1]])
    np.testing.assert_array_equal(mask.confidence, [[243, 243, 128, 255, 255]])


@pytest.mark.parametrize('resample', ['labels', 'logits'])
@pytest.mark.parametrize('kind', [OutputKind.LOGITS, OutputKind.LABELS])
def test_masks_belong_to_the_caller(kind, resample):
    """What one frame got must survive the next, and the backend's reuse of its memory."""
    dtype = 'uint8' if kind is OutputKind.LABELS else 'float32'
    tensor = random_output(1, kind, 'NCHW', Size(8, 6), dtype=dtype)
    postprocess, plan = square(tensor, kind, resample=resample)
    first = postprocess.labels(tensor, plan)
    kept = first.copy()
    tensor[...] = random_output(2, kind, 'NCHW', Size(8, 6), dtype=dtype)
    second = postprocess.labels(tensor, plan)
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize('resample', ['labels', 'logits'])
def test_masks_are_written_where_the_caller_wants_them(resample):
    size, network = Size(30, 20), Size(12, 12)
    spec = model(network, rule=ResizeRule(ResizeMode.CENTER_CROP), resample=resample)
    tensor = random_output(1, OutputKind.LOGITS, 'NCHW', network)
    plan = plan_geometry(size, network, spec.input.resize)
    postprocess = Postprocessor(described(tensor, 'NCHW'), OutputKind.LOGITS, spec)
    out, certainty = np.zeros((20, 30), np.uint8), np.ones((20, 30), np.uint8)
    fresh = postprocess.labels_and_confidence(tensor, plan)
    mask = postprocess.labels_and_confidence(tensor, plan, out=out, confidence_out=certainty)
    assert mask.labels is out
    assert mask.confidence is certainty
    np.testing.assert_array_equal(out, fresh.labels)
    np.testing.assert_array_equal(certainty, fresh.confidence)
    assert (certainty[:, :5] == 0).all()
    assert (out[:, :5] == 255).all()


def test_one_postprocessor_follows_a_change_of_camera():
    network = Size(12, 9)
    spec = model(network, rule=RULES[1], resample='logits')
    tensor = random_output(1, OutputKind.LOGITS, 'NCHW', network)
    postprocess = Postprocessor(described(tensor, 'NCHW'), OutputKind.LOGITS, spec)
    for size in (Size(30, 20), Size(7, 31), Size(30, 20)):
        plan = plan_geometry(size, network, spec.input.resize)
        fresh = Postprocessor(described(tensor, 'NCHW'), OutputKind.LOGITS, spec)
        np.testing.assert_array_equal(postprocess.labels(tensor, plan), fresh.labels(tensor, plan))


@pytest.mark.parametrize(
    ('kind', 'layout', 'shape', 'classes', 'met'),
    [
        (OutputKind.LOGITS, 'NCHW', (1, 4, 6, 5), 5, '4 channels'),
        (OutputKind.LOGITS, 'NHWC', (1, 5, 6, 8), 5, '8 channels'),
        (OutputKind.LOGITS, 'HW', (6, 5), 5, '1 channels'),
        (OutputKind.PROBABILITIES, 'NCHW', (2, 5, 6, 5), 5, 'has shape'),
        (OutputKind.LOGITS, 'NCHW', (5, 6, 5), 5, 'has shape'),
        (OutputKind.LABELS, 'NCHW', (1, 5, 6, 5), 5, '5 channels'),
        (OutputKind.LABELS, 'NHW', (1, 0, 5), 5, 'has shape'),
        (OutputKind.SIGMOID, 'NCHW', (1, 2, 6, 5), 2, '2 channels'),
        (OutputKind.SIGMOID, 'NCHW', (1, 1, 6, 5), 3, '3 classes'),
    ],
)
def test_an_output_that_contradicts_the_model_is_refused(kind, layout, shape, classes, met):
    spec = model(Size(5, 6), classes=classes, kind=kind, layout=layout)
    with pytest.raises(IncompatibleModel, match=met) as caught:
        Postprocessor(TensorSpec('scores', shape, 'float32', layout), kind, spec)
    assert caught.value.expected
    assert caught.value.remedy


def test_an_output_of_another_shape_than_declared_is_an_error():
    tensor = random_output(1, OutputKind.LOGITS, 'NCHW', Size(6, 5))
    postprocess, plan = square(tensor, OutputKind.LOGITS)
    with pytest.raises(InferenceFailed, match='has shape'):
        postprocess.labels(tensor[:, :, :4], plan)
