"""The GPU's state reaches the diagnostics where there is one; its absence is no error."""

from collections.abc import Callable
from pathlib import Path
import sys
from types import ModuleType, SimpleNamespace

from edge_seg.backends.gpu_reading import GpuReading
from edge_seg.backends.jetson_reading import Jetson
from edge_seg.backends.nvml_reading import Nvml
from edge_seg.backends.tensorrt import TensorRtBackend
from edge_seg.errors import BackendUnavailable
from edge_seg.runtime.health.gpu_metrics import gpu_values, GpuMetrics, meters_of
import pytest

ORIN = {
    'proc/device-tree/compatible': 'nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0',
    'proc/device-tree/model': 'NVIDIA Jetson AGX Orin Developer Kit\0',
    'proc/meminfo': 'MemTotal:       65536000 kB\nMemFree:  1 kB\nMemAvailable:   32768000 kB\n',
    'sys/class/devfreq/17000000.gpu/cur_freq': '306000000\n',
    'sys/class/devfreq/17000000.gpu/max_freq': '1300500000\n',
    'sys/class/devfreq/17000000.gpu/device/load': '875\n',
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'sys/class/thermal/thermal_zone0/temp': '51000\n',
    'sys/class/thermal/thermal_zone1/type': 'gpu-thermal\n',
    'sys/class/thermal/thermal_zone1/temp': '47250\n',
    'sys/class/hwmon/hwmon3/in1_label': 'VDD_GPU_SOC\n',
    'sys/class/hwmon/hwmon3/in1_input': '19200\n',
    'sys/class/hwmon/hwmon3/curr1_input': '250\n',
    'sys/class/hwmon/hwmon3/in2_label': 'VDD_CPU_CV\n',
    'sys/class/hwmon/hwmon3/in2_input': '19200\n',
    'sys/class/hwmon/hwmon3/curr2_input': '100\n',
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_jetson_is_read_from_sysfs(tmp_path: Path) -> None:
    assert Jetson(tree(tmp_path, ORIN)).read() == GpuReading(
        'NVIDIA Jetson AGX Orin Developer Kit',
        32000.0,
        64000.0,
        87.5,
        306.0,
        1300.5,
        47.25,
        4.8,
    )


@pytest.mark.parametrize('missing', sorted(ORIN)[2:])
def test_a_file_that_a_jetson_lacks_is_one_value_less(tmp_path: Path, missing: str) -> None:
    root = tree(tmp_path, ORIN)
    (root / missing).unlink()
    reading = Jetson(root).read()
    assert reading.name
    assert len(gpu_values(reading)) >= 6


def test_values_that_are_no_numbers_are_unknown(tmp_path: Path) -> None:
    root = tree(tmp_path, {name: 'odd' for name in ORIN if not name.startswith('proc/device')})
    tree(root, {'proc/device-tree/compatible': 'nvidia,tegra264'})
    assert Jetson(root).read() == GpuReading('Jetson')


@pytest.mark.parametrize(
    'files',
    [
        {},
        {'proc/device-tree/compatible': 'nvidia,tegra234'},
        {
            'proc/device-tree/compatible': 'rockchip,rk3588',
            'sys/class/devfreq/fb000000.gpu/cur_freq': '300000000',
        },
    ],
)
def test_other_machines_are_no_jetson(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BackendUnavailable, match='Jetson'):
        Jetson(tree(tmp_path, files))


class FakeNvml(ModuleType):
    """Pynvml with one GPU; names in ``failing`` raise, as unsupported questions do."""

    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """What NVML answers."""

    def __init__(self) -> None:
        super().__init__('pynvml')
        self.failing: set[str] = set()
        self.asked: list[tuple[object, ...]] = []
        self.open = 0
        for name, answer in (
            ('nvmlDeviceGetHandleByIndex', 'gpu'),
            ('nvmlDeviceGetHandleByPciBusId', 'gpu'),
            ('nvmlDeviceGetName', b'NVIDIA RTX A2000'),
            ('nvmlDeviceGetMemoryInfo', SimpleNamespace(used=1 << 30, total=6 << 30)),
            ('nvmlDeviceGetUtilizationRates', SimpleNamespace(gpu=40, memory=10)),
            ('nvmlDeviceGetClockInfo', 1200),
            ('nvmlDeviceGetMaxClockInfo', 2100),
            ('nvmlDeviceGetTemperature', 61),
            ('nvmlDeviceGetPowerUsage', 35500),
        ):
            self.__dict__[name] = self._answering(name, answer)

    def _answering(self, name: str, answer: object) -> Callable[..., object]:
        def ask(*asked: object) -> object:
            assert self.open == 1, name
            self.asked.append((name, *asked))
            if name in self.failing:
                raise self.NVMLError(f'{name}: Not Supported')
            return answer

        return ask

    def nvmlInit(self) -> None:
        if 'nvmlInit' in self.failing:
            raise self.NVMLError('Driver Not Loaded')
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, 'pynvml', fake)
    return fake


