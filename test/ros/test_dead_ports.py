"""A process that starts after a kill does not take the place of the dead one."""

import fcntl
import os
from pathlib import Path
import socket

from edge_seg.ros import dead_ports
from edge_seg.ros.dead_ports import clear_of_the_dead
import pytest

LOWEST = 40
"""Port numbers of this domain lie below those that the system gives away (from 32768)."""


def free_domain(*, places: int = 3) -> int:
    """Find a domain with free places for so many participants."""
    for domain in range(LOWEST, 100):
        if all(is_free(discovery_port(domain, participant)) for participant in range(places)):
            return domain
    raise AssertionError('no free domain')


def discovery_port(domain: int, participant: int) -> int:
    return 7400 + 250 * domain + 10 + 2 * participant


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        try:
            place.bind(('', port))
        except OSError:
            return False
    return True


def leave_port(folder: Path, port: int, name: str = 'fastdds') -> Path:
    """Leave behind what a reader of a port makes; gives its lock."""
    (folder / f'{name}_port{port}').write_bytes(b'cells')
    (folder / f'sem.{name}_port{port}_mutex').write_bytes(b'')
    lock = folder / f'{name}_port{port}_el'
    lock.write_bytes(b'')
    return lock


@pytest.fixture(autouse=True)
def _fast_dds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dead_ports, 'get_rmw_implementation_identifier', lambda: 'rmw_fastrtps_cpp'
    )


@pytest.mark.parametrize('name', ['fastdds', 'fastrtps'])
def test_the_number_of_a_killed_process_stays_taken_for_a_moment(
    tmp_path: Path, name: str
) -> None:
    domain = free_domain()
    dead, living = discovery_port(domain, 0), discovery_port(domain, 1)
    leave_port(tmp_path, dead, name)
    leave_port(tmp_path, dead + 1, name)

    with clear_of_the_dead(domain, folder=tmp_path):
        assert not is_free(dead)
        assert is_free(living)

    assert is_free(dead)
    assert len(list(tmp_path.iterdir())) == 6, 'somebody may have these open'


def test_of_many_dead_the_oldest_gives_its_number_away(tmp_path: Path) -> None:
    domain = free_domain(places=9)
    ports = [discovery_port(domain, participant) for participant in range(9)]
    for age, port in enumerate(ports):
        os.utime(leave_port(tmp_path, port), (1000.0 - age, 1000.0 - age))

    for expected in (ports[-1], ports[-2]):
        with clear_of_the_dead(domain, folder=tmp_path):
            assert [port for port in ports if is_free(port)] == [expected]


def test_a_process_that_lives_keeps_its_ports(tmp_path: Path) -> None:
    domain = free_domain()
    port = discovery_port(domain, 1)
    with leave_port(tmp_path, port).open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with clear_of_the_dead(domain, folder=tmp_path):
            assert is_free(port)

    assert len(list(tmp_path.iterdir())) == 3


def test_ports_that_nobody_has_read_yet_and_those_of_other_domains_are_left_alone(
    tmp_path: Path,
) -> None:
    domain = free_domain()
    leave_port(tmp_path, discovery_port(domain, 0)).unlink()  # made by who sends to it
    leave_port(tmp_path, discovery_port(domain + 1, 0))

    with clear_of_the_dead(domain, folder=tmp_path):
        assert is_free(discovery_port(domain, 0))

    assert len(list(tmp_path.iterdir())) == 5


def test_a_number_that_somebody_has_taken_again_is_his(tmp_path: Path) -> None:
    domain = free_domain()
    port = discovery_port(domain, 2)
    leave_port(tmp_path, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as successor:
        successor.bind(('', port))

        with clear_of_the_dead(domain, folder=tmp_path):
            pass

    assert len(list(tmp_path.iterdir())) == 3


def test_other_middlewares_are_not_helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = free_domain()
    leave_port(tmp_path, discovery_port(domain, 0))
    monkeypatch.setattr(
        dead_ports, 'get_rmw_implementation_identifier', lambda: 'rmw_cyclonedds_cpp'
    )

    with clear_of_the_dead(domain, folder=tmp_path):
        assert is_free(discovery_port(domain, 0))

    assert len(list(tmp_path.iterdir())) == 3


def test_two_processes_that_look_at_the_same_moment_both_see_the_dead(tmp_path: Path) -> None:
    domain = free_domain()
    port = discovery_port(domain, 0)
    with leave_port(tmp_path, port).open('rb') as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as the other one does while it looks

        with clear_of_the_dead(domain, folder=tmp_path):
            assert not is_free(port)
