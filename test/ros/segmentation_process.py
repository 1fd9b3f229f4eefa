"""Runs the segmentation node in a process of its own, as a launch file would."""

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ROOT / 'config' / 'fastdds_camera.xml'
START = 'from edge_seg.ros.segmentation_node import main; raise SystemExit(main())'
END_TIMEOUT_S = 10.0


def dds_environment() -> dict[str, str]:
    """Name the DDS profile as Kilted and as Jazzy know it."""
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    return dict.fromkeys(names, str(PROFILE))


class SegmentationProcess:
    """One node process; it is gone after ``end``, whatever happened to it.

    Args:
        folder: for its log and its parameter file.
        parameters: as they stand in a parameter file.
        namespace: of the node.
        remappings: of names.
        file: parameter file whose values count where ``parameters`` has none.
        environment: added to that of this process.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, Any],
        *,
        namespace: str,
        remappings: Mapping[str, str] | None = None,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.namespace = namespace
        self.ended_within_s = 0.0
        stem = namespace.strip('/').replace('/', '_')
        self._log = folder / f'{stem}.log'
        own = folder / f'{stem}.yaml'
        own.write_text(yaml.safe_dump({'/**': {'ros__parameters': dict(parameters)}}), 'utf-8')
        arguments = ['--ros-args', '-r', f'__ns:={namespace}']
        for each in (file, own) if file else (own,):
            arguments += ['--params-file', str(each)]
        for name, new_name in (remappings or {}).items():
            arguments += ['-r', f'{name}:={new_name}']
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-c', START, *arguments],
                cwd=ROOT,
                env={**os.environ, 'PYTHONUNBUFFERED': '1', **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """False after it ended, by itself or not."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text('utf-8', 'replace')

    @property
    def resident_kib(self) -> int:
        """Memory in use."""
        return self._status('VmRSS')

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return self._status('Threads')

    def _status(self, name: str) -> int:
        status = Path(f'/proc/{self.pid}/status').read_text('utf-8')
        return next(int(line.split()[1]) for line in status.splitlines() if name in line)

    def signal(self, number: int) -> int:
        """Send a signal and give the exit code; fails when it does not end."""
        begin_s = time.monotonic()
        self._process.send_signal(number)
        try:
            code = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f'still there after signal {number}:\n{self.log}') from late
        self.ended_within_s = time.monotonic() - begin_s
        return code

    def end(self) -> None:
        """End it, politely at first."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
