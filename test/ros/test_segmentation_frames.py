"""Frames through the running node: every encoding, and bad ones in between."""

from collections.abc import Callable, Iterator

from camera_frames import (
    COLOR_ENCODERS,
    GRAY_ENCODERS,
    gray_scene,
    near_edges,
    pixels_of,
    rgb8,
    Scene,
    scene,
    sixteen_bit,
)
from edge_seg.models.store import ModelStore
import numpy as np
from operator_node import Camera, Listener, Operator
import pytest
from segmentation_nodes import segmentation_nodes
from segmentation_process import SegmentationProcess
from sensor_msgs.msg import Image

BLUR = {name: 3 for name in COLOR_ENCODERS if name.startswith('bayer')}
"""How far from an edge an encoding mixes colours, pixels."""


@pytest.fixture(scope='module')
def running(
    tmp_path_factory: pytest.TempPathFactory, store: ModelStore
) -> Iterator[tuple[SegmentationProcess, Operator]]:
    """One active node for all tests of this file."""
    with segmentation_nodes(tmp_path_factory.mktemp('frames'), store) as start:
        process, operator = start()
        operator.start()
        yield process, operator


@pytest.fixture(scope='module')
def operator(running: tuple[SegmentationProcess, Operator]) -> Operator:
    return running[1]


@pytest.fixture(scope='module')
def camera(operator: Operator) -> Camera:
    return operator.settled_camera()


@pytest.fixture(scope='module')
def masks(operator: Operator) -> Listener:
    return operator.listen('mask')


def assert_shows(mask: Image, view: Scene, *, blur: int = 0) -> None:
    """Compare a mask with what the camera saw, except within ``blur`` pixels of an edge."""
    expected = view.labels
    assert (mask.height, mask.width) == expected.shape
    labels = np.where(near_edges(expected, blur), expected, pixels_of(mask))
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize('encoding', COLOR_ENCODERS)
def test_a_colour_image_gets_the_mask_of_its_colours(
    camera: Camera, masks: Listener, encoding: str
) -> None:
    view = scene()
    mask = camera.ask(COLOR_ENCODERS[encoding](view.rgb), masks)
    assert_shows(mask, view, blur=BLUR.get(encoding, 0))


@pytest.mark.parametrize('encoding', GRAY_ENCODERS)
def test_a_gray_image_gets_the_mask_of_its_brightness(
    camera: Camera, masks: Listener, encoding: str
) -> None:
    view = gray_scene()
    assert_shows(camera.ask(GRAY_ENCODERS[encoding](view), masks), view)


@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_the_byte_order_of_16_bit_images_is_honoured(
    camera: Camera, masks: Listener, encoding: str
) -> None:
    view = gray_scene()
    assert_shows(camera.ask(sixteen_bit(encoding, view, big_endian=True), masks), view)


@pytest.mark.parametrize('padding', [1, 64])
def test_padded_rows_do_not_shear_the_mask(camera: Camera, masks: Listener, padding: int) -> None:
    view = scene()
    frame = rgb8(view, padding=padding)
    assert frame.step == 3 * frame.width + padding
    assert_shows(camera.ask(frame, masks), view)


def test_the_padding_of_the_last_row_may_be_missing(camera: Camera, masks: Listener) -> None:
    view = scene()
    frame = rgb8(view, padding=16)
    frame.data = frame.data[:-16]
    assert_shows(camera.ask(frame, masks), view)


def test_masks_follow_a_change_of_resolution(camera: Camera, masks: Listener) -> None:
    for width, height, blur in [
        (320, 240, 0), (640, 480, 0), (161, 97, 4), (1280, 60, 12), (31, 200, 4), (320, 240, 0),
    ]:  # fmt: skip
        view = scene(width, height)
        assert_shows(camera.ask(rgb8(view), masks), view, blur=blur)


def test_masks_follow_a_change_of_encoding(camera: Camera, masks: Listener) -> None:
    view = scene()
    for encoding in ('bgr8', 'nv12', 'rgba8', 'yuv422', 'bgr8'):
        assert_shows(camera.ask(COLOR_ENCODERS[encoding](view.rgb), masks), view)


