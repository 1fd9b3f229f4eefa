"""One run of the demo: nodes up, masks watched, nodes down, and the figures of it all."""

from collections.abc import Callable
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import time
from types import FrameType
from typing import Any

from edge_seg.cli.demo.display import Display, Status
from edge_seg.cli.demo.evaluation import Evaluation
from edge_seg.cli.demo.source import DemoSource
from edge_seg.cli.demo.summary import DemoSummary, drops_of, summarise
from edge_seg.cli.node_processes import NodePlan, NodeProcesses
from edge_seg.errors import EdgeSegError
from edge_seg.ros.demo_viewer import DemoViewer, NodeReport

CAMERA, SEGMENTATION, MANAGER = 'camera', 'segmentation', 'lifecycle_manager'
BRING_UP_LIMIT_S = 90.0
SHUT_DOWN_LIMIT_S = 8.0
DISCOVERY_LIMIT_S = 10.0
FIRST_MASK_LIMIT_S = 10.0
LAST_WORDS_LIMIT_S = 1.5
STATUS_EVERY_S = 1.0
STALL_S = 2.0
"""After so long without a mask the status says why."""
POLL_S = 0.05
SILENT = NodeReport(0, 'it said nothing on /diagnostics', {})


class DemoFailed(EdgeSegError):
    """The nodes did not come up, or one of them ended."""


class Interrupted(EdgeSegError):
    """Ctrl-C or SIGTERM before the nodes were up."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for.

    Attributes:
        source: as typed.
        seconds: length of the run, 0 = until Ctrl-C.
        output: folder for everything that is written.
        camera: 'name:=value' parameters of the camera node.
        segmentation: the same of the segmentation node.
        topic: image topic of a bag, '' = its only one.
    """

    source: str
    seconds: float
    output: Path
    camera: tuple[str, ...] = ()
    segmentation: tuple[str, ...] = ()
    topic: str = ''


