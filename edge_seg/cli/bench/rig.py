"""Camera, segmentation node and consumer, each a process of its own, and who drives them."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
import subprocess
import time
from types import MappingProxyType
from typing import Any

from edge_seg.cli.bench.client import BenchClient
from edge_seg.cli.bench.log import compare, complete, read_log, Traffic, TrafficLogs, Window
from edge_seg.cli.bench.processes import BenchProcesses
from edge_seg.cli.bench.result import MeasurementFailed, Served
from edge_seg.cli.node_processes import NodePlan
from edge_seg.core.values import Size
from edge_seg.models.store import ModelStore
from edge_seg.offline.kpi.energy import energy_used

CAMERA, NODE, CONSUMER, MANAGER = 'camera', 'segmentation', 'consumer', 'lifecycle_manager'
NODE_MODULE = 'edge_seg.ros.segmentation_node'
BACKEND = 'openvino'
"""The targets are for a CPU."""
FIRST_MASK_LIMIT_S = 60.0
STABLE_S = 1.0
LAST_MASK_S = 0.3
"""How long after a window the last mask of it may still come."""


@dataclass(frozen=True, slots=True)
class RigPlan:
    """What runs.

    Attributes:
        store: model store of the node.
        model: what it serves at first.
        size: of the camera image.
        rate_hz: of the camera.
        encoding: of the camera image.
        cache_dir: compiled models; 'none' for none.
        node: further parameters of the segmentation node.
        node_module: module whose ``main`` runs it.
        node_environment: further environment variables of it.
        cameras: names of several cameras; () for one, on the topic image.
        mask: topic of the masks of the only camera.
        further: other topics that the consumer takes, of the only camera.
        environment: further environment variables of all processes; None takes one away.
    """

    store: Path
    model: str
    cache_dir: str
    size: Size = Size(640, 480)
    rate_hz: float = 30.0
    encoding: str = 'rgb8'
    node: Mapping[str, Any] = field(default_factory=dict)
    node_module: str = NODE_MODULE
    node_environment: Mapping[str, str | None] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()
    mask: str = 'segmentation/mask'
    further: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a window took.

    Attributes:
        cpu_s: processor time of each process, by its name.
        joules: of the machine; None where it does not tell.
    """

    cpu_s: Mapping[str, float]
    joules: float | None = None


