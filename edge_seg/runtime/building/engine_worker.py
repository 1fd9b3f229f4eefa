"""The child process that builds one engine: a request on stdin, lines of progress, one answer.

A build takes minutes and most of the memory, and may crash inside a vendor library. Here it runs
at low priority, and its crash is a failed load, nothing else. SIGTERM cancels it between two
steps of the builder.
"""

import ctypes
import json
import os
import signal
import sys
import threading
from typing import TextIO

from edge_seg.backends.build_progress import BuildProgress, EngineBuilding
from edge_seg.backends.registry import create
from edge_seg.errors import CompileFailed, EdgeSegError
from edge_seg.models.package import open_package
from edge_seg.runtime.building.build_worker import (
    BuildAnswer,
    BuildRequest,
    NICENESS,
    PR_SET_PDEATHSIG,
)

PROGRESS, ANSWER = 'progress', 'answer'


def build(request: BuildRequest, told: TextIO, cancelled: threading.Event) -> BuildAnswer:
    """Build; an expected failure is an answer, a bug is a traceback and an exit code.

    Args:
        request: what to build.
        told: where lines of progress go.
        cancelled: ends the build when it is set.
    """

    def on_progress(progress: BuildProgress) -> bool:
        told.write(_line(PROGRESS, progress.to_json()))
        return not cancelled.is_set()

    try:
        package = open_package(request.package)
        backend = create(request.backend)
        if not isinstance(backend, EngineBuilding):
            raise CompileFailed(f'backend {request.backend} builds no engines')
        backend.build_engine(
            request.artifact,
            package.manifest.spec,
            request.options,
            request.out,
            on_progress=on_progress,
        )
    except EdgeSegError as error:
        return BuildAnswer(error.met, error.expected, error.remedy)
    return BuildAnswer()


def main() -> None:
    """Serve one request."""
    os.nice(NICENESS)
    # A node that is killed leaves no build behind. Linux only, like the rest of a robot.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    # Vendor libraries print to stdout; what they say must not be read as an answer.
    with os.fdopen(os.dup(1), 'w', encoding='utf-8', buffering=1) as told:
        os.dup2(2, 1)
        answer = build(BuildRequest.from_json(sys.stdin.readline()), told, cancelled)
        told.write(_line(ANSWER, answer.to_json()))


def _line(kind: str, document: str) -> str:
    return json.dumps({kind: json.loads(document)}) + '\n'


if __name__ == '__main__':
    main()
