"""Publishes in processes of its own that are killed, or that race; started by the tests.

Arguments: 'killed' or 'race', the folder of a model, an empty folder to work in. Prints JSON.
"""

from collections.abc import Callable
from functools import partial
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


def killed_at_each_step(work: Callable[[ModelStore], object], root: Path) -> list[dict[str, Any]]:
    """Work on a new store for each step until one process gets through."""
    results = []
    for step in range(300):
        store = ModelStore(root / str(step))
        pid = in_child(partial(killed_at, step, partial(work, store)))
        _, status = os.waitpid(pid, 0)
        results.append({'store': str(store.root), 'signal': os.WTERMSIG(status)})
        if os.WIFEXITED(status):
            results[-1]['exit'] = os.WEXITSTATUS(status)
            break
    return results


def killed(folder: Path, root: Path) -> list[dict[str, Any]]:
    """Publish into one store after the other."""
    return killed_at_each_step(lambda store: store.publish(folder), root)


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
