"""Energy that a measurement took, where the platform tells: RAPL, INA on Jetson, NVML."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
from pathlib import Path
import threading
import time
from typing import Protocol

from edge_seg.backends.nvml_reading import Nvml
from edge_seg.backends.sysfs import read_number, read_text
from edge_seg.errors import BackendUnavailable

SYSFS = Path('/sys')
INA_PERIOD_S = 0.05
# Rails that feed the whole module (Orin NX and Nano, Xavier NX; TX2 and Nano).
WHOLE_MODULE = ('VDD_IN', 'POM_5V_IN')
_MICRO = 1e-6


class EnergyCounter(Protocol):
    """Joules since some moment in the past; only differences mean something."""

    @property
    def name(self) -> str:
        """What is counted, e.g. 'RAPL package'."""

    def joules(self) -> float | None:
        """Return the count, None when it cannot be read any more."""

    def close(self) -> None:
        """Free what it holds; never raises."""


class Rapl:
    """Energy of the processor packages, all cores and what idles included.

    Args:
        sysfs: where /sys is; replaced in tests.

    Raises:
        BackendUnavailable: no RAPL, or only root may read it, as kernels from 5.10 on have it.
    """

    name = 'RAPL package'

    def __init__(self, sysfs: Path = SYSFS) -> None:
        # intel-rapl:0 is a package, intel-rapl:0:1 a part of it; AMD has the same names.
        zones = sorted((sysfs / 'class' / 'powercap').glob('intel-rapl:[0-9]*'))
        named = [(zone, read_text(zone / 'name')) for zone in zones if zone.name.count(':') == 1]
        self._zones = [zone for zone, name in named if name.startswith('package')]
        self._last = [read_number(zone / 'energy_uj') for zone in self._zones]
        self._total_uj = 0.0
        if not self._zones or None in self._last:
            raise BackendUnavailable(
                'the processor tells no energy (RAPL)',
                remedy='where it is there: chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj',
            )

    def joules(self) -> float | None:
        """Return the count; a counter that went round is set right once a round."""
        for index, zone in enumerate(self._zones):
            now, before = read_number(zone / 'energy_uj'), self._last[index]
            if now is None or before is None:
                return None
            step = now - before
            if step < 0:
                step += read_number(zone / 'max_energy_range_uj') or 0.0
            self._last[index] = now
            self._total_uj += step
        return self._total_uj * _MICRO

    def close(self) -> None:
        """Do nothing: no file stays open."""


class Ina:
    """Energy of a Jetson, from its power, read 20 times a second in a thread.

    Args:
        sysfs: where /sys is; replaced in tests.
        clock: seconds; replaced in tests.

    Raises:
        BackendUnavailable: no INA3221 with labelled rails.
    """

    def __init__(
        self, sysfs: Path = SYSFS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        monitors = sorted((sysfs / 'class' / 'hwmon').glob('hwmon*'))
        rails = {
            read_text(label): (monitor, label.name[len('in') : -len('_label')])
            for monitor in monitors
            if read_text(monitor / 'name').startswith('ina3221')
            for label in sorted(monitor.glob('in*_label'))
            if (monitor / f'curr{label.name[len("in") : -len("_label")]}_input').exists()
        }
        whole = next((rail for rail in WHOLE_MODULE if rail in rails), None)
        # AGX boards have no rail for the whole: its parts then.
        self._rails = list(rails.values()) if whole is None else [rails[whole]]
        self.name = f'INA3221 {whole or "sum of " + ", ".join(rails)}'
        if not self._rails:
            raise BackendUnavailable('there is no INA3221 power monitor')
        self._clock = clock
        self._lock = threading.Lock()  # guards the three below
        self._at_s = clock()
        self._power_w = self._power()
        self._joules = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name='energy', daemon=True)
        self._thread.start()

    def joules(self) -> float | None:
        """Return the count."""
        with self._lock:
            now, power = self._clock(), self._power()
            if power is None or self._power_w is None:
                self._power_w = None  # a gap: the sum would be wrong from here on
                return None
            self._joules += (now - self._at_s) * (power + self._power_w) / 2
            self._at_s, self._power_w = now, power
            return self._joules

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(INA_PERIOD_S):
            self.joules()

    def _power(self) -> float | None:
        total = 0.0
        for monitor, number in self._rails:
            millivolts = read_number(monitor / f'in{number}_input')
            milliamperes = read_number(monitor / f'curr{number}_input')
            if millivolts is None or milliamperes is None:
                return None
            total += millivolts * milliamperes * _MICRO
        return total


class NvmlEnergy:
    """Energy of the NVIDIA GPU of this machine since the driver was loaded.

    Raises:
        BackendUnavailable: no NVML, no driver, several GPUs, or one before Volta.
    """

    name = 'NVML GPU'

    def __init__(self) -> None:
        self._nvml = Nvml()
        count, used = self._nvml.gpus(), self._nvml.energy_j()
        if count == 1 and used is not None:
            return
        self._nvml.close()
        # CUDA and NVML count GPUs in different orders: the joules might be another one's.
        raise BackendUnavailable(
            'the GPU does not tell its energy' if count == 1 else f'{count} GPUs; expected one'
        )

    def joules(self) -> float | None:
        """Return the count."""
        return self._nvml.energy_j()

    def close(self) -> None:
        """Let NVML go."""
        self._nvml.close()


@dataclass(slots=True)
class EnergyReading:
    """What a measurement took; filled when its block ends.

    Attributes:
        joules: None where the platform does not tell.
        source: what was counted, '' for nothing.
    """

    joules: float | None = None
    source: str = ''

    def per_frame(self, frames: int) -> float | None:
        """Return joules for each of ``frames`` frames."""
        return None if self.joules is None or frames < 1 else self.joules / frames


@contextmanager
def energy_used(backend: str, *, sysfs: Path = SYSFS) -> Iterator[EnergyReading]:
    """Measure the energy that a block takes, of what a backend computes on.

    A Jetson counts as a whole; else 'tensorrt' is counted at the GPU, all others at the
    processor. What runs beside the block is counted too. Of several NVIDIA GPUs none is counted.

    Args:
        backend: registry name.
        sysfs: where /sys is; replaced in tests.

    Yields:
        The reading, with its joules only when the block has ended.
    """
    reading = EnergyReading()
    with ExitStack() as stack:
        counter = open_counter(backend, sysfs=sysfs)
        if counter is None:
            yield reading
            return
        stack.callback(counter.close)
        before = counter.joules()
        yield reading
        after = counter.joules()
        if before is not None and after is not None:
            reading.joules, reading.source = after - before, counter.name


def open_counter(backend: str, *, sysfs: Path = SYSFS) -> EnergyCounter | None:
    """Open the counter for what a backend computes on; None where the platform does not tell."""
    makers: list[Callable[[], EnergyCounter]] = [lambda: Ina(sysfs)]
    makers.append(NvmlEnergy if backend == 'tensorrt' else lambda: Rapl(sysfs))
    for make in makers:
        try:
            return make()
        except BackendUnavailable:
            continue
    return None
