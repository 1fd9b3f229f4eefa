"""The real cuda-bindings and PyCUDA, where installed, over a compiled driver that is no GPU's.

What the fakes of Python cannot show: that every function exists under its name, takes these
arguments and gives back what the layer expects.
"""

from importlib.util import find_spec
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def _needs(package: str) -> pytest.MarkDecorator:
    try:
        installed = find_spec(package) is not None
    except (ImportError, ValueError):
        installed = False
    return pytest.mark.skipif(not installed, reason=f'{package} is not installed')


needs_bindings, needs_pycuda = _needs('cuda.bindings'), _needs('pycuda')
LAYERS = [
    pytest.param('cuda-bindings', marks=needs_bindings),
    pytest.param('pycuda', marks=needs_pycuda),
]


@pytest.fixture(scope='module')
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the driver; gives the folder to find it in."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('there is no C compiler to make a driver with')
    folder = tmp_path_factory.mktemp('driver')
    source, library = HERE / 'data' / 'fake_libcuda.c', folder / 'libcuda.so.1'
    missing = folder / 'missing.c'
    missing.write_text(''.join(f'int {name}() {{ return 999; }}\n' for name in _unserved(source)))
    files = [library, source, missing, '-ldl', '-lpthread']
    subprocess.run([compiler, '-shared', '-fPIC', '-o', *files], check=True)
    (folder / 'libcuda.so').symlink_to(library.name)  # what PyCUDA is linked with
    return folder


def _unserved(source: Path) -> set[str]:
    """Name the functions that PyCUDA imports only with, and that no test calls."""
    found = find_spec('pycuda')
    places = [Path(each) for each in found.submodule_search_locations or ()] if found else []
    objects = [file.read_bytes() for place in places for file in place.glob('_driver*.so')]
    words = (re.findall(rb'\0(cu[A-Z]\w+)(?=\0)', data) for data in objects)
    names = {name.decode() for each in words for name in each}
    served = set(re.findall(r'\w+', source.read_text()))
    return {name for name in names if name.removesuffix('_v2') not in served}


def _run(driver: Path, script: str) -> 'subprocess.CompletedProcess[str]':
    return subprocess.run(
        [sys.executable, '-c', textwrap.dedent(script)],
        env={
            **os.environ,
            'LD_LIBRARY_PATH': str(driver),
            'PYTHONPATH': os.pathsep.join(
                [str(ROOT), str(ROOT / 'test' / 'gpu'), os.environ.get('PYTHONPATH', '')]
            ),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_driver_is_read_without_any_package(driver: Path) -> None:
    done = _run(
        driver,
        """
        from edge_seg.backends.tensorrt.cuda.driver import read_devices
        print(*read_devices())
        """,
    )
    assert done.stdout == 'GPU.0 (Fake, compute 8.7)\n', done.stderr


def test_with_a_driver_alone_the_sdk_is_asked_for(driver: Path) -> None:
    done = _run(
        driver,
        """
        import sys
        sys.modules['tensorrt'] = None
        from edge_seg.backends.registry import create
        found = create('tensorrt').probe()
        print(found.available, found.reason)
        """,
    )
    assert done.stdout == 'False tensorrt is not installed\n', done.stderr


@pytest.mark.parametrize('layer', LAYERS)
def test_the_real_layer_passes_every_check_and_leaves_nothing(driver: Path, layer: str) -> None:
    done = _run(
        driver,
        f"""
        import threading
        import cuda_checks
        from edge_seg.backends.tensorrt.cuda.opening import choose_layer, open_cuda
        layer = choose_layer({layer!r})
        def work():
            for check in cuda_checks.CHECKS:
                check(lambda: open_cuda(layer, 0))
                print(check.__name__)
            cuda_checks.cycles(lambda: open_cuda(layer, 0), 1000)
            print('cycles')
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
    )
    assert done.stdout.splitlines()[-1:] == ['cycles'], done.stderr
    assert done.stderr == ''


@needs_bindings
def test_the_real_bindings_hand_a_kernel_its_arguments(driver: Path) -> None:
    done = _run(
        driver,
        """
        from edge_seg.backends.tensorrt.cuda.interface import CudaFailed
        from edge_seg.backends.tensorrt.cuda.opening import open_cuda
        cuda = open_cuda('cuda-bindings', 0)
        stream = cuda.stream()
        kernel = cuda.kernel(b'Kernel', 'copy16')
        source, target = (cuda.allocate_host(16, mapped=True) for _ in range(2))
        source.array[:] = range(16)
        addresses = source.device_address, target.device_address
        kernel.launch(addresses, grid=(7, 6, 5), block=(4, 3, 2), stream=stream)
        cuda.synchronize(stream)
        print(target.array.tolist() == list(range(16)))
        for name in ('other', 'copy16'):
            try:
                cuda.kernel(b'K' if name == 'other' else b'damaged', name)
            except CudaFailed as refused:
                print(refused)
        del source, target
        cuda.close()
        """,
    )
    assert done.stdout.splitlines() == [
        'True',
        'cuModuleGetFunction failed: CUDA_ERROR_INVALID_VALUE',
        'cuModuleLoadData failed: CUDA_ERROR_INVALID_VALUE',
    ], done.stderr
    assert 'left over' in done.stderr  # the module that did not load, which the driver counts
    assert '1 modules' in done.stderr
