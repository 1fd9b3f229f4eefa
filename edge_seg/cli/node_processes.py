"""Starts the nodes as processes of their own, and ends every one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from edge_seg.cli.ros_domain import claim_domain
from edge_seg.models.share import share_path
from edge_seg.ros.compat import (
    DDS_PROFILE_VARIABLE,
    dds_profile_variable,
    OLD_DDS_PROFILE_VARIABLE,
)
import yaml

INTERRUPT_TIMEOUT_S = 6.0
TERMINATE_TIMEOUT_S = 2.0
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node to start.

    Attributes:
        name: node name, also of its log and parameter file.
        module: module whose ``main`` runs it.
        parameters: as they stand in a parameter file.
        overrides: 'name:=value' from the command line, which win over ``parameters``.
    """

    name: str
    module: str
    parameters: Mapping[str, Any]
    overrides: tuple[str, ...] = ()


class NodeProcesses:
    """The children; leaving the ``with`` block ends those that are left, by force if need be.

    Args:
        folder: for their logs and parameter files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> 'NodeProcesses':
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, plan: NodePlan) -> None:
        """Start one node."""
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f'{plan.name}.yaml'
        document = {'/**': {'ros__parameters': dict(plan.parameters)}}
        file.write_text(yaml.safe_dump(document), 'utf-8')
        overrides = [word for override in plan.overrides for word in ('-p', override)]
        with self._log(plan.name).open('wb') as log:
            self._children[plan.name] = subprocess.Popen(
                [sys.executable, '-m', 'edge_seg.cli.node_child', plan.module]
                + ['--ros-args', '--params-file', str(file), *overrides],
                env={**os.environ, 'PYTHONUNBUFFERED': '1'},
                stdin=subprocess.PIPE,  # tells the child when this process is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
            )

    def ended(self) -> dict[str, int]:
        """Give the exit codes of those that are not running any more, by name."""
        codes = {name: child.poll() for name, child in self._children.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def log_tail(self, name: str) -> str:
        """Give the last lines of a node's log."""
        lines = self._log(name).read_text('utf-8', 'replace').splitlines()
        return '\n'.join(lines[-TAIL_LINES:])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all nodes that were started."""
        return tuple(self._children)

    def end(self) -> None:
        """End all: the one started last, which looks after the others, then the others.

        Interrupt, then terminate, then kill. A node that ends by itself takes its shared memory
        with it, a killed one leaves it behind.
        """
        names = list(self._children)
        for group in (names[-1:], names[:-1]):
            _end([self._children[name] for name in group])

    def _log(self, name: str) -> Path:
        return self._folder / f'{name}.log'


def _end(children: Sequence['subprocess.Popen[bytes]']) -> None:
    for number, timeout_s in (
        (signal.SIGINT, INTERRUPT_TIMEOUT_S),
        (signal.SIGTERM, TERMINATE_TIMEOUT_S),
        (signal.SIGKILL, TERMINATE_TIMEOUT_S),
    ):
        running = [child for child in children if child.poll() is None]
        for child in running:
            child.send_signal(number)
        deadline_s = time.monotonic() + timeout_s
        for child in running:
            try:
                child.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def prepare_environment() -> None:
    """Give this process and its children a ROS domain, the DDS profile and a quiet discovery.

    What the user has set stays.
    """
    if not os.environ.get('ROS_DOMAIN_ID'):
        os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    names = (dds_profile_variable(), DDS_PROFILE_VARIABLE, OLD_DDS_PROFILE_VARIABLE)
    set_by_user = next((os.environ[name] for name in names if os.environ.get(name)), '')
    profile = set_by_user or str(share_path('config', 'fastdds_camera.xml'))
    os.environ.pop(OLD_DDS_PROFILE_VARIABLE, None)  # where it is not needed, Fast DDS warns of it
    os.environ.update({DDS_PROFILE_VARIABLE: profile, dds_profile_variable(): profile})
