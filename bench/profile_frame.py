"""The steps of a frame in the node, one after the other: time, calls, new memory.

tools/in_ros_env python bench/profile_frame.py

Camera and consumer are processes of their own. The steps are those of the node, taken by hand
here; what lies between them (waiting, turns, the lease of the model) is not in them. Calls are
those of Python and C functions, as sys.setprofile sees them; new memory is the peak of what Python
and NumPy ask for, as tracemalloc sees it.
"""

from collections.abc import Callable
from pathlib import Path
import statistics
import sys
import tempfile
import time
import tracemalloc
from typing import Any

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import engine
from edge_seg.cli.bench.domain import use_free_domain
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.bench.store import good_store, SECOND
from edge_seg.cli.node_processes import prepare_environment
from edge_seg.core.decode import decode
from edge_seg.core.geometry import plan_geometry
from edge_seg.core.postprocess import Postprocessor
from edge_seg.core.preprocess import Preprocessor
from edge_seg.core.values import ArtifactFormat, Size
from edge_seg.models.package import ModelPackage
from edge_seg.ros.conversions import raw_image
from edge_seg.ros.outputs import MaskOutputs
from edge_seg.ros.process import keep_image_buffers_on_the_heap
from edge_seg.runtime.frames.mailbox import NewestFrameMailbox
from edge_seg.runtime.frames.serving import Segmentation, ServingModel
from edge_seg.runtime.frames.stats import FrameStatistics, Stage
from edge_seg.runtime.frames.worker import CameraFrame, Wanted
from edge_seg.runtime.parameters.settings import SegmentationSettings
import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import Image

SIZES = (Size(640, 480), Size(1920, 1080))
TIMED, TRACED, COUNTED = 150, 30, 10
WARM_UP = 20
LIMIT_NS = 10_000_000_000
RATE_HZ = 30.0
Step = Callable[[], None]


class FramePath:
    """The steps of one frame; what a step makes is there for the next one."""

    def __init__(self, node: Node, package: ModelPackage, size: Size) -> None:
        self._spec = spec = package.manifest.spec
        artifact = package.artifact_for([ArtifactFormat.ONNX])
        options = CompileOptions(device='CPU', device_precision=True)
        self._compiled = engine.compile_file(artifact, spec, options)
        self._plan = plan_geometry(size, spec.input.size, spec.input.resize)
        self._preprocess = Preprocessor(spec.input, self._compiled.inputs[0])
        self._postprocess = Postprocessor(
            self._compiled.outputs[0], self._compiled.output_kind, spec
        )
        self._palette = ServingModel(spec, self._compiled, sha256='').palette
        self._outputs = MaskOutputs(node, '', SegmentationSettings.from_values({}))
        self._statistics = FrameStatistics()
        self._mailbox: NewestFrameMailbox[Any] = NewestFrameMailbox(
            lambda: 0.0, on_drop=lambda _: None
        )
        self._images = node.create_subscription(Image, 'image', lambda _: None, 1)
        self._arrivals = rclpy_implementation.WaitSet(1, 0, 0, 0, 0, 0, node.context.handle)
        self._message = self._waiting = self._image = self._tensor = self._scores = None
        self._labels: Any = None

    @property
    def precision(self) -> str:
        """In which the network computes."""
        return self._compiled.report.precision

    @property
    def steps(self) -> dict[str, Step]:
        """All steps in their order."""
        return {
            'take the message': self._take,
            'mailbox, statistics of arrival': self._arrive,
            'decode': self._decode,
            'preprocess': self._fill,
            'inference': self._infer,
            'postprocess': self._label,
            'publish': self._publish,
            'statistics': self._count,
        }

    def await_frame(self) -> None:
        """Wait until a message can be taken, and somebody takes the mask."""
        while not self._outputs.subscribers():
            self._wait()
            self._take()  # the camera goes on meanwhile
        self._wait()

    def _wait(self) -> None:
        self._arrivals.clear_entities()
        self._arrivals.add_subscription(self._images.handle)
        self._arrivals.wait(LIMIT_NS)
        if not self._arrivals.get_ready_entities('subscription'):
            raise TimeoutError('the camera publishes nothing')

    def _take(self) -> None:
        handle: Any = self._images.handle
        self._message = handle.take_message(Image, False)[0]

    def _arrive(self) -> None:
        message: Any = self._message
        now_s = time.monotonic()
        self._statistics.frame_in(now_s)
        frame = CameraFrame(message.header, raw_image(message))
        self._mailbox.put(frame, stamp_s=1.0, received_s=now_s)
        self._waiting = self._mailbox.poll()

    def _decode(self) -> None:
        waiting: Any = self._waiting
        self._image = decode(waiting.frame.image)

    def _fill(self) -> None:
        image: Any = self._image
        self._tensor = self._preprocess(image, self._plan)

    def _infer(self) -> None:
        tensor: Any = self._tensor
        self._scores = self._compiled.infer([tensor])[0]

    def _label(self) -> None:
        scores: Any = self._scores
        buffer = self._outputs.labels(self._plan.camera, self._spec.label_dtype)
        self._labels = self._postprocess.labels(scores, self._plan, out=buffer)

    def _publish(self) -> None:
        message: Any = self._message
        image: Any = self._image
        result = Segmentation(self._labels, None, self._palette)
        self._outputs.publish(message.header, image, result, Wanted(mask=True))

    def _count(self) -> None:
        laps = [(stage, 0.001) for stage in Stage]
        self._statistics.mask_out(time.monotonic(), laps)


def milliseconds(step: Step) -> float:
    """Time one call."""
    begin_s = time.perf_counter()
    step()
    return (time.perf_counter() - begin_s) * 1e3


def new_kib(step: Step) -> float:
    """Give the peak of newly asked memory; tracemalloc runs."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    step()
    return (tracemalloc.get_traced_memory()[1] - before) / 1024


def calls(step: Step) -> float:
    """Count calls of Python and C functions."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ('call', 'c_call')

    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(None)
    return count - 2  # the step itself, and setprofile


def measured(path: FramePath, measure: Callable[[Step], float], count: int) -> list[float]:
    """Give the median of each step over so many frames."""
    found: list[list[float]] = []
    for _ in range(WARM_UP + count):
        path.await_frame()
        found.append([measure(step) for step in path.steps.values()])
    return [statistics.median(column) for column in zip(*found[WARM_UP:], strict=True)]


def main() -> None:
    """Print a table for both sizes."""
    keep_image_buffers_on_the_heap()
    use_free_domain()
    prepare_environment()
    rclpy.init()
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            package = good_store(folder / 'store').resolve(SECOND)
            plan = RigPlan(folder / 'store', SECOND, 'none', size=size, rate_hz=RATE_HZ)
            node = rclpy.create_node(NODE)
            with Rig(folder / 'rig', plan) as rig:
                rig.start_camera()
                rig.start_consumer()
                Console().print(table_of(FramePath(node, package, size), size))
            node.destroy_node()
    rclpy.shutdown()


def table_of(path: FramePath, size: Size) -> Table:
    """Measure the steps."""
    times = measured(path, milliseconds, TIMED)
    counts = measured(path, calls, COUNTED)
    tracemalloc.start()
    memory = measured(path, new_kib, TRACED)
    tracemalloc.stop()
    table = Table('step', 'ms', 'calls', 'new KiB')
    table.title = f'{size.width}x{size.height}, {path.precision}'
    for name, *row in zip(path.steps, times, counts, memory, strict=True):
        table.add_row(name, f'{row[0]:.2f}', f'{row[1]:.0f}', f'{row[2]:.1f}')
    return table


if __name__ == '__main__':
    main()
