"""The state of the GPU for /diagnostics, where one can be asked; absence is no error."""

from collections.abc import Callable, Sequence
import logging
import threading
import time
from typing import Protocol

from edge_seg.backends.gpu_reading import GpuReading
from edge_seg.backends.jetson_reading import Jetson
from edge_seg.backends.nvml_reading import Nvml
from edge_seg.errors import BackendUnavailable
from edge_seg.runtime.health.health_values import KeyValue

logger = logging.getLogger(__name__)

MIN_PERIOD_S = 1.0
"""Shortest time from one reading to the next: asking costs up to milliseconds."""


class GpuMeter(Protocol):
    """Something that can be asked for the state of a GPU."""

    def read(self) -> GpuReading:
        """Ask now."""

    def close(self) -> None:
        """Let it go; twice is fine, and it never raises."""


# A Jetson's NVML knows names only; sysfs has the rest.
METERS: Sequence[Callable[[], GpuMeter]] = (Jetson, Nvml)


class GpuMetrics:
    """Asks the GPU of this machine at most once a second; any thread may call it.

    Args:
        meters: ways to ask, the first that works is taken.
        clock: gives seconds.
    """

    def __init__(
        self,
        meters: Sequence[Callable[[], GpuMeter]] = METERS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._clock = clock
        self._lock = threading.Lock()  # guards everything below
        self._meter: GpuMeter | None = None
        self._sought = False
        self._closed = False
        self._values: tuple[KeyValue, ...] = ()
        self._read_s = -MIN_PERIOD_S

    def values(self) -> tuple[KeyValue, ...]:
        """Give what is known as keys and texts; nothing without a GPU that can be asked."""
        with self._lock:
            now_s = self._clock()
            if self._closed or now_s - self._read_s < MIN_PERIOD_S:
                return self._values
            if not self._sought:
                self._sought = True
                self._meter = self._found()
            self._read_s = now_s
            if self._meter is not None:
                self._values = gpu_values(self._meter.read())
            return self._values

    def close(self) -> None:
        """Let the GPU go; twice is fine."""
        with self._lock:
            self._closed = True
            self._values = ()
            meter, self._meter = self._meter, None
        if meter is not None:
            meter.close()

    def _found(self) -> GpuMeter | None:
        for make in self._meters:
            try:
                return make()
            except BackendUnavailable as absent:
                logger.debug('no GPU metrics: %s', absent)
        return None


def gpu_values(reading: GpuReading) -> tuple[KeyValue, ...]:
    """Give a reading as keys and texts; what the GPU does not tell is left out."""
    numbers = (
        ('memory_used_mib', reading.memory_used_mib, '.0f'),
        ('memory_total_mib', reading.memory_total_mib, '.0f'),
        ('utilisation_percent', reading.utilisation_percent, '.0f'),
        ('clock_mhz', reading.clock_mhz, '.0f'),
        ('clock_max_mhz', reading.clock_max_mhz, '.0f'),
        ('temperature_c', reading.temperature_c, '.1f'),
        ('power_w', reading.power_w, '.2f'),
    )
    known = (
        (f'gpu.{name}', format(value, form)) for name, value, form in numbers if value is not None
    )
    return (('gpu.name', reading.name), *known)
