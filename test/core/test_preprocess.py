"""The tensor that a network gets, compared with the slow oracle."""

from dataclasses import replace
from itertools import product

from edge_seg.core.geometry import plan_geometry
from edge_seg.core.preprocess import Preprocessor, resize_stages
from edge_seg.core.values import DecodedImage, InputSpec, ResizeMode, ResizeRule, Size, TensorSpec
from edge_seg.errors import IncompatibleModel
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import oracle
import pytest

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'gray': 1}
RULES = [
    ResizeRule(),
    ResizeRule(ResizeMode.LETTERBOX, pad_value=114),
    ResizeRule(ResizeMode.LETTERBOX, pad_value=7, anchor='top_left'),
    ResizeRule(ResizeMode.CENTER_CROP),
]


def input_spec(size, order, rule, dtype='float32'):
    channels = 1 if order == 'gray' else 3
    return InputSpec(
        name='image',
        size=size,
        dtype=dtype,
        color_order=order,
        mean=MEAN[:channels],
        std=STD[:channels],
        resize=rule,
    )


def target_for(spec, layout, dtype):
    height, width, channels = spec.size.height, spec.size.width, spec.channels
    shape = {
        'NCHW': (1, channels, height, width),
        'NHWC': (1, height, width, channels),
        'NHW': (1, height, width),
        'HW': (height, width),
    }[layout]
    return TensorSpec('image', shape, dtype, layout)


def random_image(seed, size, order):
    shape = (size.height, size.width, CHANNELS[order])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return DecodedImage(pixels[..., 0] if order == 'gray' else pixels, order)


def assert_like_oracle(tensor, image, plan, spec, target):
    expected, level = oracle.preprocess(image, plan, spec, target.layout, target.dtype)
    assert tensor.shape == target.shape
    assert tensor.dtype == target.dtype
    assert tensor.flags.c_contiguous
    # cv2 rounds to whole gray levels after each stage, the oracle only at the end.
    levels = np.abs(tensor.astype(np.float64) - expected) / level
    assert levels.max() <= (1.6 if target.dtype != 'float16' else 2.2)


@pytest.mark.parametrize(
    ('layout', 'dtype', 'order', 'wanted', 'rule'),
    list(
        product(
            ['NCHW', 'NHWC'],
            ['uint8', 'float32', 'float16'],
            ['rgb', 'bgr', 'rgba', 'bgra', 'gray'],
            ['rgb', 'bgr', 'gray'],
            RULES,
        )
    ),
)
def test_every_combination_agrees_with_the_oracle(layout, dtype, order, wanted, rule):
    spec = input_spec(Size(12, 9), wanted, rule)
    target = target_for(spec, layout, dtype)
    preprocess = Preprocessor(spec, target)
    for size in (Size(17, 13), Size(5, 11), Size(48, 36)):
        image = random_image(size.width, size, order)
        plan = plan_geometry(size, spec.size, rule)
        assert_like_oracle(preprocess(image, plan), image, plan, spec, target)


sides = st.integers(1, 50)
sizes = st.builds(Size, sides, sides)


