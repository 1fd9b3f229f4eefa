"""While a process joins, nobody opens the ports of the dead."""

from pathlib import Path
import signal
import subprocess
import sys
import threading

from edge_seg.ros import shut_ports
from edge_seg.ros.shared_memory import bury_the_dead, clear_of_the_dead
from edge_seg.ros.shut_ports import kept_shut
from left_ports import FAST_DDS, leave_port, MUTEX
import pytest

pytestmark = pytest.mark.usefixtures('fast_dds')

READER_PORT = 7042
KILLED = """
import os
from pathlib import Path
from edge_seg.ros.shut_ports import kept_shut

with kept_shut({port}, Path({folder!r})):
    os.kill(os.getpid(), 9)
"""


def test_nobody_opens_the_port_of_a_dead_reader_for_a_moment(tmp_path: Path) -> None:
    """Who opens a port opens its mutex first, or makes one, and in the end removes it."""
    lock = leave_port(tmp_path, READER_PORT)
    mutex = tmp_path / f'sem.fastdds_port{READER_PORT}_mutex'

    with clear_of_the_dead(0, folder=tmp_path):
        with pytest.raises(IsADirectoryError):
            mutex.open('r+b')
        with pytest.raises(FileExistsError):
            mutex.open('xb')
        with pytest.raises(OSError):
            mutex.unlink()
        bury_the_dead(folder=tmp_path)
        assert mutex.is_dir(), 'it is not left over: somebody is joining'

    assert not lock.exists()
    assert mutex.read_bytes() == MUTEX
    assert not list(tmp_path.glob('*.edge_seg'))


def test_a_port_that_somebody_reads_by_now_is_not_kept_shut(tmp_path: Path) -> None:
    leave_port(tmp_path, READER_PORT)
    mutex = tmp_path / f'sem.fastdds_port{READER_PORT}_mutex'

    with kept_shut(READER_PORT, tmp_path):
        assert mutex.read_bytes() == MUTEX

    assert mutex.read_bytes() == MUTEX


def test_a_port_is_kept_shut_once_who_looked_whether_its_reader_lives_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shut_ports, 'LOOKS', 10_000)
    lock = leave_port(tmp_path, READER_PORT)
    mutex = tmp_path / f'sem.fastdds_port{READER_PORT}_mutex'

    def look() -> None:
        while not mutex.is_dir():
            threading.Event().wait(0.002)
        lock.unlink()

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with kept_shut(READER_PORT, tmp_path):
        assert mutex.is_dir()
        assert not lock.exists()
    looking.join()


def test_a_port_that_two_keep_shut_is_opened_by_the_first(tmp_path: Path) -> None:
    leave_port(tmp_path, READER_PORT).unlink()
    mutex = tmp_path / f'sem.fastdds_port{READER_PORT}_mutex'

    with kept_shut(READER_PORT, tmp_path):
        with kept_shut(READER_PORT, tmp_path):
            pass
        assert mutex.is_dir()

    assert mutex.read_bytes() == MUTEX


def test_a_mutex_that_others_make_meanwhile_stays(tmp_path: Path) -> None:
    leave_port(tmp_path, READER_PORT).unlink()
    mutex = tmp_path / f'sem.fastdds_port{READER_PORT}_mutex'

    with kept_shut(READER_PORT, tmp_path):
        mutex.rmdir()
        mutex.write_bytes(b'new')

    assert mutex.read_bytes() == b'new'


@pytest.mark.parametrize('when', ['somebody joins', 'the dead are buried'])
def test_ports_that_a_killed_process_kept_shut_are_opened(tmp_path: Path, when: str) -> None:
    leave_port(tmp_path, READER_PORT).unlink()
    killed = KILLED.format(port=READER_PORT, folder=str(tmp_path))
    assert subprocess.run([sys.executable, '-c', killed]).returncode == -signal.SIGKILL
    mutexes = [tmp_path / f'sem.{name}_port{READER_PORT}_mutex' for name in FAST_DDS]
    assert all(mutex.is_dir() for mutex in mutexes)

    if when == 'somebody joins':
        with clear_of_the_dead(0, folder=tmp_path):
            pass
    else:
        bury_the_dead(folder=tmp_path)

    assert mutexes[0].read_bytes() == MUTEX
    assert not mutexes[1].exists()
