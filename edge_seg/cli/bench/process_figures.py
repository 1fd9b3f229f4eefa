"""What the kernel says of a process: memory, threads, open files, processor time."""

from dataclasses import dataclass
import os
from pathlib import Path

TICK_S = 1.0 / os.sysconf('SC_CLK_TCK')


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """A process at one moment.

    Attributes:
        resident_kib: memory in use, shared parts included.
        shared_kib: of that, shared memory: the DDS segments, which fill up as frames pass.
        own_kib: what is its alone, in memory or swapped out: neither shared memory nor files,
            which the kernel drops when others want the memory.
        threads: how many.
        files: open file descriptors.
        cpu_s: processor time since its start, both modes.
    """

    resident_kib: int
    shared_kib: int
    own_kib: int
    threads: int
    files: int
    cpu_s: float


def figures_of(pid: int) -> ProcessFigures:
    """Look at a process.

    Raises:
        OSError: it is gone.
    """
    folder = Path('/proc') / str(pid)
    status = dict(
        line.partition(':')[::2] for line in (folder / 'status').read_text('utf-8').splitlines()
    )
    return ProcessFigures(
        resident_kib=int(status['VmRSS'].split()[0]),
        shared_kib=int(status['RssShmem'].split()[0]),
        own_kib=sum(int(status[name].split()[0]) for name in ('RssAnon', 'VmSwap')),
        threads=int(status['Threads']),
        files=len(os.listdir(folder / 'fd')),
        cpu_s=cpu_s_of(pid),
    )


def cpu_s_of(pid: int) -> float:
    """Give the processor time of a process since its start, both modes, in seconds.

    Raises:
        OSError: it is gone.
    """
    # The command in brackets may hold spaces; what follows does not.
    fields = Path(f'/proc/{pid}/stat').read_text('utf-8').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def children_of(pid: int) -> tuple[int, ...]:
    """List the processes that a process started and that still run."""
    found: list[int] = []
    for task in Path(f'/proc/{pid}/task').iterdir():
        try:
            found += map(int, (task / 'children').read_text('ascii').split())
        except OSError:
            continue  # the thread has ended
    return tuple(found)
