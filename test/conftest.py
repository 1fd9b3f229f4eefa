"""What every test gets: a ROS domain of its own, and skips that say why."""

from collections.abc import Iterator
import ctypes
import os

from edge_seg.cli.ros_domain import claimed_domain
import pytest


@pytest.fixture(scope='module', autouse=True)
def _module_ros_domain() -> Iterator[None]:
    """Keep the nodes of each test module, and of each worker, apart from all others."""
    with claimed_domain() as domain, pytest.MonkeyPatch.context() as patch:
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
    with claimed_domain() as domain:
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
