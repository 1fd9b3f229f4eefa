"""Runs one build in a child process, follows its progress, and ends it when it is cancelled."""

from collections.abc import Callable, Iterator
import json
import os
import selectors
import subprocess
import sys
from tempfile import TemporaryFile
import threading
from typing import IO

from edge_seg.backends.build_progress import BuildProgress
from edge_seg.errors import CompileFailed
from edge_seg.runtime.building.build_worker import BuildAnswer, BuildRequest, child_environment
from edge_seg.runtime.building.engine_worker import ANSWER, PROGRESS

WORKER = 'edge_seg.runtime.building.engine_worker'
WATCH_S = 0.2
CANCEL_GRACE_S = 5.0
"""How long a build may take to stop by itself: TensorRT asks between two steps only."""
_CHUNK_BYTES = 65536

OnBuild = Callable[[BuildProgress], None]


def run_build(
    request: BuildRequest, *, identity: str, cancelled: threading.Event, on_build: OnBuild
) -> None:
    """Build in a child process.

    Args:
        request: what to build.
        identity: the model, for messages.
        cancelled: ends the build when it is set.
        on_build: told how far it is, in the calling thread.

    Raises:
        CompileFailed: the child refused, crashed or was cancelled.
    """
    with TemporaryFile() as errors, _started(errors) as child:
        try:
            answer = _followed(child, request, cancelled, on_build)
        except BaseException:
            child.kill()
            raise
        returncode = _ended(child)
        if cancelled.is_set() and (answer is None or answer.met):
            raise CompileFailed(f'building {identity} was cancelled')
        if answer is None:
            raise _died(errors, returncode, identity)
    if answer.met:
        raise CompileFailed(answer.met, expected=answer.expected, remedy=answer.remedy)


def _started(errors: IO[bytes]) -> 'subprocess.Popen[bytes]':
    return subprocess.Popen(
        [sys.executable, '-m', WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,  # a file: a pipe that nobody reads would fill and stop the child
        env=child_environment(),
    )


def _followed(
    child: 'subprocess.Popen[bytes]',
    request: BuildRequest,
    cancelled: threading.Event,
    on_build: OnBuild,
) -> BuildAnswer | None:
    """Read what the child says until it has answered or died."""
    assert child.stdin is not None
    try:
        child.stdin.write(request.to_json().encode() + b'\n')
        child.stdin.close()
    except BrokenPipeError:
        return None  # it died at once
    for line in _lines(child, cancelled):
        document = json.loads(line)
        if PROGRESS in document:
            on_build(BuildProgress.from_json(json.dumps(document[PROGRESS])))
        elif ANSWER in document:
            return BuildAnswer.from_json(json.dumps(document[ANSWER]))
    return None


def _lines(child: 'subprocess.Popen[bytes]', cancelled: threading.Event) -> Iterator[bytes]:
    """Yield whole lines of the child's output; asks it to stop once ``cancelled`` is set."""
    assert child.stdout is not None
    asked = False
    rest = b''
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(CANCEL_GRACE_S if asked else WATCH_S):
                chunk = os.read(child.stdout.fileno(), _CHUNK_BYTES)
                if not chunk:
                    return
                *whole, rest = (rest + chunk).split(b'\n')
                yield from whole
            elif asked:
                child.kill()
            if cancelled.is_set() and not asked:
                asked = True
                child.terminate()


def _ended(child: 'subprocess.Popen[bytes]') -> int:
    try:
        return child.wait(CANCEL_GRACE_S)
    except subprocess.TimeoutExpired:  # it answered and hangs in a driver's clean-up
        child.kill()
        return child.wait()


def _died(errors: IO[bytes], returncode: int, identity: str) -> CompileFailed:
    errors.seek(0)
    told = errors.read().decode('utf-8', 'replace').strip().splitlines()[-1:]
    how = f'signal {-returncode}' if returncode < 0 else f'exit code {returncode}'
    return CompileFailed(
        f'the process that was building {identity} died ({how}): '
        f'{told[0] if told else "it said nothing"}',
        remedy='memory may have run out, which the kernel log tells; try a smaller --workspace',
    )
