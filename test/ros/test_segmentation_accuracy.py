"""The demo model through the whole node: masks of held-out scenes against their ground truth."""

from camera_frames import pixels_of, rgb8, Scene
from edge_seg.core.scores import ConfusionMatrix
from edge_seg.sources.scene_classes import SCENE_CLASS_NAMES
from edge_seg.sources.scene_population import SCENE_PERIOD_S
from edge_seg.sources.scenes import SceneSequence
import numpy as np
from segmentation_nodes import Start

HELD_OUT_SEED = 2_000_000
SCENES = 40
LEAST_MIOU = 0.85


def test_masks_of_held_out_scenes_are_right(start_node: Start) -> None:
    _, operator = start_node(model='floor@2', model_store='', threads=None)
    operator.start()
    masks, camera = operator.listen('mask'), operator.settled_camera()
    confusion = ConfusionMatrix(len(SCENE_CLASS_NAMES))
    for offset in range(SCENES):
        sequence = SceneSequence(HELD_OUT_SEED + offset, width=640, height=480)
        frame = sequence.render((offset % 5) * SCENE_PERIOD_S + 1.0)
        mask = camera.ask(rgb8(Scene(frame.labels, frame.image)), masks)
        confusion.add(pixels_of(mask), frame.labels)
    assert np.nanmean(confusion.iou()) >= LEAST_MIOU, confusion.iou()
