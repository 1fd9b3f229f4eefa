"""What the running node publishes: masks and all that is made of them."""

from collections.abc import Iterator
from dataclasses import replace
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from camera_frames import pixels_of, rgb8, scene
from colour_models import COLOURS, confidence_of, NAMES, PAINTS
import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.models.store import ModelStore
import numpy as np
from operator_node import BEST_EFFORT, Camera, LATCHED, Listener, Operator, report_of
import pytest
from segmentation_nodes import segmentation_nodes
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

VIEW = scene()
STAGES = (
    *('transport', 'take', 'decode'),
    *('preprocess', 'infer', 'postprocess'),
    *('publish', 'total', 'age'),
)


@pytest.fixture(scope='module')
def operator(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> Iterator[Operator]:
    """One active node for all tests of this file."""
    with segmentation_nodes(tmp_path_factory.mktemp('outputs'), store) as start:
        _, operator = start()
        operator.start()
        yield operator


@pytest.fixture(scope='module')
def camera(operator: Operator) -> Camera:
    return operator.camera()


@pytest.fixture(scope='module')
def masks(operator: Operator) -> Listener:
    return operator.listen('mask')


def decoded(message: CompressedImage, extension: str) -> Any:
    """Unpack a compressed output and see that it is what it says."""
    assert message.format.endswith(f'; {extension} compressed')
    pixels = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]


def test_a_mask_has_header_and_size_of_its_frame(camera: Camera, masks: Listener) -> None:
    frame = rgb8(scene(321, 123))
    mask = camera.ask(frame, masks)
    assert mask.header == frame.header
    assert mask.header.stamp.sec > 0
    assert (mask.width, mask.height) == (321, 123)
    assert (mask.encoding, mask.step, mask.is_bigendian) == ('mono8', 321, 0)
    assert len(mask.data) == 321 * 123


def test_confidence_is_the_probability_of_the_winner(operator: Operator, camera: Camera) -> None:
    frame = rgb8(VIEW)
    confidence = camera.ask(frame, operator.listen('confidence'))
    expected = np.float64([confidence_of(colour) for colour in COLOURS])[VIEW.labels]
    assert confidence.encoding == 'mono8'
    assert confidence.header == frame.header
    np.testing.assert_allclose(pixels_of(confidence), expected, atol=1)


def test_the_colour_mask_has_the_colours_of_the_manifest(
    operator: Operator, camera: Camera
) -> None:
    frame = rgb8(VIEW)
    painted = camera.ask(frame, operator.listen('color_mask'))
    assert painted.encoding == 'rgb8'
    assert painted.header == frame.header
    np.testing.assert_array_equal(pixels_of(painted), np.uint8(PAINTS)[VIEW.labels])


@pytest.mark.parametrize('alpha', [0.5, 0.0, 1.0])
def test_the_overlay_mixes_camera_and_classes(
    operator: Operator, camera: Camera, alpha: float
) -> None:
    operator.change_settings(overlay_alpha=alpha)
    frame = rgb8(VIEW)
    overlay = camera.ask(frame, operator.listen('overlay'))
    paints = np.float64(PAINTS)[VIEW.labels]
    assert overlay.encoding == 'rgb8'
    assert overlay.header == frame.header
    expected = (1 - alpha) * VIEW.rgb + alpha * paints
    np.testing.assert_allclose(pixels_of(overlay), expected, atol=1)


def test_the_overlay_of_a_bgr_camera_is_rgb(operator: Operator, camera: Camera) -> None:
    operator.change_settings(overlay_alpha=0)  # a whole number serves for a number
    frame = rgb8(VIEW)
    frame.encoding = 'bgr8'
    overlay = camera.ask(frame, operator.listen('overlay'))
    np.testing.assert_array_equal(pixels_of(overlay), VIEW.rgb[:, :, ::-1])


def test_the_compressed_mask_is_the_mask(operator: Operator, camera: Camera) -> None:
    listener = operator.listen('mask/compressed', CompressedImage)
    frame = rgb8(VIEW)
    message = camera.ask(frame, listener)
    assert message.header == frame.header
    assert message.format == 'mono8; png compressed'
    np.testing.assert_array_equal(decoded(message, 'png'), VIEW.labels)


def test_the_compressed_colour_mask_is_exact(operator: Operator, camera: Camera) -> None:
    listener = operator.listen('color_mask/compressed', CompressedImage)
    message = camera.ask(rgb8(VIEW), listener)
    np.testing.assert_array_equal(decoded(message, 'png'), np.uint8(PAINTS)[VIEW.labels])


