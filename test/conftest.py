"""What every test gets: a ROS domain of its own, and skips that say why."""

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import itertools
import os
import socket

import pytest

# Domains above 101 reach into the ports that Linux gives to outgoing connections.
ROS_DOMAINS = range(1, 102)
_turn = itertools.count(os.getpid())


@contextmanager
def claimed_ros_domain() -> Iterator[int]:
    """Take a ROS domain that no other test on this machine holds, and give it back."""
    for _ in ROS_DOMAINS:
        domain = ROS_DOMAINS[next(_turn) % len(ROS_DOMAINS)]
        # An abstract socket: the kernel frees the name when the process ends, however it ends.
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f'\0edge_seg_test_domain_{domain}')
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError('all ROS domains are taken: 101 tests run on this machine')


@pytest.fixture(scope='module', autouse=True)
def _module_ros_domain() -> Iterator[None]:
    """Keep the nodes of each test module, and of each worker, apart from all others."""
    with claimed_ros_domain() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        yield


@pytest.fixture(scope='session', autouse=True)
def _unrecorded() -> Iterator[None]:
    """Keep runs of the tests out of the user's KPI database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('EDGE_SEG_KPI', 'off')
        yield


@pytest.fixture
def ros_domain_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give one test a domain of its own; processes that it starts inherit it."""
    with claimed_ros_domain() as domain:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
        yield domain


def missing_gpu() -> str:
    """Say what the marker `gpu` lacks here, '' for nothing."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return 'there is no NVIDIA driver'
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 'the NVIDIA driver does not start'
    return '' if count.value else 'there is no NVIDIA GPU'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here, unless the environment asks for it."""
    marked = [item for item in items if item.get_closest_marker('gpu')]
    if not marked or os.environ.get('EDGE_SEG_REQUIRE_GPU') == '1':
        return
    reason = missing_gpu()
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))
