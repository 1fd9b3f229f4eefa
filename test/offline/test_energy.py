"""Energy counters: RAPL's and the INA3221's as sysfs shows them, NVML's, and none of them."""

from pathlib import Path
import sys
from types import SimpleNamespace

from edge_seg.errors import BackendUnavailable
from edge_seg.offline.kpi.energy import energy_used, Ina, NvmlEnergy, Rapl
import pytest


def write(folder: Path, **files: object) -> Path:
    """Make a folder of sysfs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f'{value}\n', 'ascii')
    return folder


@pytest.fixture
def package_zone(tmp_path: Path) -> Path:
    """Give the folder of a processor package, with a part in it that must not count twice."""
    powercap = tmp_path / 'class' / 'powercap'
    write(powercap / 'intel-rapl:0:0', name='core', energy_uj=10)
    write(powercap / 'intel-rapl:1', name='psys', energy_uj=10)
    return write(
        powercap / 'intel-rapl:0', name='package-0', energy_uj=900, max_energy_range_uj=1000
    )


def test_the_energy_of_the_processor_is_the_difference_of_its_counter(
    tmp_path: Path, package_zone: Path
) -> None:
    with energy_used('openvino', sysfs=tmp_path) as reading:
        write(package_zone, energy_uj=950)
    assert reading.joules == pytest.approx(50e-6)
    assert reading.source == 'RAPL package'
    assert reading.per_frame(10) == pytest.approx(5e-6)


def test_a_counter_that_goes_round_is_set_right(tmp_path: Path, package_zone: Path) -> None:
    with energy_used('opencv', sysfs=tmp_path) as reading:
        write(package_zone, energy_uj=30)
    assert reading.joules == pytest.approx(130e-6)


def test_a_counter_that_may_not_be_read_is_no_counter(tmp_path: Path, package_zone: Path) -> None:
    (package_zone / 'energy_uj').unlink()
    with pytest.raises(BackendUnavailable, match='tells no energy'):
        Rapl(tmp_path)


def test_without_any_counter_the_energy_is_not_known(tmp_path: Path) -> None:
    with energy_used('openvino', sysfs=tmp_path) as reading:
        pass
    assert (reading.joules, reading.source, reading.per_frame(3)) == (None, '', None)


def test_a_counter_that_vanishes_gives_no_energy(tmp_path: Path, package_zone: Path) -> None:
    with energy_used('openvino', sysfs=tmp_path) as reading:
        (package_zone / 'energy_uj').unlink()
    assert reading.joules is None


def jetson(sysfs: Path, **labels: int) -> Path:
    """Make an INA3221 whose rails, at 5 V, take so many milliamperes."""
    monitor = write(sysfs / 'class' / 'hwmon' / 'hwmon1', name='ina3221')
    for number, (label, milliamperes) in enumerate(labels.items(), start=1):
        write(
            monitor,
            **{
                f'in{number}_label': label,
                f'in{number}_input': 5000,
                f'curr{number}_input': milliamperes,
            },
        )
    write(monitor, in7_label='sum of shunt voltages', in7_input=3)
    return monitor


def test_a_jetson_is_counted_as_a_whole(tmp_path: Path, package_zone: Path) -> None:
    jetson(tmp_path, VDD_IN=2000, VDD_CPU_GPU_CV=1000)
    with energy_used('tensorrt', sysfs=tmp_path) as reading:
        pass
    assert reading.source == 'INA3221 VDD_IN'
    assert reading.joules is not None


def test_power_becomes_energy_over_time(tmp_path: Path) -> None:
    now = [0.0]
    monitor = jetson(tmp_path, VDD_GPU_SOC=1000, VDD_CPU_CV=600)
    counter = Ina(tmp_path, clock=lambda: now[0])
    try:
        assert counter.name == 'INA3221 sum of VDD_GPU_SOC, VDD_CPU_CV'
        before = counter.joules()
        now[0] = 2.0
        after = counter.joules()
        assert before == 0.0
        assert after == pytest.approx(16.0)  # 8 W for 2 s
        (monitor / 'curr1_input').unlink()
        assert counter.joules() is None
        assert counter.joules() is None  # what was missed cannot be made up for
    finally:
        counter.close()


class Nvml(SimpleNamespace):
    """As much of pynvml as counts energy; each question finds two joules more.

    Args:
        tells: whether the GPU counts; those before Volta do not.
        gpus: how many there are.
    """

    NVMLError = RuntimeError

    def __init__(self, *, tells: bool = True, gpus: int = 1) -> None:
        super().__init__(tells=tells, gpus=gpus, millijoules=5000, open=False)

    def nvmlInit(self) -> None:
        self.open = True

    def nvmlShutdown(self) -> None:
        self.open = False

    def nvmlDeviceGetCount(self) -> int:
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, _gpu: int) -> int:
        if not self.tells:
            raise self.NVMLError('Not Supported')
        self.millijoules += 2000
        return self.millijoules


def test_a_gpu_is_counted_by_nvml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, 'pynvml', nvml)
    with energy_used('tensorrt', sysfs=tmp_path) as used:
        assert nvml.open
    assert (used.joules, used.source) == (2.0, 'NVML GPU')
    assert not nvml.open


def test_a_gpu_that_does_not_count_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(tells=False)
    monkeypatch.setitem(sys.modules, 'pynvml', nvml)
    with pytest.raises(BackendUnavailable, match='the GPU does not tell its energy'):
        NvmlEnergy()
    assert not nvml.open


def test_of_several_gpus_none_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvml = Nvml(gpus=2)
    monkeypatch.setitem(sys.modules, 'pynvml', nvml)
    with energy_used('tensorrt', sysfs=tmp_path) as used:
        pass
    assert (used.joules, used.source) == (None, '')
    assert not nvml.open
