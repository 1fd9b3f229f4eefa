"""The CUDA layers on a real GPU; what ran last is in docs/gpu-results.md."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
import os
from pathlib import Path
import signal
import subprocess
import sys
import textwrap

import cuda_checks
from edge_seg.backends.tensorrt.cuda.driver import pci_bus_id, read_devices
from edge_seg.backends.tensorrt.cuda.interface import Cuda
from edge_seg.backends.tensorrt.cuda.opening import choose_layer, open_cuda
from edge_seg.backends.tensorrt.cuda.owner import OwnerThread
import psutil
import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).parents[2]
PACKAGES = {'pycuda': 'pycuda', 'cuda-bindings': 'cuda'}
MIB = 1 << 20


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:
        return False


@pytest.fixture(params=PACKAGES)
def layer(request: pytest.FixtureRequest) -> str:
    """Give each layer that is installed; at least one must be."""
    name: str = request.param
    if not _installed(PACKAGES[name]):
        assert any(map(_installed, PACKAGES.values())), 'install pycuda or cuda-bindings'
        pytest.skip(f'{name} is not installed')
    return choose_layer(name)  # type: ignore[arg-type]


@pytest.fixture
def owner() -> Iterator[OwnerThread]:
    """Give a thread, so that no context ever lies on the thread of the tests."""
    thread = OwnerThread('gpu test')
    yield thread
    assert thread.stop(60.0)


def test_the_driver_describes_its_devices() -> None:
    for device in read_devices():
        assert device.name
        assert device.compute_capability >= (5, 0)
        assert device.sm_count > 0
        place = pci_bus_id(device.index)
        assert place.count(':') == 2
        print(device, device.sm_count, 'SM, CUDA', device.driver_cuda, 'at', place)


@pytest.mark.parametrize('check', cuda_checks.CHECKS, ids=lambda check: check.__name__)
def test_the_layer_works(
    layer: str, owner: OwnerThread, check: Callable[[Callable[[], Cuda]], None]
) -> None:
    owner.call(lambda: check(lambda: open_cuda(layer, 0)))


def test_a_thousand_cycles_leave_memory_flat(layer: str, owner: OwnerThread) -> None:
    process = psutil.Process()
    owner.call(lambda: cuda_checks.cycles(lambda: open_cuda(layer, 0), 100))
    before = process.memory_info().rss
    owner.call(lambda: cuda_checks.cycles(lambda: open_cuda(layer, 0), 1000))
    assert process.memory_info().rss - before < 32 * MIB


def test_a_thousand_contexts_leave_memory_flat(layer: str) -> None:
    process = psutil.Process()
    sizes = []
    for turn in range(1000):
        # Nothing else holds the context: it is made and destroyed each time.
        thread = OwnerThread('cycle')
        thread.call(lambda: cuda_checks.close_twice(lambda: open_cuda(layer, 0)))
        assert thread.stop(60.0)
        if turn in (100, 999):
            sizes.append(process.memory_info().rss)
    assert sizes[1] - sizes[0] < 64 * MIB


_COPYING = """
    import sys
    from edge_seg.backends.tensorrt.cuda.opening import open_cuda
    cuda = open_cuda({layer!r}, 0)
    stream = cuda.stream()
    host, device = cuda.allocate_host(256 << 20, mapped=False), cuda.allocate(256 << 20)
    print('copying', flush=True)
    while True:
        cuda.upload(device, host, stream)
        {then}
"""


def _child(layer: str, then: str) -> 'subprocess.Popen[str]':
    return subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(_COPYING.format(layer=layer, then=then))],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_process_killed_during_a_copy_gives_everything_back(
    layer: str, owner: OwnerThread
) -> None:
    def free() -> int:
        cuda = open_cuda(layer, 0)
        try:
            return cuda.memory().free
        finally:
            cuda.close()

    before = owner.call(free)
    with _child(layer, 'cuda.synchronize(stream)') as child:
        assert child.stdout is not None
        assert child.stdout.readline() == 'copying\n'
        child.send_signal(signal.SIGKILL)
        assert child.wait(60.0) == -signal.SIGKILL
    assert owner.call(free) > before - 64 * MIB
    owner.call(lambda: cuda_checks.round_trip(lambda: open_cuda(layer, 0)))


def test_a_process_may_end_right_after_closing(layer: str) -> None:
    with _child(layer, 'cuda.close(); sys.exit(0)') as child:
        assert child.wait(60.0) == 0
