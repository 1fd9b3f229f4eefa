"""The processes of a benchmark: started, looked at, killed and started again."""

from collections.abc import Mapping
import os
import signal

from edge_seg.cli.bench_process_figures import figures_of, ProcessFigures
from edge_seg.cli.demo_processes import NodePlan, NodeProcesses

GONE_TIMEOUT_S = 5.0


class BenchProcesses(NodeProcesses):
    """Node processes that a benchmark may also kill."""

    def pid(self, name: str) -> int:
        """Process id of a node."""
        return self._children[name].pid

    def figures(self, name: str) -> ProcessFigures:
        """Memory, threads, files and processor time of a node."""
        return figures_of(self.pid(name))

    def kill(self, name: str) -> None:
        """Kill a node with SIGKILL and wait until it is gone."""
        child = self._children[name]
        child.kill()
        child.wait(GONE_TIMEOUT_S)

    def stop(self, name: str, timeout_s: float = 8.0) -> None:
        """Interrupt a node and wait for its end.

        Raises:
            subprocess.TimeoutExpired: it does not end.
        """
        child = self._children[name]
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(timeout_s)

    def start_with(self, plan: NodePlan, environment: Mapping[str, str]) -> None:
        """Start a node with further environment variables."""
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            self.start(plan)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
