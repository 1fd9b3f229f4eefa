"""Who opens a port that its maker never finished is not kept waiting for good."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

from edge_seg.ros import unfinished_ports
from edge_seg.ros.shared_memory import bury_the_dead, clear_of_the_dead, FOLDER
from edge_seg.ros.unfinished_ports import free_unfinished_ports, YOUNG_S
from left_ports import open_files
import pytest

pytestmark = pytest.mark.usefixtures('fast_dds')

LIMIT_S = 60.0
PORT = 7042
SIZE = 52400
EMPTY, SIZED, STARTED, READY, CORRUPTED = b'', bytes(SIZE), b'\1\0\0\0', b'\2\0\0\0', b'\3\0\0\0'
"""First bytes of the file of a port, as it is made and when that failed."""
UNFINISHED = pytest.mark.parametrize(
    'content', [EMPTY, SIZED, STARTED.ljust(SIZE, b'\0')], ids=['empty', 'sized', 'started']
)
TALKER = """
import rclpy
{help}
rclpy.init()
input()
with {joining}:
    node = rclpy.create_node('talker')
print('there', flush=True)
"""
HELPED = TALKER.format(
    help='from edge_seg.ros.shared_memory import clear_of_the_dead', joining='clear_of_the_dead()'
)
PLAIN = TALKER.format(help='from contextlib import nullcontext', joining='nullcontext()')


def leave_segment(
    folder: Path,
    content: bytes,
    *,
    name: str = 'fastdds',
    port: int = PORT,
    age_s: float = 2 * YOUNG_S,
) -> Path:
    """Leave behind what somebody had made of a port so long ago."""
    segment = folder / f'{name}_port{port}'
    segment.write_bytes(content)
    a_while_ago_s = segment.stat().st_mtime - age_s
    os.utime(segment, (a_while_ago_s, a_while_ago_s))
    return segment


@contextmanager
def unfinished_port(domain: int, content: bytes) -> Iterator[set[Path]]:
    """Leave behind the port at which the first participant of a domain is told of messages.

    Just now: an older one would be freed in other tests, too.
    """
    port = 7400 + 250 * domain + 11
    left = {
        leave_segment(FOLDER, content, name=name, port=port, age_s=0.0)
        for name in ('fastdds', 'fastrtps')
    }
    try:
        yield left
    finally:
        for segment in left:
            segment.unlink(missing_ok=True)


@contextmanager
def process(script: str) -> Iterator['subprocess.Popen[str]']:
    with subprocess.Popen(
        [sys.executable, '-c', script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        try:
            yield it
        finally:
            it.kill()


@UNFINISHED
def test_a_process_that_waits_for_a_port_is_freed(ros_domain_id: int, content: bytes) -> None:
    """With a real one, of another package."""
    with process(PLAIN) as waiting, unfinished_port(ros_domain_id, content) as left:
        assert waiting.stdin is not None
        waiting.stdin.write('\n')
        waiting.stdin.flush()
        end_s = time.monotonic() + LIMIT_S
        while not open_files(waiting.pid) & left:
            assert time.monotonic() < end_s, 'it never opened the port'
            assert waiting.poll() is None, 'it did not have to wait'
            for segment in left:
                os.utime(segment)  # it stays as young
            threading.Event().wait(0.02)

        while waiting.poll() is None:
            assert time.monotonic() < end_s, 'it was not freed'
            bury_the_dead()
            threading.Event().wait(0.1)

        assert waiting.communicate()[0] == 'there\n'


@UNFINISHED
def test_a_process_of_this_package_frees_itself(ros_domain_id: int, content: bytes) -> None:
    with process(HELPED) as joining, unfinished_port(ros_domain_id, content):
        assert joining.communicate('\n', timeout=LIMIT_S)[0] == 'there\n'


@UNFINISHED
def test_it_is_done_when_a_process_joins_and_by_who_looks_after_the_dead(
    ros_domain_id: int, tmp_path: Path, content: bytes
) -> None:
    segment = leave_segment(tmp_path, content)
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert not segment.exists()

    leave_segment(tmp_path, content)
    bury_the_dead(folder=tmp_path)
    assert not segment.exists()


def test_who_joins_waits_for_a_port_that_is_being_made(ros_domain_id: int, tmp_path: Path) -> None:
    """It may be one that its maker, killed just now, will never finish."""
    segment = tmp_path / f'fastdds_port{PORT}'
    segment.write_bytes(EMPTY)

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert not segment.exists()


@UNFINISHED
@pytest.mark.parametrize('name', ['fastdds', 'fastrtps'])
def test_a_port_that_was_never_finished_is_removed_and_who_waits_is_told(
    tmp_path: Path, name: str, content: bytes
) -> None:
    segment = leave_segment(tmp_path, content, name=name)
    with segment.open('rb') as waiting:
        assert free_unfinished_ports(tmp_path) == 0

        assert not segment.exists()
        assert waiting.read(4) == CORRUPTED
        assert os.fstat(waiting.fileno()).st_size == max(len(content), 4)


def test_a_port_that_is_being_made_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_ports, 'YOUNG_S', 3600.0)
    segment = tmp_path / f'fastdds_port{PORT}'
    segment.write_bytes(SIZED)

    assert free_unfinished_ports(tmp_path) == 1

    assert segment.read_bytes() == SIZED


@pytest.mark.parametrize('content', [b'\0', CORRUPTED.ljust(SIZE, b'\0')])
def test_a_port_whose_maker_gave_up_is_removed(tmp_path: Path, content: bytes) -> None:
    """Or nobody could ever use its number: who makes one anew finds the name taken."""
    segment = leave_segment(tmp_path, content)

    free_unfinished_ports(tmp_path)

    assert not segment.exists()


def test_finished_ports_and_other_files_are_left(tmp_path: Path) -> None:
    for name in (f'fastdds_port{PORT}_el', f'sem.fastdds_port{PORT}_mutex', 'fastdds_0cb8'):
        leave_segment(tmp_path, EMPTY).rename(tmp_path / name)
    leave_segment(tmp_path, READY.ljust(SIZE, b'\0'))
    (tmp_path / 'elsewhere').write_bytes(EMPTY)
    (tmp_path / 'fastdds_port7043').symlink_to(tmp_path / 'elsewhere')
    os.mkfifo(tmp_path / 'fastdds_port7044')
    left = sorted(tmp_path.iterdir())
    past_s = time.time() - 2 * YOUNG_S
    for path in left:
        os.utime(path, (past_s, past_s), follow_symlinks=False)

    assert free_unfinished_ports(tmp_path) == 0

    assert sorted(tmp_path.iterdir()) == left
    assert (tmp_path / 'elsewhere').read_bytes() == EMPTY
