"""Reads the GPU of a Jetson from sysfs: no service, no privileges, nothing to install."""

from collections.abc import Iterator
from pathlib import Path

from edge_seg.backends.gpu_reading import GpuReading
from edge_seg.backends.sysfs import read_number, read_text
from edge_seg.errors import BackendUnavailable

# Folders of the GPU, by Jetson: Orin (gpu.0 or 17000000.gpu), Xavier (17000000.gv11b),
# TX2 and Nano (17000000.gp10b, 57000000.gpu). The devfreq device has the clocks and the load.
_DEVFREQ = ('*.gpu', '*.gv11b', '*.gp10b', '*.ga10b', 'gpu-*')
_GPU_ZONES = ('gpu-thermal', 'gpu-therm', 'gpu_thermal', 'gpu')
# Labels of the INA3221 rails that feed the GPU, best first; the last ones feed more than it.
_RAILS = ('VDD_GPU_SOC', 'VDD_GPU', 'GPU', 'VDD_SYS_GPU', 'VDD_CPU_GPU_CV', 'VDD_IN')
_KIB = 1024.0


class Jetson:
    """The GPU of this Jetson.

    Args:
        root: where /sys and /proc are; replaced in tests.

    Raises:
        BackendUnavailable: this is no Jetson, or its kernel has other names.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        # Other boards have a devfreq GPU too, which means other things by its load.
        if 'nvidia,tegra' not in read_text(root / 'proc' / 'device-tree' / 'compatible'):
            raise BackendUnavailable('this is no Jetson')
        devices = root / 'sys' / 'class' / 'devfreq'
        found = sorted(p for pattern in _DEVFREQ for p in _matching(devices, pattern))
        if not found:
            raise BackendUnavailable(f'{devices} has no Jetson GPU')
        self._gpu = found[0]

    def read(self) -> GpuReading:
        """Read everything; what this Jetson does not tell is None."""
        used, total = self._memory()
        load = read_number(self._gpu / 'device' / 'load')
        clock = read_number(self._gpu / 'cur_freq')
        limit = read_number(self._gpu / 'max_freq')
        return GpuReading(
            self._name(),
            used,
            total,
            None if load is None else min(100.0, load / 10.0),  # per mille
            None if clock is None else clock / 1e6,
            None if limit is None else limit / 1e6,
            self._temperature(),
            self._power(),
        )

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _name(self) -> str:
        text = read_text(self._root / 'proc' / 'device-tree' / 'model')
        return text.rstrip('\0') or 'Jetson'

    def _memory(self) -> tuple[float | None, float | None]:
        lines = read_text(self._root / 'proc' / 'meminfo').splitlines()
        sizes = {line.partition(':')[0]: line.split()[1] for line in lines if ':' in line}
        try:
            total = int(sizes['MemTotal']) / _KIB
            return total - int(sizes['MemAvailable']) / _KIB, total
        except (KeyError, ValueError):
            return None, None

    def _temperature(self) -> float | None:
        for zone in _matching(self._root / 'sys' / 'class' / 'thermal', 'thermal_zone*'):
            if read_text(zone / 'type').lower() in _GPU_ZONES:
                # The zone of a GPU that is powered down answers with an error.
                degrees = read_number(zone / 'temp')
                return None if degrees is None else degrees / 1000.0
        return None

    def _power(self) -> float | None:
        rails: dict[str, float] = {}
        for monitor in _matching(self._root / 'sys' / 'class' / 'hwmon', 'hwmon*'):
            for label in _matching(monitor, 'in*_label'):
                number = label.name[len('in') : -len('_label')]
                volts = read_number(monitor / f'in{number}_input')
                amperes = read_number(monitor / f'curr{number}_input')
                if volts is not None and amperes is not None:
                    rails[read_text(label)] = volts * amperes / 1e6  # mV x mA
        return next((rails[name] for name in _RAILS if name in rails), None)


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob(pattern))
    except OSError:
        return
