"""What the TensorRT backend says about a machine, driver first."""

from pathlib import Path
import shutil
import subprocess

from edge_seg.backends import tensorrt
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt import driver_problem, TensorRtBackend
from edge_seg.errors import BackendUnavailable
import pytest
from tiny_models import TinyModel


def _driver(folder: Path, *, init: int, count_code: int = 0, devices: int = 0) -> str:
    """Compile a library with the two functions of a CUDA driver."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('there is no C compiler to make a fake driver with')
    source = folder / 'driver.c'
    source.write_text(
        f'int cuInit(unsigned flags) {{ return {init}; }}\n'
        f'int cuDeviceGetCount(int *n) {{ *n = {devices}; return {count_code}; }}\n'
    )
    library = folder / 'libfakecuda.so'
    subprocess.run([compiler, '-shared', '-fPIC', '-o', library, source], check=True)
    return str(library)


@pytest.mark.parametrize(
    ('init', 'count_code', 'devices', 'reason'),
    [
        (0, 0, 1, ''),
        (0, 0, 0, 'no CUDA device'),
        (100, 0, 0, 'no CUDA device'),
        (34, 0, 0, 'stub'),
        (35, 0, 0, 'older'),
        (0, 999, 0, 'failed to start'),
        (46, 0, 0, 'error 46'),
    ],
)
def test_the_driver_is_asked(
    init: int, count_code: int, devices: int, reason: str, tmp_path: Path
) -> None:
    library = _driver(tmp_path, init=init, count_code=count_code, devices=devices)
    answer = driver_problem(library)
    assert reason in answer
    assert bool(answer) == bool(reason)


def test_a_missing_driver_is_named() -> None:
    assert driver_problem('libnosuchdriver.so.1').startswith('no NVIDIA driver (libnosuchdriver')


def test_a_library_that_is_no_driver_is_named() -> None:
    assert 'cuInit' in driver_problem('libc.so.6')


def test_a_driver_without_the_sdk_asks_for_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, 'driver_problem', lambda: '')
    monkeypatch.setattr(tensorrt, 'find_spec', lambda package: None)
    found = TensorRtBackend().probe()
    assert not found.available
    assert found.reason == 'tensorrt and pycuda not installed'
    assert 'pip install tensorrt pycuda' in found.remedy


def test_with_everything_there_it_still_says_that_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tensorrt, 'driver_problem', lambda: '')
    monkeypatch.setattr(tensorrt, 'find_spec', lambda package: object())
    found = TensorRtBackend().probe()
    assert not found.available
    assert 'does not run TensorRT yet' in found.reason


def test_compiling_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    model = TinyModel()
    artifact = model.save(tmp_path / 'tiny.onnx')
    with pytest.raises(BackendUnavailable) as refusal:
        TensorRtBackend().compile_model(artifact, model.spec, CompileOptions())
    assert 'tiny.onnx cannot be compiled with TensorRT: ' in refusal.value.met
    assert 'tensorrt and pycuda' in refusal.value.expected
