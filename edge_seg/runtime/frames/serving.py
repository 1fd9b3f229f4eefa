"""A model that can serve: compiled network, its pre- and postprocessing, its classes."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_seg.backends.base import CompiledModel, CompileReport
from edge_seg.core.checks import is_finite
from edge_seg.core.geometry import GeometryPlan, plan_geometry
from edge_seg.core.palette import Palette
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.values import DecodedImage, LabelArray, ModelSpec, OutputKind, Size, UInt8Array
from edge_seg.runtime.frames.feeding import Feed, PreprocessMode
from edge_seg.runtime.frames.stats import Stage
from edge_seg.runtime.frames.stopwatch import Stopwatch
import numpy as np
import numpy.typing as npt

IMAGE_AXES = {'NCHW': (2, 3), 'NHWC': (1, 2), 'NHW': (1, 2), 'HW': (0, 1)}
ROUNDING = 1e-6
"""What scaling a constant may change it by, against the largest score."""
PLANS_KEPT = 16
"""Camera sizes whose geometry is remembered; a robot has a few, a fuzzer any number."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The answer to one frame.

    Attributes:
        labels: (H, W) class ids at camera size, uint8, or uint16 above 255 classes.
        confidence: (H, W) uint8, 255 times the probability of the winning class; None when not
            asked for, or when the network gives labels without scores.
        palette: colours of the classes.
    """

    labels: LabelArray
    confidence: UInt8Array | None
    palette: Palette


class MaskBuffers(Protocol):
    """Where a mask is written, so that nobody has to copy it."""

    def labels(self, size: Size, dtype: npt.DTypeLike) -> LabelArray:
        """Give (height, width), uint8 or uint16, C-contiguous."""

    def confidence(self, size: Size) -> UInt8Array:
        """Give (height, width) uint8, C-contiguous."""


class ServingModel:
    """Segments camera images, one at a time; owns its compiled network.

    Args:
        spec: what the manifest declares.
        compiled: the network; closed with this object.
        sha256: digest of the manifest, by which operators tell models apart.
        on_close: called once the network is freed; must not raise, twice is fine.
        preprocess: where images are preprocessed.

    Raises:
        CompileFailed: ``preprocess`` is 'gpu', and the backend cannot.
    """

    def __init__(
        self,
        spec: ModelSpec,
        compiled: CompiledModel,
        *,
        sha256: str,
        on_close: Callable[[], None] = lambda: None,
        preprocess: PreprocessMode = 'cpu',
    ) -> None:
        self.spec = spec
        self.sha256 = sha256
        self._on_close = on_close
        self.palette = Palette(spec.classes)
        self._compiled = compiled
        self._feed = Feed(spec.input, compiled, preprocess)
        self._postprocess = Postprocessor(compiled.outputs[0], compiled.output_kind, spec)
        self._plans: OrderedDict[Size, GeometryPlan] = OrderedDict()

    @property
    def identity(self) -> str:
        """Name and version as operators write them: 'floor@2'."""
        return f'{self.spec.name}@{self.spec.version}'

    @property
    def report(self) -> CompileReport:
        """Backend, device and precision."""
        return self._compiled.report

    def segment(
        self,
        image: DecodedImage,
        *,
        confidence: bool,
        watch: Stopwatch,
        buffers: MaskBuffers | None = None,
    ) -> Segmentation:
        """Turn one image into labels of the same size.

        Args:
            image: decoded camera image.
            confidence: compute the winning probability too.
            watch: receives the laps PREPROCESS, INFER and POSTPROCESS.
            buffers: what the answer is written to; None = fresh arrays.

        Raises:
            InferenceFailed: the backend failed or gave labels that the model does not declare.
        """
        plan = self._plan(image.size)
        scores = self._feed.scores(image, plan, watch)
        out = None if buffers is None else buffers.labels(image.size, self.spec.label_dtype)
        certainty: UInt8Array | None = None
        if confidence and self._postprocess.has_confidence:
            certainty = None if buffers is None else buffers.confidence(image.size)
            mask = self._postprocess.labels_and_confidence(
                scores, plan, out=out, confidence_out=certainty
            )
            labels, certainty = mask.labels, mask.confidence
        else:
            labels = self._postprocess.labels(scores, plan, out=out)
        watch.lap(Stage.POSTPROCESS)
        return Segmentation(labels, certainty, self.palette)

    def settle(self, image: DecodedImage) -> None:
        """Decide before serving where images like this one are preprocessed.

        Raises:
            BackendUnavailable, CompileFailed: the device that was named cannot.
            InferenceFailed: the backend failed.
        """
        self._feed.settle(image, self._plan(image.size))

    def output_problem(self, image: DecodedImage) -> str:
        """Run one image and say what is wrong with the numbers that come out, '' for nothing.

        Raises:
            InferenceFailed: the backend failed.
        """
        tensor = self._feed.tensor(image, self._plan(image.size))
        scores = self._compiled.infer([tensor])[0]
        if not is_finite([scores]):
            return 'gives NaN or infinite scores'
        if self._compiled.output_kind is OutputKind.LABELS:
            return ''  # one label from edge to edge may be right
        if bool(scores.min() == scores.max()):
            return f'gives the score {scores.flat[0]} for every class and pixel'
        places = IMAGE_AXES[self._compiled.outputs[0].layout]
        spread = scores.max(axis=places).astype(np.float64) - scores.min(axis=places)
        if bool(spread.max() <= ROUNDING * np.abs(scores).max()):
            return 'gives every pixel the same scores, whatever it shows'
        return ''

    def exercise(self) -> None:
        """Run the network on a blank image, for the sake of running.

        Raises:
            InferenceFailed: the backend failed.
        """
        shape = (self.spec.input.size.height, self.spec.input.size.width, 3)
        image = DecodedImage(np.zeros(shape, np.uint8), 'rgb')
        self._compiled.infer([self._feed.tensor(image, self._plan(image.size))])

    def close(self) -> None:
        """Free the network. Twice is fine; never raises."""
        self._compiled.close()
        self._on_close()

    def _plan(self, camera: Size) -> GeometryPlan:
        plan = self._plans.get(camera)
        if plan is None:
            plan = plan_geometry(camera, self.spec.input.size, self.spec.input.resize)
            self._plans[camera] = plan
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan
