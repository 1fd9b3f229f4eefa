"""A process that starts after a kill does not take the place of the dead one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
import fcntl
from mmap import ACCESS_READ, mmap
import os
from pathlib import Path
import re
import socket
import subprocess
import sys
import threading
import time

from edge_seg.ros import shared_memory
from edge_seg.ros.port_notes import PortNotes, REST_S
from edge_seg.ros.shared_memory import bury_the_dead, clear_of_the_dead, FOLDER, KEPT
from edge_seg.ros.unfinished_ports import free_unfinished_ports
from left_ports import FAST_DDS, leave_port, open_files
import pytest

pytestmark = pytest.mark.usefixtures('fast_dds')

LIMIT_S = 60.0
READER_PORT = 7042
TALKER = """
import os
import rclpy
from edge_seg.ros.shared_memory import clear_of_the_dead
from std_msgs.msg import UInt32

rclpy.init()
with clear_of_the_dead():
    node = rclpy.create_node('talker')
own = UInt32(data=os.getpid())
hear = lambda message: message == own or print('heard', flush=True)
node.create_subscription(UInt32, 'talk', hear, 10)
talk = node.create_publisher(UInt32, 'talk', 10)
node.create_timer(0.02, lambda: talk.publish(own))
print('there', flush=True)
rclpy.spin(node)
"""


def discovery_port(domain: int, participant: int) -> int:
    return 7400 + 250 * domain + 10 + 2 * participant


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        try:
            place.bind(('', port))
        except OSError:
            return False
    return True


def notes_in(folder: Path) -> list[Path]:
    """List the notes of the dead and of the living."""
    return [path for path in folder.glob('edge_seg-*/*') if path.name.isdecimal()]


def inodes_of_notes() -> set[int]:
    """Give the locks that all processes have noted, by inode; others come and go meanwhile."""
    with os.scandir(FOLDER / f'edge_seg-{os.getuid()}') as entries:
        return {entry.inode() for entry in entries}


@contextmanager
def talker(
    line_to_await: str, *, end: str = 'rclpy.spin(node)'
) -> Iterator['subprocess.Popen[str]']:
    """Run a node that talks to its like; gives its process once it has said so much."""
    script = TALKER.replace('rclpy.spin(node)', end)
    process = subprocess.Popen(
        [sys.executable, '-c', script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert line_to_await in (line.strip() for line in process.stdout)
            yield process
        finally:
            process.kill()


def locks_of(process: 'subprocess.Popen[str]') -> set[Path]:
    """Give the files that say that the reader of each port of a process lives."""
    opened = open_files(process.pid)
    locks = {path for path in opened if re.fullmatch(r'fast\w+_port\d+_el', path.name)}
    assert locks
    return locks


def segments_of(process: 'subprocess.Popen[str]') -> list[Path]:
    """Give the shared memory that a process sends with, and the files that keep it locked."""
    opened = open_files(process.pid)
    locks = [path for path in opened if re.search(r'fast\w+_[0-9a-f]{16}_el$', path.name)]
    assert locks
    return locks + [lock.with_name(lock.name.removesuffix('_el')) for lock in locks]


def is_file(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def await_condition(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, f'waited {LIMIT_S} s for {what}'
        threading.Event().wait(0.02)


@pytest.fixture(scope='module', autouse=True)
def _free_ports() -> Iterator[None]:
    """Let nobody hang because of these tests, which kill processes while they make ports.

    On a robot the lifecycle manager does so. Other tests run meanwhile, and some of these ports
    are those of all domains.
    """
    over = threading.Event()

    def free() -> None:
        while free_unfinished_ports(FOLDER) or not over.is_set():
            threading.Event().wait(0.1)

    freeing = threading.Thread(target=free)
    freeing.start()
    yield
    over.set()
    freeing.join()


@pytest.mark.parametrize('name', FAST_DDS)
def test_the_number_of_a_killed_process_stays_taken_for_a_moment(
    ros_domain_id: int, tmp_path: Path, name: str
) -> None:
    dead, living = discovery_port(ros_domain_id, 0), discovery_port(ros_domain_id, 1)
    leave_port(tmp_path, dead, name)
    leave_port(tmp_path, dead + 1, name)
    left = set(tmp_path.iterdir())

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert not is_free(dead)
        assert is_free(living)

    assert is_free(dead)
    assert left - set(tmp_path.iterdir()) == {
        tmp_path / f'{name}_port{port}_el' for port in (dead, dead + 1)
    }, 'somebody may have the others open'


def test_the_number_rests_when_the_others_have_cleared_the_dead_away(
    ros_domain_id: int, tmp_path: Path
) -> None:
    port = discovery_port(ros_domain_id, 0)
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        reader = leave_port(tmp_path, port + 1).open('rb')
        fcntl.flock(reader, fcntl.LOCK_EX)
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert is_free(port), 'its reader lives'

    reader.close()
    for path in tmp_path.glob('*fastdds*'):
        path.unlink()

    for _ in range(2):
        with clear_of_the_dead(ros_domain_id, folder=tmp_path):
            assert not is_free(port)


def test_the_number_is_given_back_when_the_others_have_forgotten_the_dead(
    ros_domain_id: int, tmp_path: Path
) -> None:
    port = discovery_port(ros_domain_id, 0)
    leave_port(tmp_path, port)
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert not is_free(port)
    segment = tmp_path / f'fastdds_port{port}'
    (note,) = notes_in(tmp_path)
    for path, ago_s in ((segment, REST_S + 2.0), (note, REST_S + 1.0)):
        then_s = path.stat().st_mtime - ago_s
        os.utime(path, (then_s, then_s))

    with (
        segment.open('rb') as sender,
        mmap(sender.fileno(), 0, access=ACCESS_READ),
        clear_of_the_dead(ros_domain_id, folder=tmp_path),
    ):
        assert not is_free(port), 'somebody has not found out yet'
    os.utime(note, (then_s, then_s))
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert is_free(port)
    assert not list(tmp_path.glob('*port*')) + notes_in(tmp_path), 'they must not pile up'


def test_a_port_that_others_made_since_is_left_to_them(ros_domain_id: int, tmp_path: Path) -> None:
    port = discovery_port(ros_domain_id, 0)
    leave_port(tmp_path, port)
    bury_the_dead(folder=tmp_path)
    (note,) = notes_in(tmp_path)
    long_ago_s = note.stat().st_mtime - REST_S - 1.0
    os.utime(note, (long_ago_s, long_ago_s))

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert is_free(port)
    assert (tmp_path / f'fastdds_port{port}').exists()


def test_without_shared_memory_nothing_is_done(tmp_path: Path) -> None:
    missing = tmp_path / 'none'

    with clear_of_the_dead(0, folder=missing):
        bury_the_dead(folder=missing)

    assert not missing.exists()


def test_processes_join_one_after_the_other(tmp_path: Path) -> None:
    """Or the second would get the number that the first keeps taken until it has its own."""
    joined = threading.Event()

    def join() -> None:
        with clear_of_the_dead(0, folder=tmp_path):
            joined.set()

    with clear_of_the_dead(0, folder=tmp_path):
        other = threading.Thread(target=join)
        other.start()
        assert not joined.wait(0.2)
    assert joined.wait(LIMIT_S)
    other.join()


@pytest.mark.usefixtures('ros_domain_id')
def test_a_process_that_ends_in_order_leaves_no_note() -> None:
    with talker('there', end='input()') as process:
        # By inode: other processes get its numbers as soon as it has ended.
        own = {lock.stat().st_ino for lock in locks_of(process)}
        assert own <= inodes_of_notes()

        process.communicate('\n', timeout=LIMIT_S)

        assert process.returncode == 0
        assert not own & inodes_of_notes()


def test_who_ends_leaves_the_note_of_its_successor(tmp_path: Path) -> None:
    notes = PortNotes(tmp_path)
    with leave_port(tmp_path, READER_PORT).open('rb'):
        own = notes.note_own()
    (tmp_path / f'fastdds_port{READER_PORT}_el').unlink()
    with leave_port(tmp_path, READER_PORT).open('rb'):
        of_successor = notes.note_own()

    notes.forget(own)
    assert [note.name for note in notes_in(tmp_path)] == [str(READER_PORT)]

    notes.forget(of_successor)
    assert not notes_in(tmp_path)


def test_the_lock_of_the_dead_goes_at_once_and_that_of_the_living_stays(
    ros_domain_id: int, tmp_path: Path
) -> None:
    dead, living, starting = (
        leave_port(tmp_path, discovery_port(ros_domain_id, participant))
        for participant in range(3)
    )
    os.utime(starting)
    with living.open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        bury_the_dead(folder=tmp_path)

        assert not dead.exists()
        assert living.exists()
        assert starting.exists(), 'its reader is about to lock it'
    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert not is_free(discovery_port(ros_domain_id, 0)), 'its number rests all the same'


def test_of_very_many_dead_the_first_give_their_numbers_away(
    ros_domain_id: int, tmp_path: Path
) -> None:
    ports = [discovery_port(ros_domain_id, participant) for participant in range(KEPT + 2)]
    for port in ports:
        leave_port(tmp_path, port)
        with clear_of_the_dead(ros_domain_id, folder=tmp_path):
            pass

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert [port for port in ports if is_free(port)] == ports[:2]


def test_a_process_that_lives_keeps_its_ports(ros_domain_id: int, tmp_path: Path) -> None:
    port = discovery_port(ros_domain_id, 1)
    with leave_port(tmp_path, port).open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        left = set(tmp_path.iterdir())

        with clear_of_the_dead(ros_domain_id, folder=tmp_path):
            assert is_free(port)

    assert left <= set(tmp_path.iterdir())


def test_ports_that_nobody_has_read_yet_and_those_of_other_domains_are_left_alone(
    ros_domain_id: int,
    tmp_path: Path,
) -> None:
    leave_port(tmp_path, discovery_port(ros_domain_id, 0)).unlink()  # made by who sends to it
    leave_port(tmp_path, discovery_port(ros_domain_id + 1, 0))

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert is_free(discovery_port(ros_domain_id, 0))

    assert len(list(tmp_path.iterdir())) == 5


def test_a_number_that_somebody_has_taken_again_is_his(ros_domain_id: int, tmp_path: Path) -> None:
    port = discovery_port(ros_domain_id, 2)
    leave_port(tmp_path, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as successor:
        successor.bind(('', port))

        with clear_of_the_dead(ros_domain_id, folder=tmp_path):
            assert is_free(discovery_port(ros_domain_id, 0))


def test_other_middlewares_are_not_helped(
    ros_domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_port(tmp_path, discovery_port(ros_domain_id, 0))
    monkeypatch.setattr(
        shared_memory, 'get_rmw_implementation_identifier', lambda: 'rmw_cyclonedds_cpp'
    )

    with clear_of_the_dead(ros_domain_id, folder=tmp_path):
        assert is_free(discovery_port(ros_domain_id, 0))

    assert len(list(tmp_path.iterdir())) == 3


def test_two_processes_that_look_at_the_same_moment_both_see_the_dead(
    ros_domain_id: int, tmp_path: Path
) -> None:
    port = discovery_port(ros_domain_id, 0)
    with leave_port(tmp_path, port).open('rb') as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as the other one does while it looks

        with clear_of_the_dead(ros_domain_id, folder=tmp_path):
            assert not is_free(port)


@pytest.mark.usefixtures('ros_domain_id')
def test_what_the_dead_sent_with_is_freed_and_the_living_talk_on() -> None:
    """With real processes."""
    with ExitStack() as ended:
        living = ended.enter_context(talker('there'))
        dead = ended.enter_context(talker('heard'))
        left = segments_of(dead)
        assert all(segment.exists() for segment in left)
        dead.kill()
        dead.wait()

        def buried() -> bool:
            bury_the_dead()  # but not what is so young that its owner may be about to lock it
            return not any(segment.exists() for segment in left)

        await_condition(buried, 'the memory of the dead')

        assert all(segment.exists() for segment in segments_of(living))
        ended.enter_context(talker('heard'))


@pytest.mark.usefixtures('ros_domain_id')
def test_a_process_does_not_get_the_place_of_one_that_was_killed_and_cleared_away() -> None:
    """With real processes, one of which goes on sending to the dead."""
    with ExitStack() as ended:
        ended.enter_context(talker('there'))
        dead = ended.enter_context(talker('heard'))
        # By inode, too: another process may take a number as soon as it is free.
        locks = {lock: lock.stat().st_ino for lock in locks_of(dead)}
        dead.kill()
        dead.wait()

        def buried() -> bool:
            bury_the_dead()
            return not any(is_file(lock, inode) for lock, inode in locks.items())

        await_condition(buried, 'the dead to be cleared away')

        successor = ended.enter_context(talker('heard'))

        assert not locks_of(successor) & locks.keys()
