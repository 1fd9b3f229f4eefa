"""The demo's contact sheet and film, and the frames that are picked for them."""

import cv2
from edge_seg.cli.demo.evaluation import Evaluation
from edge_seg.cli.demo.moments import FramePictures, MomentPlan, MOMENTS, Moments
from edge_seg.cli.demo.pictures import (
    contact_sheet,
    film_panels,
    film_picture,
    PANEL_WIDTH,
    write_film,
    write_sheet,
)
from edge_seg.core.palette import Palette
from edge_seg.core.values import ClassInfo
import numpy as np
import pytest

CLASSES = (ClassInfo('floor', (0, 160, 90)), ClassInfo('wall', (110, 130, 200)))
CAMERA = (200, 10, 10)
OVERLAY = (10, 200, 10)


def frame(stamp_ns=1, *, truth=True, height=48, width=64):
    labels = np.zeros((height, width), np.uint8)
    return FramePictures(
        stamp_ns,
        camera=np.full((height, width, 3), CAMERA, np.uint8),
        overlay=np.full((height, width, 3), OVERLAY, np.uint8),
        mask=labels,
        truth=labels + 1 if truth else None,
    )


def colours(picture):
    return {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize('truth', [True, False])
def test_the_sheet_shows_every_moment_in_every_form(truth, tmp_path):
    sheet = contact_sheet([frame(1, truth=truth), frame(2)], CLASSES, title='a run')
    assert sheet.shape[1] >= 4 * PANEL_WIDTH
    wanted = {CAMERA, OVERLAY, CLASSES[0].color, CLASSES[1].color}
    assert wanted <= colours(sheet)
    path = tmp_path / 'sheet.png'
    assert write_sheet(path, sheet)
    np.testing.assert_array_equal(cv2.imread(str(path))[:, :, ::-1], sheet)


def test_the_film_can_be_played(tmp_path):
    panels = [film_panels(frame(number), Palette(CLASSES)) for number in range(6)]
    pictures = [film_picture(columns) for columns in panels]
    assert pictures[0].shape == (480, 640, 3)
    path = write_film(tmp_path, pictures)
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    assert count == 6


def test_a_camera_that_changes_its_shape_is_shown_whole(tmp_path):
    moments = [frame(1), frame(2, height=72, width=128), frame(3, height=64, width=48)]
    sheet = contact_sheet(moments, CLASSES, title='a bag')
    shown = (sheet == OVERLAY).all(axis=2).any(axis=1).sum()
    assert shown == 240 + 180 + 426  # rows of pixels: each panel as high as its shape asks for
    films = [film_picture(film_panels(moment, Palette(CLASSES))) for moment in moments]
    film = write_film(tmp_path, films)
    capture = cv2.VideoCapture(str(film))
    read = [capture.read() for _ in films]
    assert [(good, picture.shape) for good, picture in read] == [(True, (852, 640, 3))] * 3


def test_a_sheet_can_be_drawn_when_nobody_said_what_the_classes_are():
    assert contact_sheet([frame()], (), title='no labels came').shape[1] >= 4 * PANEL_WIDTH


def test_a_film_without_ground_truth_has_three_panels():
    columns = film_panels(frame(truth=False), Palette(CLASSES))
    assert [column.title for column in columns] == ['camera', 'mask', 'overlay']
    assert film_picture(columns).shape == (240, 960, 3)


@pytest.mark.parametrize('seconds', [4.0, 20.0, 600.0])
def test_moments_spread_over_the_run_and_looking_is_rare(seconds):
    moments = Moments(MomentPlan.for_run(seconds))
    looked = 0
    steps = int(seconds * 10)
    for step in range(steps):
        since_s = step / 10
        moments.tick(since_s)
        looked += moments.looking
        if moments.looking:
            moments.joined(fill(moments, step), since_s)
    assert len(moments.sheet) == MOMENTS
    times = [pictures.at_s for pictures in moments.sheet]
    assert times[-1] - times[0] > 0.6 * seconds
    assert looked <= MOMENTS + min(0.25 * steps, 45)


def test_an_endless_run_keeps_the_newest_moments():
    moments = Moments(MomentPlan.for_run(0.0))
    for step in range(1000):
        moments.tick(step / 10)
        if moments.looking:
            moments.joined(fill(moments, step), step / 10)
    assert len(moments.sheet) == MOMENTS
    assert moments.sheet[0].at_s > 70


def fill(moments, stamp_ns):
    pictures = moments.frame(stamp_ns)
    whole = frame(stamp_ns)
    pictures.camera, pictures.overlay, pictures.mask = whole.camera, whole.overlay, whole.mask
    return pictures


def test_pictures_of_one_frame_are_joined_in_any_order_and_none_is_mixed():
    now = [0.0]
    evaluation = Evaluation(
        Moments(MomentPlan.for_run(10.0)), on_transition=lambda *_: None, clock=lambda: now[0]
    )
    evaluation.on_classes(CLASSES)
    whole = frame()
    evaluation.on_truth(1, whole.truth)
    evaluation.on_mask(1, whole.mask, age_ms=5.0)
    now[0] = 1.0
    evaluation.moments.tick(evaluation.since_first_mask_s)
    evaluation.on_overlay(7, whole.overlay)
    evaluation.on_camera(6, whole.camera)
    evaluation.on_mask(7, whole.mask, age_ms=5.0)
    evaluation.on_camera(7, whole.camera)
    assert not evaluation.moments.sheet  # its ground truth is still on the way
    evaluation.on_truth(7, whole.truth)
    (moment,) = evaluation.moments.sheet
    assert (moment.stamp_ns, moment.at_s, moment.complete) == (7, 1.0, True)
    assert moment.truth is whole.truth


def test_only_the_way_up_is_told():
    told = []
    evaluation = Evaluation(
        Moments(MomentPlan.for_run(4.0)), on_transition=lambda *what: told.append(what)
    )
    for start, goal in (
        ('unconfigured', 'configuring'), ('configuring', 'inactive'), ('activating', 'active'),
        ('deactivating', 'inactive'), ('configuring', 'unconfigured'),
    ):  # fmt: skip
        evaluation.on_transition('camera', start, goal)
    assert told == [('camera', 'configured'), ('camera', 'active')]


def test_the_last_step_up_is_told_once_whether_node_or_manager_say_it_first():
    told = []
    evaluation = Evaluation(
        Moments(MomentPlan.for_run(4.0)), on_transition=lambda *what: told.append(what)
    )
    evaluation.on_transition('camera', 'activating', 'active')
    evaluation.all_up(['camera', 'segmentation'])
    evaluation.on_transition('segmentation', 'activating', 'active')
    assert told == [('camera', 'active'), ('segmentation', 'active')]
    evaluation.on_transition('camera', 'configuring', 'inactive')
    evaluation.on_transition('camera', 'activating', 'active')  # it came back
    assert told[2:] == [('camera', 'configured'), ('camera', 'active')]