@settings(max_examples=150)
@given(
    camera=sizes,
    network=st.builds(Size, st.integers(1, 16), st.integers(1, 16)),
    rule=st.sampled_from(RULES),
    layout=st.sampled_from(['NCHW', 'NHWC']),
    dtype=st.sampled_from(['uint8', 'float32', 'float16']),
    order=st.sampled_from(sorted(CHANNELS)),
    wanted=st.sampled_from(['rgb', 'bgr', 'gray']),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_agrees_with_the_oracle(
    camera, network, rule, layout, dtype, order, wanted, seed
):
    spec = input_spec(network, wanted, rule)
    target = target_for(spec, layout, dtype)
    image = random_image(seed, camera, order)
    plan = plan_geometry(camera, network, rule)
    assert_like_oracle(Preprocessor(spec, target)(image, plan), image, plan, spec, target)


@given(
    camera=st.builds(Size, st.integers(8, 200), st.integers(8, 200)),
    rule=st.sampled_from(RULES),
)
def test_a_ramp_stays_where_it_was(camera, rule):
    """Whatever filter a ratio takes, it moves nothing: half a pixel would show as a level."""
    spec = input_spec(Size(24, 16), 'gray', rule, 'uint8')
    plan = plan_geometry(camera, spec.size, rule)
    slope = 200 / camera.width
    ramp = np.round(np.arange(camera.width) * slope + 20).astype(np.uint8)
    image = DecodedImage(np.tile(ramp, (camera.height, 1)), 'gray')
    tensor = Preprocessor(spec, target_for(spec, 'HW', 'uint8'))(image, plan)
    inner, outer = plan.network_roi, plan.camera_roi
    found = tensor[inner.rows, inner.columns][inner.height // 2].astype(float)
    centres = outer.x + (np.arange(inner.width) + 0.5) * outer.width / inner.width - 0.5
    # Beyond the outermost centres the filters repeat the edge.
    centres = np.clip(centres, outer.x, outer.x + outer.width - 1)
    assert np.abs(found - (centres * slope + 20)).max() <= 1.6


@pytest.mark.parametrize('size', [Size(48, 48), Size(49, 47), Size(96, 96), Size(45, 45)])
def test_fine_detail_is_averaged_when_shrinking(size):
    spec = input_spec(Size(12, 12), 'gray', ResizeRule(), 'uint8')
    checkers = (np.indices((size.height, size.width)).sum(axis=0) % 2 * 255).astype(np.uint8)
    plan = plan_geometry(size, spec.size, spec.resize)
    tensor = Preprocessor(spec, target_for(spec, 'HW', 'uint8'))(
        DecodedImage(checkers, 'gray'), plan
    )
    assert np.abs(tensor.astype(int) - 128).max() <= 20


@pytest.mark.parametrize(
    ('source', 'target', 'through'),
    [
        ((640, 480), (384, 288), [(384, 288)]),
        ((1920, 1080), (384, 288), [(960, 540), (384, 288)]),
        ((1280, 720), (384, 288), [(640, 360), (384, 288)]),
        ((1920, 1080), (384, 216), [(960, 540), (480, 270), (384, 216)]),
        ((768, 576), (384, 288), [(384, 288)]),
        ((384, 288), (384, 288), []),
        ((1919, 1080), (384, 216), [(384, 216)]),
    ],
)
def test_known_ratios_take_known_stages(source, target, through):
    stages = resize_stages(Size(*source), Size(*target))
    assert [size for size, _ in stages] == through


def test_padded_read_only_rows_are_taken_as_they_are():
    memory = np.random.default_rng(3).integers(0, 256, 40 * 100, np.uint8)
    memory.flags.writeable = False
    view = np.ndarray((40, 30, 3), np.uint8, memory, 0, (100, 3, 1))
    spec = input_spec(Size(12, 16), 'bgr', RULES[1])
    plan = plan_geometry(Size(30, 40), spec.size, spec.resize)
    target = target_for(spec, 'NCHW', 'float32')
    image = DecodedImage(view, 'rgb')
    assert_like_oracle(Preprocessor(spec, target)(image, plan), image, plan, spec, target)


def test_the_tensor_is_allocated_once():
    spec = input_spec(Size(12, 9), 'rgb', RULES[1])
    preprocess = Preprocessor(spec, target_for(spec, 'NCHW', 'float32'))
    tensors = []
    for size in (Size(20, 20), Size(30, 10), Size(20, 20)):
        plan = plan_geometry(size, spec.size, spec.resize)
        tensors.append(preprocess(random_image(0, size, 'rgb'), plan))
    assert tensors[0] is tensors[1] is tensors[2]


@pytest.mark.parametrize(('layout', 'dtype'), [('NCHW', 'float16'), ('NHWC', 'uint8')])
def test_a_tensor_of_somebody_else_is_filled_as_the_own_one(layout, dtype):
    spec = input_spec(Size(12, 9), 'rgb', RULES[1])
    target = target_for(spec, layout, dtype)
    preprocess = Preprocessor(spec, target)
    given = np.full(target.shape, 77, target.dtype)
    for seed, size in enumerate((Size(20, 40), Size(20, 40), Size(40, 10), Size(20, 40))):
        image = random_image(seed, size, 'bgr')
        plan = plan_geometry(size, spec.size, spec.resize)
        preprocess.fill(given, image, plan)
        np.testing.assert_array_equal(given, preprocess(image, plan))
    kept = given.copy()
    given[...] = 77  # by somebody who says so: the object is another one
    preprocess.fill(given.view(), image, plan)
    np.testing.assert_array_equal(given, kept)
    assert preprocess(image, plan) is not given


def test_padding_follows_a_change_of_camera():
    """A wide frame after a tall one must not show the tall one's edges."""
    spec = input_spec(Size(12, 12), 'rgb', RULES[1])
    target = target_for(spec, 'NHWC', 'float32')
    preprocess = Preprocessor(spec, target)
    for size in (Size(10, 40), Size(40, 10), Size(20, 20), Size(10, 40)):
        image = random_image(1, size, 'bgr')
        plan = plan_geometry(size, spec.size, spec.resize)
        assert_like_oracle(preprocess(image, plan), image, plan, spec, target)


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
def test_a_model_that_normalises_by_itself_gets_pixels_even_as_floats(layout):
    spec = input_spec(Size(12, 9), 'rgb', ResizeRule(), 'uint8')
    target = target_for(spec, layout, 'float32')
    image = random_image(0, Size(12, 9), 'rgb')
    tensor = Preprocessor(spec, target)(image, plan_geometry(image.size, spec.size, spec.resize))
    channels_last = tensor[0] if layout == 'NHWC' else np.moveaxis(tensor[0], 0, -1)
    np.testing.assert_array_equal(channels_last, image.pixels)


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_normalisation_is_the_formula_rounded_once(dtype):
    spec = input_spec(Size(256, 1), 'rgb', ResizeRule())
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    tensor = Preprocessor(spec, target_for(spec, 'NHWC', dtype))(
        DecodedImage(pixels, 'rgb'), plan_geometry(Size(256, 1), spec.size, spec.resize)
    )
    expected = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_array_equal(tensor[0], expected.astype(dtype))


@pytest.mark.parametrize(
    ('order', 'target'),
    [
        ('rgb', TensorSpec('image', (1, 1, 9, 12), 'float32', 'NCHW')),
        ('rgb', TensorSpec('image', (1, 3, 12, 9), 'float32', 'NCHW')),
        ('rgb', TensorSpec('image', (1, 3, 9, 12), 'float32', 'NHWC')),
        ('rgb', TensorSpec('image', (2, 3, 9, 12), 'float32', 'NCHW')),
        ('rgb', TensorSpec('image', (9, 12), 'float32', 'HW')),
        ('gray', TensorSpec('image', (1, 3, 9, 12), 'float32', 'NCHW')),
    ],
)
def test_a_tensor_of_another_shape_is_refused(order, target):
    with pytest.raises(IncompatibleModel, match='input image is') as caught:
        Preprocessor(input_spec(Size(12, 9), order, ResizeRule()), target)
    assert caught.value.expected
    assert caught.value.remedy


def test_a_tensor_of_another_type_is_refused():
    spec = input_spec(Size(12, 9), 'rgb', ResizeRule())
    with pytest.raises(IncompatibleModel, match='takes int8'):
        Preprocessor(spec, replace(target_for(spec, 'NCHW', 'float32'), dtype='int8'))


def test_a_plan_for_another_size_is_refused():
    spec = input_spec(Size(12, 9), 'rgb', ResizeRule())
    preprocess = Preprocessor(spec, target_for(spec, 'NCHW', 'float32'))
    image = random_image(0, Size(20, 10), 'rgb')
    for camera, network in ((Size(21, 10), spec.size), (Size(20, 10), Size(13, 9))):
        with pytest.raises(ValueError, match='plan is for'):
            preprocess(image, plan_geometry(camera, network, spec.resize))
