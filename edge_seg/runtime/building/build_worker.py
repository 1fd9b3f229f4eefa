"""The child process that compiles one model: a request on stdin, one line of answer on stdout.

Compiling takes all memory bandwidth it can get and may crash inside a vendor library. Here it
runs at low priority, and its crash is a failed load, nothing else.
"""

import ctypes
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any, cast

import edge_seg
from edge_seg.backends.base import CompileOptions, PrebuildingBackend
from edge_seg.backends.registry import create
from edge_seg.errors import EdgeSegError
from edge_seg.models.package import open_package

NICENESS = 10
PR_SET_PDEATHSIG = 1


def child_environment() -> dict[str, str]:
    """Give the environment in which a child finds the edge_seg that this process runs."""
    source = str(Path(edge_seg.__file__).resolve().parents[1])
    path = (source, os.environ.get('PYTHONPATH', ''))
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path))}


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build.

    Attributes:
        backend: registry name.
        package: folder of the model.
        artifact: file to compile.
        out: file to write.
        options: device, threads, precision and so on.
    """

    backend: str
    package: Path
    artifact: Path
    out: Path
    options: CompileOptions

    def to_json(self) -> str:
        """Give the request as one line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> 'BuildRequest':
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = json.loads(line)
        options = fields['options']
        options['extra'] = tuple((name, value) for name, value in options['extra'])
        options['cache_dir'] = None
        return cls(
            backend=fields['backend'],
            package=Path(fields['package']),
            artifact=Path(fields['artifact']),
            out=Path(fields['out']),
            options=CompileOptions(**options),
        )


@dataclass(frozen=True, slots=True)
class BuildAnswer:
    """How it went; ``met`` is '' when the file was written."""

    met: str = ''
    expected: str = ''
    remedy: str = ''

    def to_json(self) -> str:
        """Give the answer as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> 'BuildAnswer':
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(line))


def build(request: BuildRequest) -> BuildAnswer:
    """Compile; an expected failure is an answer, a bug is a traceback and an exit code."""
    try:
        package = open_package(request.package)
        backend = cast(PrebuildingBackend, create(request.backend))
        backend.build(request.artifact, package.manifest.spec, request.options, request.out)
    except EdgeSegError as error:
        return BuildAnswer(error.met, error.expected, error.remedy)
    return BuildAnswer()


def main() -> None:
    """Serve one request."""
    os.nice(NICENESS)
    # A node that is killed leaves no build behind. Linux only, like the rest of a robot.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's, which ends this process
    answer = build(BuildRequest.from_json(sys.stdin.readline()))
    print(answer.to_json(), flush=True)


if __name__ == '__main__':
    main()