def test_a_desktop_is_read_through_nvml(nvml: FakeNvml) -> None:
    meter = Nvml()
    assert meter.read() == GpuReading(
        'NVIDIA RTX A2000', 1024.0, 6144.0, 40.0, 1200.0, 2100.0, 61.0, 35.5
    )
    meter.close()
    meter.close()
    assert nvml.open == 0


def test_what_a_gpu_does_not_tell_is_left_out(nvml: FakeNvml) -> None:
    meter = Nvml()
    nvml.failing = {'nvmlDeviceGetPowerUsage', 'nvmlDeviceGetMemoryInfo', 'nvmlDeviceGetName'}
    keys = [name for name, _ in gpu_values(meter.read())]
    assert keys == [
        'gpu.name', 'gpu.utilisation_percent', 'gpu.clock_mhz', 'gpu.clock_max_mhz',
        'gpu.temperature_c',
    ]  # fmt: skip
    meter.close()


@pytest.mark.parametrize(
    ('call', 'bus_id'),
    [
        ('nvmlInit', ''),
        ('nvmlDeviceGetHandleByIndex', ''),
        ('nvmlDeviceGetHandleByPciBusId', '0000:65:00.0'),
    ],
)
def test_a_driver_that_is_away_is_said_and_leaves_nothing_open(
    nvml: FakeNvml, call: str, bus_id: str
) -> None:
    nvml.failing = {call}
    with pytest.raises(BackendUnavailable, match=f'NVML.*{bus_id}'):
        Nvml(bus_id)
    assert nvml.open == 0


@pytest.mark.parametrize('backend', ['auto', 'tensorrt'])
def test_the_gpu_that_models_run_on_is_asked(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(TensorRtBackend, 'bus_id', lambda self, device: f'0000:0{device[-1]}:00.0')
    meter = meters_of(backend, 'GPU.3')[1]()
    assert nvml.asked == [('nvmlDeviceGetHandleByPciBusId', b'0000:03:00.0')]
    meter.close()


@pytest.mark.parametrize('backend', ['auto', 'openvino'])
def test_where_no_backend_tells_the_first_gpu_is_asked(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    def unknown(self: TensorRtBackend, device: str) -> str:
        raise BackendUnavailable(f'there is no {device}')

    monkeypatch.setattr(TensorRtBackend, 'bus_id', unknown)
    meter = meters_of(backend, 'CPU')[1]()
    assert nvml.asked == [('nvmlDeviceGetHandleByIndex', 0)]
    meter.close()


def test_without_nvml_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'pynvml', None)
    with pytest.raises(BackendUnavailable, match='pynvml') as caught:
        Nvml()
    assert caught.value.remedy == 'pip install nvidia-ml-py'


class Meter:
    """A GPU that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = 0

    def read(self) -> GpuReading:
        """Answer."""
        self.asked += 1
        return GpuReading('GPU', temperature_c=40.0 + self.asked)

    def close(self) -> None:
        """Count."""
        self.closed += 1


def absent() -> Meter:
    raise BackendUnavailable('not here')


def test_a_gpu_is_asked_once_a_second_at_most() -> None:
    meter, now = Meter(), [100.0]
    metrics = GpuMetrics((absent, lambda: meter), clock=lambda: now[0])
    first = (('gpu.name', 'GPU'), ('gpu.temperature_c', '41.0'))
    assert metrics.values() == first
    now[0] += 0.9
    assert metrics.values() == first
    now[0] += 0.2
    assert metrics.values()[1] == ('gpu.temperature_c', '42.0')
    metrics.close()
    metrics.close()
    assert (metrics.values(), meter.asked, meter.closed) == ((), 2, 1)


def test_a_machine_without_a_gpu_is_asked_for_one_once() -> None:
    now, sought = [0.0], []

    def look() -> Meter:
        sought.append(now[0])
        return absent()

    metrics = GpuMetrics((look,), clock=lambda: now[0])
    for _ in range(5):
        now[0] += 2.0
        assert metrics.values() == ()
    assert sought == [2.0]


def test_this_machine_gives_what_it_has_without_an_error() -> None:
    metrics = GpuMetrics(meters_of('auto', 'AUTO'))
    assert all(name.startswith('gpu.') for name, _ in metrics.values())
    metrics.close()
