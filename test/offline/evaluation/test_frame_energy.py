"""Joules a frame: measured over many frames, and not guessed where nobody tells."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from edge_seg.core.values import DecodedImage
from edge_seg.offline.evaluation import frame_energy
from edge_seg.offline.evaluation.frame_energy import energy_per_frame
import numpy as np
import pytest

IMAGE = DecodedImage(np.zeros((8, 8, 3), np.uint8), 'rgb')
JOULES_A_FRAME = 0.5


@dataclass
class Model:
    """A model that counts its frames."""

    frames: int = 0

    def segment(self, image: DecodedImage, **_: Any) -> None:
        assert image is IMAGE
        self.frames += 1


@dataclass
class Counter:
    """Counts half a joule a frame, and can be lost."""

    model: Model
    name: str = 'meter'
    lost: bool = False
    closed: list[bool] = field(default_factory=list)

    def joules(self) -> float | None:
        return None if self.lost and self.model.frames else JOULES_A_FRAME * self.model.frames

    def close(self) -> None:
        self.closed.append(True)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(frame_energy, 'DURATION_S', 0.02)
    return Model()


def measured(model: Model, counter: Counter | None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure with a counter."""
    monkeypatch.setattr(frame_energy, 'open_counter', lambda backend: counter)
    running: Any = SimpleNamespace(model=model, run=SimpleNamespace(backend='openvino'))
    return energy_per_frame(running, IMAGE)


def test_many_frames_are_measured(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(model)
    assert measured(model, counter, monkeypatch) == pytest.approx(JOULES_A_FRAME)
    assert model.frames > 1
    assert counter.closed == [True]


def test_without_a_counter_no_frame_is_run(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(model, None, monkeypatch) is None
    assert model.frames == 0


def test_a_counter_that_is_lost_gives_none(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(model, Counter(model, lost=True), monkeypatch) is None
