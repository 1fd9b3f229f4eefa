"""What the TensorRT backend says about a machine, driver first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import sys

from edge_seg.backends import tensorrt
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.gpu_reading import KnowsBus
from edge_seg.backends.tensorrt import TensorRtBackend
from edge_seg.backends.tensorrt.cuda.driver import (
    DeviceInfo,
    driver_problem,
    DriverRefused,
    pci_bus_id,
    pop_context,
    read_devices,
)
from edge_seg.errors import BackendUnavailable
from fake_machine import FakeMachine, ORIN
import pytest
from stub_driver import stub_driver
from tiny_models import TinyModel


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
    library = stub_driver(tmp_path, init=init, count_code=count_code, devices=devices)
    answer = driver_problem(str(library))
    assert reason in answer
    assert bool(answer) == bool(reason)


def test_a_missing_driver_is_named() -> None:
    assert driver_problem('libnosuchdriver.so.1').startswith('no NVIDIA driver (libnosuchdriver')


def test_a_library_that_is_no_driver_is_named() -> None:
    assert 'cuInit' in driver_problem('libc.so.6')


def test_devices_are_described_without_a_context(tmp_path: Path) -> None:
    first, second = read_devices(str(stub_driver(tmp_path, devices=2)))
    assert first == DeviceInfo(0, 'Orin', (8, 7), 16, True, '12.6')
    assert (second.index, second.name, second.integrated) == (1, 'Second', False)
    assert str(second) == 'GPU.1 (Second, compute 8.7)'


def test_a_driver_that_fails_midway_is_an_error(tmp_path: Path) -> None:
    library = stub_driver(tmp_path, version_code=803)
    with pytest.raises(DriverRefused, match='do not match'):
        read_devices(str(library))


def test_a_thread_without_a_context_has_none_to_pop(tmp_path: Path) -> None:
    with pytest.raises(DriverRefused, match='error 201'):
        pop_context(str(stub_driver(tmp_path)))


def test_with_everything_there_it_names_the_devices(machine: FakeMachine) -> None:
    found = machine.backend.probe()
    assert found.available
    assert found.version == machine.version
    assert found.devices == ('GPU.0', 'AUTO')
    assert machine.gpu.calls == []


@pytest.mark.parametrize(
    ('blocked', 'reason', 'remedy'),
    [
        (('tensorrt',), 'tensorrt is not installed', 'pip install tensorrt'),
        (
            ('pycuda', 'pycuda.driver', 'cuda', 'cuda.bindings', 'cuda.bindings.driver'),
            'pycuda',
            'pip install',
        ),
    ],
)
def test_a_driver_without_the_sdk_asks_for_the_sdk(
    any_machine: Callable[..., FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    blocked: tuple[str, ...],
    reason: str,
    remedy: str,
) -> None:
    machine = any_machine()
    for name in blocked:
        monkeypatch.setitem(sys.modules, name, None)
    found = machine.backend.probe()
    assert not found.available
    assert reason in found.reason
    assert remedy in found.remedy


def test_without_pycuda_the_bindings_are_taken(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()
    monkeypatch.delitem(sys.modules, 'pycuda')
    monkeypatch.delitem(sys.modules, 'pycuda.driver')
    assert machine.backend.probe().available


def test_a_driver_that_stops_answering_is_a_reason(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = any_machine()

    def refuse() -> None:
        raise DriverRefused('no CUDA device was found')

    monkeypatch.setattr(tensorrt, 'read_devices', refuse)
    monkeypatch.setattr('edge_seg.backends.tensorrt.library.device.read_devices', refuse)
    assert machine.backend.probe().reason == 'no CUDA device was found'
    model = TinyModel()
    with pytest.raises(BackendUnavailable, match='no CUDA device'):
        machine.backend.compile_model(machine.engine(model), model.spec, CompileOptions())


@pytest.mark.parametrize('version', ['7.2.3.4', '8.5.1'])
def test_too_old_a_tensorrt_is_refused(
    any_machine: Callable[..., FakeMachine], version: str
) -> None:
    machine = any_machine()
    machine.trt.__version__ = version
    found = machine.backend.probe()
    assert not found.available
    assert f'TensorRT {version} is too old' in found.reason


def test_without_a_driver_compiling_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    model = TinyModel()
    artifact = tmp_path / 'tiny.plan'
    artifact.write_bytes(b'anything')
    if not driver_problem():
        pytest.skip('this machine has an NVIDIA driver')
    with pytest.raises(BackendUnavailable) as refusal:
        TensorRtBackend().compile_model(artifact, model.spec, CompileOptions())
    assert 'install the NVIDIA driver' in refusal.value.remedy


def test_a_gpu_is_found_on_the_pci_bus(
    any_machine: Callable[..., FakeMachine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = str(stub_driver(tmp_path, devices=2))
    assert [pci_bus_id(index, library) for index in (0, 1)] == ['0000:01:00.0', '0000:65:00.0']
    with pytest.raises(DriverRefused, match='error 101'):
        pci_bus_id(2, library)
    machine = any_machine()
    machine.devices(*read_devices(library), replace(ORIN, index=2))
    monkeypatch.setattr(
        'edge_seg.backends.tensorrt.library.device.pci_bus_id',
        lambda index: pci_bus_id(index, library),
    )
    assert isinstance(machine.backend, KnowsBus)
    assert machine.backend.bus_id('AUTO') == '0000:01:00.0'
    assert machine.backend.bus_id('GPU.1') == '0000:65:00.0'
    with pytest.raises(BackendUnavailable, match=r'GPU\.2 .*error 101'):
        machine.backend.bus_id('GPU.2')
    with pytest.raises(BackendUnavailable, match="no device 'CPU'"):
        machine.backend.bus_id('CPU')