def test_the_compressed_overlay_obeys_its_quality(operator: Operator, camera: Camera) -> None:
    listener = operator.listen('overlay/compressed', CompressedImage)
    noise = np.random.default_rng(0).integers(0, 256, VIEW.rgb.shape, np.uint8)
    noisy = replace(VIEW, rgb=cv2.blur(noise, (15, 15)))
    operator.change_settings(overlay_alpha=0.0, jpeg_quality=100)
    best = camera.ask(rgb8(noisy), listener)
    operator.change_settings(jpeg_quality=5)
    worst = camera.ask(rgb8(noisy), listener)
    assert np.abs(decoded(best, 'jpeg') - np.float64(noisy.rgb)).mean() < 4
    assert len(worst.data) < len(best.data) / 4


def test_all_outputs_of_a_frame_carry_its_header(operator: Operator, camera: Camera) -> None:
    listeners = [operator.listen(topic) for topic in ('mask', 'confidence', 'overlay')]
    listeners.append(operator.listen('mask/compressed', CompressedImage))
    answers = camera.ask(rgb8(VIEW), *listeners)
    last = answers[0].header
    again = [listener.of({last.frame_id}) for listener in listeners]
    assert [message.header for message in again] == [last] * len(listeners)


def test_labels_reach_those_who_come_late(operator: Operator) -> None:
    message = operator.listen('labels', String, LATCHED).next()
    assert json.loads(message.data) == {
        'model': 'colours@1',
        'unlabelled': 255,
        'classes': [
            {'id': index, 'name': name, 'color': list(paint)}
            for index, (name, paint) in enumerate(zip(NAMES, PAINTS, strict=True))
        ],
    }


def test_the_model_status_reaches_those_who_come_late(
    operator: Operator, store: ModelStore
) -> None:
    status = operator.listen('model_status', DiagnosticStatus, LATCHED).next()
    report = report_of(status)
    assert report.level == 0
    assert 'colours@1' in report.message
    expected = {
        'model': 'colours@1',
        'sha256': store.resolve('colours@1').manifest_sha256,
        'precision': 'fp32',
        'stage': 'serving',
        'requested': 'colours@1',
        'last_error': '',
    }
    assert {key: report.values[key] for key in expected} == expected
    assert report.values['backend'].startswith('openvino')
    assert report.values['device'].startswith('CPU')


def test_diagnostics_say_what_an_operator_asks(
    operator: Operator, camera: Camera, masks: Listener
) -> None:
    camera.ask(rgb8(VIEW), masks)
    report = operator.report(
        lambda report: (
            float(report.values['rate_out_hz']) > 0 and report.values['reliability'] == 'reliable'
        ),
        'a rate of masks from a reliable camera',
    )
    assert report.level == 0
    expected = {
        'state': 'active',
        'model': 'colours@1',
        'backend': 'openvino',
        'topic': operator.full_name('image'),
        'publishers': '1',
        'reliability': 'reliable',
        'why_no_mask': '',
    }
    assert {key: report.values[key] for key in expected} == expected
    for stage in STAGES:
        p50, p95, p99 = (float(report.values[f'{stage}_ms.{p}']) for p in ('p50', 'p95', 'p99'))
        assert 0 <= p50 <= p95 <= p99 < 60_000
    assert report.count('frames_in') >= report.count('masks_out') > 0


def test_a_best_effort_subscriber_gets_masks_too(operator: Operator, camera: Camera) -> None:
    """As Nav2's semantic layer subscribes."""
    mask = camera.ask(rgb8(VIEW), operator.listen('mask', qos=BEST_EFFORT))
    np.testing.assert_array_equal(pixels_of(mask), VIEW.labels)


STRANGER = """
import sys
import rclpy
from sensor_msgs.msg import Image

def on_mask(mask):
    print(mask.header.frame_id, mask.encoding, mask.width, mask.height, mask.step,
          bytes(mask.data[:mask.width]).hex(), flush=True)
    raise SystemExit(0)

rclpy.init()
node = rclpy.create_node('stranger')
node.create_subscription(Image, sys.argv[1], on_mask, 1)
rclpy.spin(node)
"""


def test_a_process_with_nothing_but_rclpy_receives_masks(
    operator: Operator, camera: Camera, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    frame: Image = rgb8(VIEW)
    with subprocess.Popen(
        [sys.executable, '-c', STRANGER, operator.full_name('segmentation/mask')],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as stranger:
        try:
            assert stranger.stdout is not None

            def ended() -> bool:
                camera.publish(frame)
                return stranger.poll() is not None

            operator.until(ended, 'the end of the stranger')
            frame_id, encoding, *numbers, first_row = stranger.stdout.read().split()
        finally:
            stranger.kill()
    assert frame_id.startswith('camera_')
    assert (encoding, numbers) == ('mono8', ['320', '240', '320'])
    assert bytes.fromhex(first_row) == bytes(VIEW.labels[0].tobytes())
