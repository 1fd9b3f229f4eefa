"""The processes of a benchmark: started, looked at, killed and started again."""

from collections.abc import Mapping
import os
from pathlib import Path
import signal

from edge_seg.cli.bench.process_figures import cpu_s_of, figures_of, ProcessFigures
from edge_seg.cli.node_processes import NodePlan, NodeProcesses

GONE_TIMEOUT_S = 5.0


class BenchProcesses(NodeProcesses):
    """Node processes that a benchmark may also kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ended_on_purpose: set[str] = set()

    def start(self, plan: NodePlan) -> None:
        """Start one node, or start it again."""
        self._ended_on_purpose.discard(plan.name)
        super().start(plan)

    def ended(self) -> dict[str, int]:
        """Give the exit codes of those that ended by themselves."""
        codes = super().ended()
        return {name: code for name, code in codes.items() if name not in self._ended_on_purpose}

    def pid(self, name: str) -> int:
        """Process id of a node."""
        return self._children[name].pid

    def figures(self, name: str) -> ProcessFigures:
        """Memory, threads, files and processor time of a node."""
        return figures_of(self.pid(name))

    def cpu_s(self) -> dict[str, float]:
        """Give the processor time of each node that runs, in seconds since its start."""
        gone = super().ended()
        return {name: cpu_s_of(self.pid(name)) for name in self.names if name not in gone}

    def kill(self, name: str) -> None:
        """Kill a node with SIGKILL and wait until it is gone."""
        self._ended_on_purpose.add(name)
        child = self._children[name]
        child.kill()
        child.wait(GONE_TIMEOUT_S)

    def stop(self, name: str, timeout_s: float = 8.0) -> None:
        """Interrupt a node and wait for its end.

        Raises:
            subprocess.TimeoutExpired: it does not end.
        """
        self._ended_on_purpose.add(name)
        child = self._children[name]
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(timeout_s)

    def start_with(self, plan: NodePlan, environment: Mapping[str, str | None]) -> None:
        """Start a node with other environment variables; None takes one away."""
        before = {name: os.environ.get(name) for name in environment}
        _set_environment(environment)
        try:
            self.start(plan)
        finally:
            _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
