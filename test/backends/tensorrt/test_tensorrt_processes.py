"""Whole processes: they end cleanly with models open, and without or with broken SDKs."""

from pathlib import Path
import signal
import subprocess
import sys
import textwrap

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

_HEAD = """
    import atexit, os, signal, sys, threading
    # What a shell starts in the background ignores SIGINT, and so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[:0] = {paths!r}
    from pathlib import Path
    import numpy as np
    import pytest
    from edge_seg.backends.base import CompileOptions
    from fake_machine import FakeMachine
    from tiny_models import TinyModel

    machine = FakeMachine('10.3.0', pytest.MonkeyPatch(), Path({folder!r}))

    @atexit.register
    def last():
        print('left:', machine.settled(), flush=True)

    model = TinyModel()
    engine = machine.engine(model)
    served = machine.backend.compile_model(engine, model.spec, CompileOptions())
    tensor = np.zeros(served.inputs[0].shape, np.float32)
    served.infer([tensor])
    print('served', flush=True)
"""


def _script(folder: Path, ending: str) -> list[str]:
    paths = [str(HERE), str(HERE.parent), str(ROOT)]
    head = textwrap.dedent(_HEAD).format(paths=paths, folder=str(folder))
    return [sys.executable, '-c', head + textwrap.dedent(ending)]


@pytest.mark.parametrize(
    ('ending', 'code'),
    [
        ('', 0),
        ('sys.exit(3)', 3),
        ('1 / 0', 1),
        ('other = machine.backend.compile_model(engine, model.spec, CompileOptions())', 0),
        ('served.close()', 0),
        ('del served', 0),
        ('threading.Thread(target=lambda: served.infer([tensor])).start()', 0),
        ('try:\n    served.infer([])\nexcept Exception as error:\n    kept = error', 0),
    ],
)
def test_a_process_that_ends_with_a_model_open_leaves_nothing(
    ending: str, code: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        _script(tmp_path, ending), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ['served', 'left: []']
    assert 'Fatal Python error' not in done.stderr


@pytest.mark.parametrize('blow', [signal.SIGKILL, signal.SIGTERM])
def test_a_process_may_be_killed_during_a_frame(blow: signal.Signals, tmp_path: Path) -> None:
    script = _script(tmp_path, 'while True:\n    served.infer([tensor])')
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == 'served\n'
        child.send_signal(blow)
        assert child.wait(30.0) == -blow


def test_an_interrupted_frame_leaves_the_model_usable(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        """
        try:
            print('running', flush=True)
            while True:
                served.infer([tensor])
        except KeyboardInterrupt:
            pass
        kernel, bias = model.weights
        assert np.allclose(served.infer([tensor])[0], bias[:, None, None])
        print('again', flush=True)
        """,
    )
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == 'served\n'
        assert child.stdout.readline() == 'running\n'
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().splitlines()
        assert child.wait(30.0) == 0
    assert rest == ['again', 'left: []']


def test_a_process_that_ends_while_a_model_is_being_closed_leaves_nothing(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        """
        within, ending = threading.Event(), threading.Event()
        closing = threading.Thread(target=served.close, daemon=True)

        def write(array):
            closing.start()
            closing.join(0.2)
            within.set()
            ending.wait(30.0)

        @atexit.register
        def later():  # when whoever waits at the end does so
            end = threading.Timer(0.5, ending.set)
            end.daemon = True
            end.start()

        threading.Thread(target=served.infer_written, args=(write,), daemon=True).start()
        assert within.wait(30.0)
        """,
    )
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['served', 'left: []']


def test_an_interrupted_load_leaves_nothing(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        """
        from edge_seg.backends.tensorrt.cuda.owner import OwnerThread
        served.close()
        given_up = threading.Event()
        load, stop = machine.trt.Runtime.deserialize_cuda_engine, OwnerThread.stop

        def interrupted(runtime, blob):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            assert given_up.wait(30.0)
            return load(runtime, blob)

        def stopped(*arguments, **words):
            threading.Timer(0.0, given_up.set).start()
            return stop(*arguments, **words)

        machine.trt.Runtime.deserialize_cuda_engine = interrupted
        OwnerThread.stop = stopped
        try:
            machine.backend.compile_model(engine, model.spec, CompileOptions())
        except KeyboardInterrupt:
            print('interrupted', flush=True)
        """,
    )
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['served', 'interrupted', 'left: []']


_BROKEN = """
    import sys
    sys.path[:0] = {paths!r}

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name.partition('.')[0] in {broken!r}:
                raise {failure}
            return None

    from edge_seg.backends.tensorrt.library import sdk
    sdk.driver_problem = lambda: ''
    {install}
    sys.meta_path.insert(0, Broken())
    from edge_seg.backends.registry import create
    found = create('tensorrt').probe()
    print(found.available, '|', found.reason, '|', found.remedy)
"""
_FAKE_TENSORRT = """
from fake_gpu import FakeGpu
    from fake_tensorrt import make_tensorrt
    sys.modules['tensorrt'] = make_tensorrt(FakeGpu(), '11.4.0')
"""


@pytest.mark.parametrize(
    ('broken', 'failure', 'install', 'reason', 'remedy'),
    [
        (
            ('tensorrt',),
            "ImportError('libnvinfer.so.10: cannot open shared object file')",
            '',
            'tensorrt is installed but does not import (ImportError: libnvinfer.so.10',
            'pip install tensorrt pycuda',
        ),
        (
            ('tensorrt',),
            "ModuleNotFoundError('No module', name='tensorrt')",
            '',
            'tensorrt is not installed',
            'install the NVIDIA driver',
        ),
        (
            ('pycuda', 'cuda'),
            "ImportError('libcurand.so.10: cannot open shared object file')",
            _FAKE_TENSORRT,
            'pycuda is installed but does not import',
            'pip install cuda-bindings',
        ),
        (
            ('pycuda', 'cuda'),
            "ModuleNotFoundError(f'No module {name}', name=name)",
            _FAKE_TENSORRT,
            'pycuda is not installed',
            'needs nvcc',
        ),
    ],
)
def test_an_sdk_that_is_absent_or_broken_is_a_reason(
    broken: tuple[str, ...], failure: str, install: str, reason: str, remedy: str
) -> None:
    paths = [str(HERE), str(HERE.parent), str(ROOT)]
    script = textwrap.dedent(_BROKEN.replace('{install}', install.strip())).format(
        paths=paths, broken=broken, failure=failure
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    available, met, hint = (part.strip() for part in done.stdout.split('|'))
    assert available == 'False'
    assert met.startswith(reason)
    assert remedy in hint