def test_a_single_pixel_gets_a_mask(camera: Camera, masks: Listener) -> None:
    view = scene(1, 1)
    assert_shows(camera.ask(rgb8(view), masks), view)


def _changed(**fields: object) -> Image:
    frame = rgb8(scene())
    for name, value in fields.items():
        setattr(frame, name, value)
    return frame


def _cut(count: int) -> Image:
    frame = rgb8(scene())
    frame.data = frame.data[:-count]
    return frame


BAD_FRAMES: dict[str, tuple[Callable[[], Image], str]] = {
    'an encoding that nobody knows': (lambda: _changed(encoding='x123'), 'unsupported_encoding'),
    'no encoding': (lambda: _changed(encoding=''), 'unsupported_encoding'),
    'a pixel too few': (lambda: _cut(3), 'truncated_data'),
    'no data': (lambda: _cut(320 * 240 * 3), 'truncated_data'),
    'no width': (lambda: _changed(width=0), 'zero_size'),
    'no height': (lambda: _changed(height=0), 'zero_size'),
    'an empty message': (Image, 'zero_size'),
    'a size beyond all cameras': (
        lambda: _changed(width=2**32 - 1, height=2**32 - 1, step=2**32 - 1),
        'absurd_size',
    ),
    'a size that would fill the memory': (
        lambda: _changed(width=30_000, height=30_000, step=90_000),
        'absurd_size',
    ),
    'a step below a row': (lambda: _changed(step=320), 'wrong_step'),
    'no step': (lambda: _changed(step=0), 'wrong_step'),
    'a step beyond the data': (lambda: _changed(step=2**32 - 1), 'truncated_data'),
    'an odd width of halved chroma': (
        lambda: _changed(encoding='nv12', width=319),
        'undecodable',
    ),
}


@pytest.mark.parametrize('case', BAD_FRAMES)
def test_a_bad_frame_is_counted_by_its_reason_and_the_next_one_answered(
    running: tuple[SegmentationProcess, Operator], camera: Camera, masks: Listener, case: str
) -> None:
    process, operator = running
    make, reason = BAD_FRAMES[case]
    camera.ask(rgb8(scene()), masks)  # camera and node have found each other
    before = operator.last_report().count(f'drops.{reason}')

    bad = camera.publish(make())
    report = operator.report(
        lambda report: report.count(f'drops.{reason}') > before, f'a drop for {reason}'
    )
    view = scene()
    mask = camera.ask(rgb8(view), masks)

    assert report.level == 1, report
    assert reason in report.message
    assert report.count(f'drops.{reason}') == before + 1
    assert_shows(mask, view)
    assert not masks.of({bad})
    assert 'Traceback' not in process.log


def test_the_accepted_encodings_are_logged(
    running: tuple[SegmentationProcess, Operator], camera: Camera, masks: Listener
) -> None:
    process, operator = running
    camera.ask(rgb8(scene()), masks)
    camera.publish(_changed(encoding='x124'))
    operator.until(
        # Another of these may have been the first in this process: the log does not repeat itself.
        lambda: "image encoding '" in process.log and 'rgb8, bgr8' in process.log,
        'the list of encodings in the log',
    )


def test_memory_stays_flat_while_frames_of_all_kinds_come(
    running: tuple[SegmentationProcess, Operator], camera: Camera, masks: Listener
) -> None:
    process, operator = running
    extra = [operator.listen(topic) for topic in ('confidence', 'color_mask', 'overlay')]
    frames = [rgb8(scene(width, 120)) for width in (160, 80, 320)]
    frames += [encode(scene(160, 120).rgb) for encode in COLOR_ENCODERS.values()]
    frames += [make() for make, _ in BAD_FRAMES.values()]

    def send(count: int) -> int:
        for number in range(count):
            camera.publish(frames[number % len(frames)])
            if number % 20 == 0:  # so that frames are worked on and not only replaced
                camera.ask(frames[number // 20 % 3], masks, *extra)
        return process.resident_kib

    before_kib = send(1000)
    masks.messages.clear()
    grown_kib = send(3000) - before_kib
    for listener in extra:
        listener.close()
    assert grown_kib < 24 * 1024, f'{grown_kib} KiB more after 3000 frames'