class StopRequest:
    """Set by Ctrl-C and SIGTERM between enter and exit."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> 'StopRequest':
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def node_plans(options: DemoOptions, source: DemoSource) -> tuple[NodePlan, ...]:
    """Say which nodes to start, the slowest one first, and with what parameters."""
    segmentation = {'image_transport': source.transport, 'diagnostics_period_s': 0.5}
    camera = {
        'source': source.uri,
        'width': source.size.width,
        'height': source.size.height,
        'topic': options.topic,
    }
    manager = {'node_names': [CAMERA, SEGMENTATION], 'autostart': False, 'appear_timeout_s': 30.0}
    return (
        NodePlan(
            SEGMENTATION, 'edge_seg.ros.segmentation_node', segmentation, options.segmentation
        ),
        NodePlan(CAMERA, 'edge_seg.ros.camera_node', camera, options.camera),
        NodePlan(MANAGER, 'edge_seg.ros.lifecycle_manager_node', manager),
    )


class DemoRun:
    """Watches nodes that were started already, from their bring-up to their end.

    Args:
        viewer: receives what they publish, for ``evaluation``.
        evaluation: measures it.
        processes: the nodes.
        display: shows progress.
        stop: asked for by the user.
        options: what the user asked for.
        source: what the camera publishes.
        started_s: when the first node was started, monotonic.
    """

    def __init__(
        self,
        viewer: DemoViewer,
        evaluation: Evaluation,
        *,
        processes: NodeProcesses,
        display: Display,
        stop: StopRequest,
        options: DemoOptions,
        source: DemoSource,
        started_s: float,
    ) -> None:
        self._viewer = viewer
        self._evaluation = evaluation
        self._processes = processes
        self._display = display
        self._stop = stop
        self._options = options
        self._source = source
        self._started_s = started_s
        self._ended_s = started_s
        self._final = SILENT
        self.remark = ''
        """Why there was no mask; '' = there were masks."""

    def bring_up(self) -> None:
        """Let the lifecycle manager configure and activate the nodes.

        Raises:
            DemoFailed: it could not, with the reason; or a node ended.
            Interrupted: the user does not want to wait for it.
        """
        response = self._await(self._viewer.manager('startup'), limit_s=BRING_UP_LIMIT_S)
        if response is None:
            raise DemoFailed(
                f'the nodes are not up after {BRING_UP_LIMIT_S:g} s',
                remedy='see the logs for what they wait for',
            )
        if not response.success:
            raise DemoFailed(f'the nodes did not come up: {response.message}')
        self._evaluation.all_up((CAMERA, SEGMENTATION))
        if not self._await(lambda: self._viewer.listen() or None, limit_s=DISCOVERY_LIMIT_S):
            raise DemoFailed(
                f'the nodes are up, and after {DISCOVERY_LIMIT_S:g} s nobody offers masks here',
                remedy='see whether this process may use the network that ROS uses',
            )

    def watch(self) -> None:
        """Watch until the time is up, the user stops it, or no mask comes.

        Raises:
            DemoFailed: a node ended.
        """
        begin_s = time.monotonic()
        next_status_s = begin_s + STATUS_EVERY_S
        meter, moments = self._evaluation.meter, self._evaluation.moments
        while not self._stop.requested:
            self._viewer.spin_once(POLL_S)
            now_s = time.monotonic()
            self._ended_s = now_s
            if meter.first_mask_s is not None:
                moments.tick(now_s - meter.first_mask_s)
                self._viewer.look(moments.looking)
            if now_s >= next_status_s:
                next_status_s += STATUS_EVERY_S
                self._check_system()
                self._show(now_s, elapsed_s=now_s - begin_s)
            waited_s = now_s - (meter.first_mask_s or begin_s)
            limit_s = self._options.seconds if meter.received else FIRST_MASK_LIMIT_S
            if limit_s and waited_s >= limit_s:
                break
        self._display.finish_status()
        self._viewer.look(False)
        if not meter.received:
            self.remark = self._why_no_mask()

    def take_down(self) -> None:
        """Let the manager stop the nodes, hear their final figures, let it take them down."""
        self._command('pause')
        deadline_s = time.monotonic() + LAST_WORDS_LIMIT_S
        while time.monotonic() < deadline_s and not self._has_stopped():
            self._viewer.spin_once(POLL_S)
        self._final = self.report(SEGMENTATION)
        self._command('shutdown')

    def _command(self, command: str) -> None:
        response = self._await(
            self._viewer.manager(command), limit_s=SHUT_DOWN_LIMIT_S, interruptible=False
        )
        if response is None or not response.success:
            reason = 'no answer' if response is None else response.message
            self._display.note(f'the nodes were not taken down in order: {command}: {reason}')

    def _has_stopped(self) -> bool:
        return self.report(SEGMENTATION).values.get('state') == 'inactive'

    def summary(self) -> DemoSummary:
        """Give the figures; to be asked for after ``take_down``."""
        meter = self._evaluation.meter
        first_s = meter.first_mask_s
        return summarise(
            meter,
            source=self._options.source or 'synthetic',
            classes=self._evaluation.classes,
            segmentation=self._final.values,
            camera=self.report(CAMERA).values,
            now_s=self._ended_s,
            start_s=None if first_s is None else first_s - self._started_s,
            middleware=self._viewer.middleware,
            truth=self._source.truth,
            default_camera=not self._options.camera,
        )

    def report(self, node: str) -> NodeReport:
        """Give a node's newest report."""
        return self._viewer.reports.get(node, SILENT)

    def _show(self, now_s: float, *, elapsed_s: float) -> None:
        meter = self._evaluation.meter
        self._display.status(
            Status(
                elapsed_s=elapsed_s,
                total_s=self._options.seconds,
                glance=meter.glance(now_s),
                drops=drops_of(self.report(SEGMENTATION).values),
                truth=meter.truths_seen,
                remark='' if meter.silent_s(now_s) < STALL_S else self._why_no_mask(),
            )
        )

    def _why_no_mask(self) -> str:
        report = self.report(SEGMENTATION)
        reason = report.values.get('why_no_mask') or report.message
        return f'no mask: segmentation: {reason}; camera: {self.report(CAMERA).message}'

    def _await(
        self, response: Callable[[], Any], *, limit_s: float, interruptible: bool = True
    ) -> Any:
        deadline_s = time.monotonic() + limit_s
        while time.monotonic() < deadline_s:
            if interruptible and self._stop.requested:
                raise Interrupted('interrupted before the nodes were up')
            found = response()
            if found is not None:
                return found
            if interruptible:
                self._check_system()
            self._viewer.spin_once(POLL_S)
        return None

    def _check_system(self) -> None:
        for name, code in self._processes.ended().items():
            how = f'exit code {code}' if code >= 0 else signal.Signals(-code).name
            raise DemoFailed(f'{name} ended with {how}', remedy='its log says why')
        twice = self._viewer.namesakes().intersection(self._processes.names)
        if twice:
            raise DemoFailed(
                f'somebody else runs {", ".join(sorted(twice))} in ROS domain '
                f'{os.environ.get("ROS_DOMAIN_ID", "0")}',
                remedy='end it, or set ROS_DOMAIN_ID to another number',
            )
