"""The rig with the plain node of bench/ in place of ours."""

from dataclasses import replace
from pathlib import Path

from edge_seg.cli.bench_result import MeasurementFailed
from edge_seg.cli.bench_rig import NODE, Rig, RigPlan
from edge_seg.cli.demo_processes import NodePlan
from edge_seg.models.store import ModelStore

SOURCE = Path('bench', 'naive_node.py')
NO_PROFILE = dict.fromkeys(('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'))


class NaiveRig(Rig):
    """Camera, plain node and consumer, all with the default transport.

    Args:
        folder: for logs.
        plan: what would run with our node; the model and the camera are taken from it.
        outputs: 'mask', or 'all' for confidence and overlay too.
    """

    def __init__(self, folder: Path, plan: RigPlan, *, outputs: str = 'mask') -> None:
        further = ('naive/confidence', 'naive/overlay') if outputs == 'all' else ()
        super().__init__(
            folder, replace(plan, mask='naive/mask', further=further, environment=NO_PROFILE)
        )
        self._outputs = outputs

    def start_node(self) -> None:
        """Start the plain node.

        Raises:
            MeasurementFailed: this is not the source tree.
        """
        if not SOURCE.is_file():
            raise MeasurementFailed(
                f'{SOURCE} is not here', remedy='run the benchmark from the source tree'
            )
        package = ModelStore(self.plan.store).resolve(self.plan.model)
        network = package.path_of(package.manifest.artifacts[0].main)
        values = {'network': str(network), 'outputs': self._outputs}
        self._start(NodePlan(NODE, 'bench.naive_node', values))

    def start_all(self) -> None:
        """Start everything and wait for masks."""
        self.start_camera()
        self.start_consumer()
        self.start_node()
        self.await_masks(10)
