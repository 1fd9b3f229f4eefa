"""What a reader of a port in shared memory leaves behind."""

from contextlib import suppress
import os
from pathlib import Path

FAST_DDS = ('fastdds', 'fastrtps')
"""How the files of Fast DDS 3 and 2 begin."""
MUTEX = b'semaphore'
FINISHED_PORT = b'\2\0\0\0cells'


def leave_port(folder: Path, port: int, name: str = 'fastdds') -> Path:
    """Leave behind what a reader of a port makes; gives its lock."""
    (folder / f'{name}_port{port}').write_bytes(FINISHED_PORT)
    (folder / f'sem.{name}_port{port}_mutex').write_bytes(MUTEX)
    lock = folder / f'{name}_port{port}_el'
    lock.write_bytes(b'')
    a_while_ago_s = lock.stat().st_mtime - 1.0
    os.utime(lock, (a_while_ago_s, a_while_ago_s))
    return lock


def open_files(pid: int) -> set[Path]:
    """List what a process has open, by the names that it was opened with."""
    found = set()
    for link in Path(f'/proc/{pid}/fd').iterdir():
        with suppress(FileNotFoundError):  # closed by now
            found.add(Path(str(link.readlink()).removesuffix(' (deleted)')))
    return found