class Rig:
    """Runs the processes between enter and exit; nothing is brought up by itself.

    Args:
        folder: for logs.
        plan: what runs.

    Attributes:
        cost: of the window that was watched last.
    """

    def __init__(self, folder: Path, plan: RigPlan) -> None:
        self._folder = folder
        self.plan = plan
        self.processes = BenchProcesses(folder)
        self.all_logs = tuple(
            TrafficLogs(folder / f'{CAMERA}{name}.times', folder / f'{CONSUMER}{name}.times')
            for name in plan.cameras or ('',)
        )
        self.logs = self.all_logs[0]
        self.further_logs = tuple(
            TrafficLogs(self.logs.camera, folder / f'further{index}.times')
            for index in range(len(plan.further))
        )
        self.cost = Cost({})
        self._ends = ExitStack()
        self._client: BenchClient | None = None

    def __enter__(self) -> 'Rig':
        for old in self._folder.glob('*.times'):
            old.unlink()
        self._ends.enter_context(self.processes)
        try:
            self._client = self._ends.enter_context(BenchClient(NODE, check=self.check_processes))
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def client(self) -> BenchClient:
        """Who asks the node."""
        if self._client is None:
            raise RuntimeError('the rig was not entered')
        return self._client

    def start_camera(self) -> None:
        """Start the camera, or all of them."""
        plan = self.plan
        for name, logs in zip(plan.cameras or ('',), self.all_logs, strict=True):
            values = {
                'topic': f'{name}/image' if name else 'image',
                'width': plan.size.width,
                'height': plan.size.height,
                'rate_hz': plan.rate_hz,
                'encoding': plan.encoding,
                'log': str(logs.camera),
            }
            self._start(NodePlan(f'{CAMERA}{name}', 'edge_seg.cli.bench.camera', values))

    def change_camera(self, **changes: Any) -> None:
        """Start the camera anew with other fields of the plan, and wait for its first masks."""
        self.processes.stop(CAMERA)
        self.plan = replace(self.plan, **changes)
        self.start_camera()
        self.await_masks(10)

    def start_consumer(self) -> None:
        """Start the consumer."""
        masks = [f'{NODE}/{name}/mask' for name in self.plan.cameras] or [self.plan.mask]
        logs = (*self.all_logs, *self.further_logs)
        values = {
            'topics': [*masks, *self.plan.further],
            'logs': [str(each.consumer) for each in logs],
        }
        self._start(NodePlan(CONSUMER, 'edge_seg.cli.bench.consumer', values))

    def start_node(self) -> None:
        """Start the segmentation node, unconfigured."""
        plan = self.plan
        values = {
            'model': plan.model,
            'model_store': str(plan.store),
            'cache_dir': plan.cache_dir,
            'backend': BACKEND,
            **({'cameras': list(plan.cameras)} if plan.cameras else {}),
            **plan.node,
        }
        self._start(NodePlan(NODE, plan.node_module, values), plan.node_environment)

    def start_manager(self) -> None:
        """Start a lifecycle manager that brings the segmentation node up and keeps it up."""
        # A node that is killed time and again would be waited for longer and longer.
        values = {'node_names': [NODE], 'autostart': True, 'stable_after_s': STABLE_S}
        self._start(NodePlan(MANAGER, 'edge_seg.ros.lifecycle_manager_node', values))

    def _start(
        self, plan: NodePlan, environment: Mapping[str, str | None] = MappingProxyType({})
    ) -> None:
        self.processes.start_with(plan, {**self.plan.environment, **environment})

    def start_all(self) -> None:
        """Start everything but the manager, bring the node up and wait for masks."""
        self.start_camera()
        self.start_consumer()
        self.start_node()
        self.client.bring_up()
        self.await_masks(10)

    def await_masks(self, count: int = 1, *, limit_s: float = FIRST_MASK_LIMIT_S) -> None:
        """Wait for so many masks of frames from now on, of each camera."""
        wanted = [logs.masks() + count for logs in self.all_logs]
        self.client.await_that(
            lambda: all(
                logs.masks() >= number for logs, number in zip(self.all_logs, wanted, strict=True)
            ),
            f'{count} masks',
            limit_s=limit_s,
        )
        self.check_processes()

    def await_first_mask(self, since_ns: int, *, limit_s: float = FIRST_MASK_LIMIT_S) -> float:
        """Wait for the first mask of a frame stamped after ``since_ns``; seconds from then."""
        self.client.await_that(
            lambda: self.logs.first_mask_after(since_ns) is not None, 'a mask', limit_s=limit_s
        )
        arrival_ns = self.logs.first_mask_after(since_ns)
        return ((arrival_ns or since_ns) - since_ns) * 1e-9

    def watch(self, seconds: float) -> Traffic:
        """Watch frames and masks of the (first) camera for a while."""
        return self.watch_all(seconds)[0]

    def watch_all(self, seconds: float) -> list[Traffic]:
        """Watch frames and masks of each camera for a while."""
        window = self._pass(seconds)
        return [logs.traffic(window) for logs in self.all_logs]

    def watch_answers(self, seconds: float) -> tuple[Traffic, Traffic]:
        """Watch for a while; gives masks, and whole answers: mask and all further outputs."""
        window = self._pass(seconds)
        logs = (self.logs, *self.further_logs)
        whole = complete([each.arrivals() for each in logs])
        return self.logs.traffic(window), compare(read_log(self.logs.camera), whole, window)

    def _pass(self, seconds: float) -> Window:
        """Let a window pass; what it cost is read at its end, not when its last mask has come."""
        with energy_used(BACKEND) as energy:
            before_s = self.processes.cpu_s()
            begin_ns = time.time_ns()
            self.client.rest(seconds)
            window = Window(begin_ns, time.time_ns())
            after_s = self.processes.cpu_s()
        used_s = {name: cpu_s - before_s.get(name, 0.0) for name, cpu_s in after_s.items()}
        self.cost = Cost(used_s, energy.joules)
        self.client.rest(LAST_MASK_S)
        self.check_processes()
        return window

    def traffic(self, window: Window) -> Traffic:
        """Give what happened in a window that ended just now or before."""
        self.client.rest(LAST_MASK_S)
        return self.logs.traffic(window)

    def served(self, masks: Traffic | None = None) -> Served:
        """Say what the node runs, for the KPI database.

        Args:
            masks: of the window watched last; their ages are its latency.
        """
        plan = self.plan
        known = Served(
            package=ModelStore(plan.store).resolve(plan.model),
            backend=BACKEND,
            precision=self.client.precision,
        )
        if masks is None:
            return known
        count, joules = masks.frames - masks.unanswered, self.cost.joules
        return replace(
            known,
            p50_ms=masks.age_ms(50),
            p95_ms=masks.age_ms(95),
            energy_j=joules / count if joules is not None and count else None,
        )

    def check_processes(self) -> None:
        """Make sure that nothing died.

        Raises:
            MeasurementFailed: something did.
        """
        for name, code in self.processes.ended().items():
            raise MeasurementFailed(
                f'{name} ended with {code}: {self.processes.log_tail(name)[-300:]}',
                remedy=f'see {self._folder / name}.log',
            )

    def stop_node(self) -> None:
        """Interrupt the node and wait for its end."""
        try:
            self.processes.stop(NODE)
        except subprocess.TimeoutExpired as stuck:
            raise MeasurementFailed(f'{NODE} did not end: {stuck}') from stuck
