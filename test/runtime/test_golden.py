"""The golden sample: a model that gets it wrong does not serve."""

from collections.abc import Callable, Iterator
import hashlib
from pathlib import Path
import re
from typing import Any

import cv2
from edge_seg.errors import LoadStage, ModelRejected
from fake_backend import write_model
from model_flow import ModelFlow, STRIPES
import numpy as np
import numpy.typing as npt
import pytest

RIGHT = np.argmax(STRIPES, axis=2).astype(np.uint8)
Pixels = npt.NDArray[Any]
Publish = Callable[..., ModelFlow]


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Publish]:
    """Publish a model with a golden sample; gives the flow that may load it."""
    flow = ModelFlow(tmp_path)

    def make(labels: Pixels, *, image: bytes | None = None, agreement: float = 0.9) -> ModelFlow:
        bgr = cv2.imencode('.png', STRIPES[:, :, ::-1])[1].tobytes()
        files = {
            'golden.png': bgr if image is None else image,
            'labels.png': cv2.imencode('.png', labels)[1].tobytes(),
        }

        def entry(name: str) -> dict[str, Any]:
            return {'path': name, 'sha256': hashlib.sha256(files[name]).hexdigest()}

        golden = {'image': entry('golden.png'), 'labels': entry('labels.png')}
        golden['minimum_agreement'] = agreement
        folder = write_model(tmp_path, 'net', '1', golden=golden)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return flow

    yield make
    flow.close()


def refusal_of(flow: ModelFlow) -> str:
    """Try to load the model; gives why it was refused at warm."""
    with pytest.raises(ModelRejected) as refusal:
        flow.loader.load('net@1')
    assert refusal.value.stage is LoadStage.WARM
    assert flow.slot.active is None
    return str(refusal.value)


def test_a_model_that_gets_it_right_serves(publish: Publish) -> None:
    flow = publish(RIGHT)
    flow.loader.load('net@1')
    assert flow.board.status.stage == 'serving'


def test_a_model_that_gets_too_much_wrong_is_refused(publish: Publish) -> None:
    wrong = RIGHT.copy()
    wrong[: len(wrong) // 2] = (wrong[: len(wrong) // 2] + 1) % 3
    reason = refusal_of(publish(wrong, agreement=0.6))
    assert re.search(r'4\d\.\d% of the golden sample golden.png came out right', reason)
    assert 'at least 60.0%' in reason


def test_pixels_without_a_label_are_not_compared(publish: Publish) -> None:
    labels = RIGHT.copy()
    labels[: len(labels) // 2] = 255
    flow = publish(labels)
    flow.loader.load('net@1')
    assert flow.board.status.stage == 'serving'


def test_a_sample_that_compares_nothing_is_refused(publish: Publish) -> None:
    assert 'labels.png of net@1 has no label' in refusal_of(publish(np.full_like(RIGHT, 255)))


def test_a_sample_of_another_size_is_refused(publish: Publish) -> None:
    assert 'the size of golden.png' in refusal_of(publish(np.ascontiguousarray(RIGHT[:-1])))


def test_a_sample_that_is_no_image_is_refused(publish: Publish) -> None:
    assert 'expected a JPEG' in refusal_of(publish(RIGHT, image=b'no image'))


def test_a_sample_that_unpacks_to_gigabytes_is_refused_before_it_does(publish: Publish) -> None:
    image = bytearray(cv2.imencode('.png', STRIPES)[1].tobytes())
    image[16:24] = (30000).to_bytes(4, 'big') * 2  # width and height, in the header
    assert 'a 30000x30000 image; expected at most' in refusal_of(
        publish(RIGHT, image=bytes(image))
    )


def test_a_huge_file_is_refused_before_it_is_read(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('edge_seg.runtime.loading.golden.LARGEST_FILE_BYTES', 10)
    assert 'expected at most' in refusal_of(publish(RIGHT))


def test_in_a_sample_of_16_bits_the_largest_number_is_not_compared(publish: Publish) -> None:
    labels = RIGHT.astype(np.uint16)
    labels[: len(labels) // 2] = 65535
    flow = publish(labels)
    flow.loader.load('net@1')
    assert flow.board.status.stage == 'serving'
