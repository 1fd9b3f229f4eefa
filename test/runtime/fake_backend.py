"""A backend whose faults a test chooses, and a store with models for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
import hashlib
from pathlib import Path
import threading

from edge_seg.backends.base import Availability, CompiledModel, CompileOptions, CompileReport
from edge_seg.backends.registry import BackendChoice, Rejected
from edge_seg.core.values import AnyArray, ArtifactFormat, ModelSpec, OutputKind, TensorSpec
from edge_seg.errors import BackendUnavailable, CompileFailed, InferenceFailed
import numpy as np
import yaml

WIDTH, HEIGHT, CLASSES = 16, 12, 3


@dataclass
class Faults:
    """What goes wrong; changed by tests while the model runs.

    Attributes:
        compile_error: text of a refused compilation, '' for none.
        infer_error: text of a failing inference, '' for none.
        nan: every score is NaN.
        constant: every score is the same.
        blind: every pixel has the same scores, which differ between the classes.
        one_class: every pixel is class 0.
        shifted: every pixel gets the next class, so that nothing agrees with a right model.
        bug: compiling raises what no backend may raise.
        infer_bug: so does inference, with this text.
    """

    compile_error: str = ''
    infer_error: str = ''
    nan: bool = False
    constant: bool = False
    blind: bool = False
    one_class: bool = False
    shifted: bool = False
    bug: bool = False
    infer_bug: str = ''


class FakeModel:
    """Scores of class c are channel c of the image: red is 0, green 1, blue 2."""

    inputs = (TensorSpec('image', (1, HEIGHT, WIDTH, 3), 'uint8', 'NHWC'),)
    outputs = (TensorSpec('scores', (1, CLASSES, HEIGHT, WIDTH), 'float32', 'NCHW'),)
    output_kind = OutputKind.LOGITS

    def __init__(self, backend: str, faults: Faults) -> None:
        self.report = CompileReport(backend, '1.0', 'FAKE', 'fp32')
        self.closed = 0
        self.used_after_close = 0
        self._faults = faults
        self._lock = threading.Lock()

    def infer(self, tensors: Sequence[AnyArray]) -> Sequence[AnyArray]:
        """Score one image."""
        with self._lock:
            self.used_after_close += self.closed > 0
        if self.closed:
            raise InferenceFailed('the model is closed')
        if self._faults.infer_error:
            raise InferenceFailed(self._faults.infer_error)
        if self._faults.infer_bug:
            raise ZeroDivisionError(self._faults.infer_bug)
        scores = np.moveaxis(tensors[0].astype(np.float32), 3, 1)
        if self._faults.nan:
            scores = np.full_like(scores, np.nan)
        if self._faults.constant:
            scores = np.ones_like(scores)
        if self._faults.blind:
            scores = scores * 0 + np.arange(CLASSES, dtype=np.float32)[:, None, None]
        if self._faults.one_class:
            scores[:, 0] = 1000.0 + scores[:, 1]
        if self._faults.shifted:
            scores = np.roll(scores, 1, axis=1)
        return [np.ascontiguousarray(scores)]

    def close(self) -> None:
        """Count."""
        with self._lock:
            self.closed += 1


@dataclass
class FakeBackend:
    """Makes FakeModels and remembers them; faults are looked up by the model's version."""

    name: str = 'fake'
    formats: tuple[ArtifactFormat, ...] = (ArtifactFormat.ONNX,)
    faults: dict[str, Faults] = field(default_factory=dict)
    made: list[FakeModel] = field(default_factory=list)
    gate: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)

    def probe(self) -> Availability:
        """Be there."""
        return Availability(True, '1.0', ('FAKE',))

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        """Make one, after the gate is opened."""
        if self.gate is not None:
            self.reached.set()
            assert self.gate.wait(30.0), 'the test never opened the gate'
        faults = self.faults.setdefault(spec.version, Faults())
        if faults.bug:
            raise ZeroDivisionError('a bug in a backend')
        if faults.compile_error:
            raise CompileFailed(faults.compile_error)
        model = FakeModel(self.name, faults)
        self.made.append(model)
        return model


@dataclass
class FakeRegistry:
    """Chooses among fake backends in order, as registry.choose does."""

    backends: list[FakeBackend]

    def __call__(
        self, requested: str, formats: Collection[ArtifactFormat], *, without: Collection[str]
    ) -> BackendChoice:
        """Take the first that is not excluded."""
        rejected = [Rejected(b.name, 'it failed') for b in self.backends if b.name in without]
        for backend in self.backends:
            if backend.name not in without:
                return BackendChoice(
                    backend, backend.probe(), ArtifactFormat.ONNX, tuple(rejected)
                )
        raise BackendUnavailable('no backend is left')


def write_model(store: Path, name: str, version: str, **changes: object) -> Path:
    """Write a model into a store by hand; gives its folder."""
    folder = store / name / version
    folder.mkdir(parents=True)
    weights = f'{name} {version}'.encode()
    (folder / 'net.onnx').write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    document: dict[str, object] = {
        'schema': 1,
        'name': name,
        'version': version,
        'licence': 'Apache-2.0',
        'artifacts': [{'format': 'onnx', 'files': [{'path': 'net.onnx', 'sha256': digest}]}],
        'input': {'name': 'image', 'width': WIDTH, 'height': HEIGHT},
        'output': {'name': 'scores', 'kind': 'logits'},
        'classes': [
            {'name': 'red', 'color': [255, 0, 0]},
            {'name': 'green', 'color': [0, 255, 0]},
            {'name': 'blue', 'color': [0, 0, 255]},
        ],
    }
    document.update(changes)
    (folder / 'manifest.yaml').write_text(yaml.safe_dump(document), 'utf-8')
    return folder
