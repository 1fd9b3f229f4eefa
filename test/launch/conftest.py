"""Tests of the launch file: those that need the launch packages say so, or fail, without them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
import importlib.util
import os
from pathlib import Path

from launched_system import LaunchProcess, Watcher
import pytest

Start = Callable[..., tuple[LaunchProcess, Watcher]]


@pytest.fixture
def needs_launch() -> None:
    """Skip a test where the launch packages are missing; EDGE_SEG_REQUIRE_LAUNCH=1: fail it.

    No marker: pytest.mark.launch belongs to launch_pytest, which skips what it does not know.
    """
    # Our own launch/ folder makes `launch` importable, as an empty namespace; launch_ros is real.
    if importlib.util.find_spec('launch_ros') is not None:
        return
    reason = 'the ROS 2 launch packages are not installed'
    if os.environ.get('EDGE_SEG_REQUIRE_LAUNCH') == '1':
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def start(tmp_path: Path, ros_domain_id: int, needs_launch: None) -> Iterator[Start]:
    """Give a function that launches with some arguments, in a ROS domain of the test's own."""
    assert os.environ['ROS_DOMAIN_ID'] == str(ros_domain_id)
    with ExitStack() as ends:

        def launch(
            *arguments: str, environment: Mapping[str, str] | None = None
        ) -> tuple[LaunchProcess, Watcher]:
            process = LaunchProcess(tmp_path, arguments, environment or {})
            ends.callback(process.end)
            watcher = Watcher(process)
            ends.callback(watcher.close)
            return process, watcher

        yield launch
