"""A model that serves: from an image to labels of its size, and what it says about itself."""

from collections.abc import Sequence

from edge_seg.backends.base import CompileReport
from edge_seg.core.values import AnyArray, OutputKind, TensorSpec
from edge_seg.errors import InferenceFailed
from edge_seg.runtime.frames.serving import PLANS_KEPT, ServingModel
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch
from fake_backend import FakeModel, Faults, HEIGHT, WIDTH
import numpy as np
import pytest
from serving_samples import serving, spec, stripes


class LabelModel:
    """Gives the labels of a network with argmax inside, or of one with very many classes."""

    inputs = FakeModel.inputs
    output_kind = OutputKind.LABELS

    def __init__(self, label: int) -> None:
        self.report = CompileReport('fake', '1.0', 'FAKE', 'fp32')
        self.outputs = (TensorSpec('scores', (1, HEIGHT, WIDTH), 'int32', 'NHW'),)
        self._label = label

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        return [np.full((1, HEIGHT, WIDTH), self._label, np.int32)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize('size', [(WIDTH, HEIGHT), (3 * WIDTH, 5 * HEIGHT), (12, 7)])
def test_labels_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    image, labels = stripes(*size)
    result = serving().segment(image, confidence=False, watch=Stopwatch())
    assert result.labels.shape == labels.shape
    assert result.labels.dtype == np.uint8
    share_right = float((result.labels == labels).mean())
    assert share_right > 0.8  # stripes do not end at whole pixels of the network
    assert result.labels[0, 0] == 0
    assert result.labels[-1, -1] == 2


def test_confidence_is_given_when_it_is_asked_for() -> None:
    image, _ = stripes(WIDTH, HEIGHT)
    model = serving()
    assert model.segment(image, confidence=False, watch=Stopwatch()).confidence is None
    confidence = model.segment(image, confidence=True, watch=Stopwatch()).confidence
    assert confidence is not None
    assert confidence.shape == (HEIGHT, WIDTH)
    assert confidence.dtype == np.uint8
    assert confidence.min() == 255  # 200 above the others


def test_a_network_without_scores_has_no_confidence() -> None:
    model = ServingModel(spec(kind=OutputKind.LABELS), LabelModel(2), sha256='')
    image, _ = stripes(32, 24)
    result = model.segment(image, confidence=True, watch=Stopwatch())
    assert result.confidence is None
    assert (result.labels == 2).all()


def test_above_255_classes_labels_have_16_bits() -> None:
    model = ServingModel(spec(300, OutputKind.LABELS), LabelModel(299), sha256='')
    image, _ = stripes(32, 24)
    result = model.segment(image, confidence=False, watch=Stopwatch())
    assert result.labels.dtype == np.uint16
    assert (result.labels == 299).all()
    assert result.palette.colors[299].tolist() == [43, 1, 2]


def test_a_label_that_is_not_declared_is_refused() -> None:
    model = ServingModel(spec(kind=OutputKind.LABELS), LabelModel(3), sha256='')
    image, _ = stripes(32, 24)
    with pytest.raises(InferenceFailed, match='3'):
        model.segment(image, confidence=False, watch=Stopwatch())


def test_any_number_of_camera_sizes_is_followed() -> None:
    model = serving()
    sizes = [(30 + step, 20) for step in range(2 * PLANS_KEPT)]
    for width, height in [*sizes, *sizes]:
        image, labels = stripes(width, height)
        result = model.segment(image, confidence=False, watch=Stopwatch())
        assert result.labels.shape == labels.shape
    assert len(model._plans) <= PLANS_KEPT


def test_each_stage_is_timed() -> None:
    image, _ = stripes(32, 24)
    watch = Stopwatch()
    serving().segment(image, confidence=False, watch=watch)
    assert [stage for stage, _ in watch.laps] == [
        Stage.PREPROCESS,
        Stage.INFER,
        Stage.POSTPROCESS,
    ]


def test_a_failing_inference_is_told() -> None:
    image, _ = stripes(32, 24)
    model = serving(Faults(infer_error='out of memory'))
    with pytest.raises(InferenceFailed, match='out of memory'):
        model.segment(image, confidence=False, watch=Stopwatch())
    with pytest.raises(InferenceFailed, match='out of memory'):
        model.exercise()


@pytest.mark.parametrize(
    ('faults', 'problem'),
    [
        (Faults(), ''),
        (Faults(nan=True), 'gives NaN or infinite scores'),
        (Faults(constant=True), 'gives the score 1.0 for every class and pixel'),
        (Faults(blind=True), 'gives every pixel the same scores, whatever it shows'),
    ],
)
def test_what_is_wrong_with_the_numbers_is_said(faults: Faults, problem: str) -> None:
    image, _ = stripes(32, 24)
    assert serving(faults).output_problem(image) == problem


def test_a_constant_label_is_no_problem() -> None:
    model = ServingModel(spec(kind=OutputKind.LABELS), LabelModel(0), sha256='')
    assert model.output_problem(stripes(32, 24)[0]) == ''


def test_it_says_who_it_is() -> None:
    model = serving()
    assert (model.identity, model.sha256) == ('colours@1', 'abc')
    assert model.report.backend == 'fake'


def test_closing_frees_the_network_and_tells() -> None:
    network, told = FakeModel('fake', Faults()), []
    model = ServingModel(spec(), network, sha256='', on_close=lambda: told.append('closed'))
    model.exercise()
    model.close()
    assert network.closed == 1
    assert told == ['closed']
    with pytest.raises(InferenceFailed, match='closed'):
        model.exercise()
