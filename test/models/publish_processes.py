"""Publishes in processes of its own that are killed, or that race; started by the tests.

Arguments: 'killed' or 'race', the folder of a model, an empty folder to work in. Prints JSON.
"""

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any

from edge_seg.errors import StoreError
from edge_seg.models.store import ModelStore

STEPS = ('open', 'os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'fcntl.flock', 'fsync')
RACERS = 6


def in_child(work: Callable[[], int]) -> int:
    """Run in a forked process and give its pid; the result is its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return pid


def killed_at(step: int, work: Callable[[], object]) -> int:
    """Do work that dies by SIGKILL just before its n-th system call that matters."""
    left = step

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in STEPS:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    fsync = os.fsync

    def counted_fsync(descriptor: int) -> None:
        count('fsync', None)
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(count)
    work()
    return 0


def killed(folder: Path, root: Path) -> list[dict[str, Any]]:
    """Publish into a new store for each step until one publisher gets through."""
    results = []
    for step in range(200):
        store = ModelStore(root / str(step))
        pid = in_child(
            lambda s=step, st=store: killed_at(s, lambda: st.publish(folder))  # type: ignore[misc]
        )
        _, status = os.waitpid(pid, 0)
        results.append({'store': str(store.root), 'signal': os.WTERMSIG(status)})
        if os.WIFEXITED(status):
            results[-1]['exit'] = os.WEXITSTATUS(status)
            break
    return results


def race(folder: Path, root: Path) -> list[int]:
    """Let several publish the same version at once; 0 = published, 1 = refused."""
    gate_out, gate_in = os.pipe()

    def publish() -> int:
        os.close(gate_in)
        os.read(gate_out, 1)  # the end of the pipe is the starting shot
        try:
            ModelStore(root).publish(folder)
        except StoreError as refusal:
            return 1 if 'in the store already' in str(refusal) else 2
        return 0

    pids = [in_child(publish) for _ in range(RACERS)]
    os.close(gate_in)
    return [os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids]


if __name__ == '__main__':
    play = {'killed': killed, 'race': race}[sys.argv[1]]
    print(json.dumps(play(Path(sys.argv[2]), Path(sys.argv[3]))))
