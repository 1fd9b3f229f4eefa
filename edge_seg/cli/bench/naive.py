"""The rig with a plain node of bench/ in place of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge_seg.cli.bench.result import MeasurementFailed
from edge_seg.cli.bench.rig import NODE, Rig, RigPlan
from edge_seg.cli.node_processes import NodePlan
from edge_seg.models.store import ModelStore
from edge_seg.ros.compat import DDS_TRANSPORT_VARIABLES

NO_PROFILE: Mapping[str, str | None] = dict.fromkeys(DDS_TRANSPORT_VARIABLES)


@dataclass(frozen=True, slots=True)
class PlainNode:
    """A node that ours is compared with.

    Attributes:
        source: its file in the source tree.
        topic: prefix of its outputs.
    """

    source: Path
    topic: str


NAIVE = PlainNode(Path('bench', 'naive_node.py'), 'naive')
"""Mask only, OpenVINO."""

NAV2_STYLE = PlainNode(Path('bench', 'nav2_node.py'), 'nav2_style')
"""Mask, confidence and overlay, ONNX Runtime where it is installed."""


def hint_of(precision: str) -> str:
    """Give OpenVINO's name of a precision; an INT8 network brings its own, the rest is f32."""
    return {'fp32': 'f32', 'fp16': 'f16', 'bf16': 'bf16'}.get(precision, 'f32')


class NaiveRig(Rig):
    """Camera, plain node and consumer, all with the default transport.

    Args:
        folder: for logs.
        plan: what would run with our node; the model, the camera and the outputs are taken from
            it.
        node: what runs in place of ours.
        precision: in which our node computes; the other one is to do the same.
    """

    def __init__(
        self, folder: Path, plan: RigPlan, node: PlainNode = NAIVE, *, precision: str
    ) -> None:
        mask, *further = (
            f'{node.topic}/{topic.rpartition("/")[2]}' for topic in (plan.mask, *plan.further)
        )
        super().__init__(
            folder, replace(plan, mask=mask, further=tuple(further), environment=NO_PROFILE)
        )
        self._plain = node
        self._precision = precision

    def start_node(self) -> None:
        """Start the plain node.

        Raises:
            MeasurementFailed: this is not the source tree.
        """
        source = self._plain.source
        if not source.is_file():
            raise MeasurementFailed(
                f'{source} is not here', remedy='run the benchmark from the source tree'
            )
        package = ModelStore(self.plan.store).resolve(self.plan.model)
        network = package.path_of(package.manifest.artifacts[0].main)
        module = '.'.join(source.with_suffix('').parts)
        values = {'network': str(network), 'precision': hint_of(self._precision)}
        self._start(NodePlan(NODE, module, values))

    def start_all(self) -> None:
        """Start everything and wait for masks."""
        self.start_camera()
        self.start_consumer()
        self.start_node()
        self.await_masks(10)
