"""The model flow of one node without ROS: store, loader, succession and slot, wired as it is."""

from dataclasses import dataclass, field
from pathlib import Path
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import DecodedImage
from edge_seg.errors import InferenceFailed
from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.frames.stopwatch import Stopwatch
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions, LoadedModel
from edge_seg.runtime.loading.loader import ModelLoader
from edge_seg.runtime.loading.model_status import ModelStatus, StatusBoard
from edge_seg.runtime.loading.probation import ProbationRules
from edge_seg.runtime.loading.succession import Succession
from fake_backend import FakeBackend, FakeRegistry
import numpy as np

STRIPES = np.zeros((24, 32, 3), np.uint8)
STRIPES[:, :11, 0] = STRIPES[:, 11:22, 1] = STRIPES[:, 22:, 2] = 200


@dataclass
class ModelFlow:
    """Everything that a node wires, with what it was told kept for the test."""

    store: Path
    rules: ProbationRules = field(default_factory=lambda: ProbationRules(frames=0))
    backends: list[FakeBackend] = field(default_factory=lambda: [FakeBackend()])
    backend: str = 'auto'
    exclusive: bool = False
    keep_previous: bool = True
    builder: Builder | None = None

    def __post_init__(self) -> None:
        self.history: list[ModelStatus] = []
        self.announced: list[str] = []
        self.unannounceable: set[str] = set()
        self.withdrawn: list[str] = []
        self.worn_out: list[str] = []
        self.first_answers: list[Answer] = []
        self.outcomes: list[tuple[bool, str]] = []
        self.done: list[int] = []
        self._done = threading.Condition()
        self.slot: ModelSlot[ServingModel] = ModelSlot()
        self.board = StatusBoard(self._on_status)
        self.succession = Succession(
            self.slot,
            self.board,
            self.rules,
            keep_previous=self.keep_previous,
            announce=self._on_announce,
            on_withdrawn=self._on_withdrawn,
            on_worn_out=self.worn_out.append,
            on_first_answer=self.first_answers.append,
        )
        options = CandidateOptions(self.backend, CompileOptions(), warmup_runs=2)
        self.loader = ModelLoader(
            CandidateFactory(
                LayeredStore(ModelStore(self.store)),
                options,
                self.builder,
                choose_backend=FakeRegistry(self.backends),
            ),
            self.succession,
            self.board,
            exclusive=self.exclusive,
            camera_size=lambda: None,
            on_done=self._on_done,
        )

    @property
    def stages(self) -> list[str]:
        """Every stage that was announced, in order."""
        return [status.stage for status in self.history]

    def frame(self, header: object = None) -> bool:
        """Answer one frame as the worker does; False when inference failed."""
        image = DecodedImage(STRIPES, 'rgb')
        with self.slot.lease() as model:
            try:
                result = model.segment(image, confidence=False, watch=Stopwatch())
            except InferenceFailed as failure:
                self.succession.frame_failed(model, str(failure))
                return False
        self.succession.frame_answered(model, Answer(header, image, result.labels, 0.001))
        return True

    def frames(self, count: int) -> None:
        """Answer several frames, whatever becomes of them."""
        for _ in range(count):
            self.frame()

    def wait_for_outcomes(self, count: int = 1) -> tuple[bool, str]:
        """Wait until so many background requests have ended; gives the last outcome."""
        with self._done:
            assert self._done.wait_for(lambda: len(self.outcomes) >= count, 30.0)
            return self.outcomes[-1]

    def slot_is_empty(self) -> None:
        """Wait until nothing serves."""
        with self._done:
            assert self._done.wait_for(lambda: self.slot.active is None, 30.0)

    def close(self) -> None:
        """Take everything down as the node does."""
        self.loader.close(30.0)
        self.succession.close()

    def _on_announce(self, loaded: LoadedModel) -> None:
        if loaded.model.identity in self.unannounceable:
            raise RuntimeError('the publisher is gone')
        self.announced.append(loaded.model.identity)

    def _on_status(self, status: ModelStatus) -> None:
        with self._done:
            self.history.append(status)
            self._done.notify_all()

    def _on_done(self, number: int, success: bool, message: str) -> None:
        with self._done:
            self.done.append(number)
            self.outcomes.append((success, message))
            self._done.notify_all()

    def _on_withdrawn(self, failed: LoadedModel, reason: str) -> None:
        self.withdrawn.append(f'{failed.model.identity}: {reason}')
        self.loader.withdrawn(failed.package.manifest_sha256)
