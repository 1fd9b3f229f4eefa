"""The state of the GPU for /diagnostics, where one can be asked; absence is no error."""

from collections.abc import Callable, Sequence
import logging
import threading
import time
from typing import Protocol

from edge_seg.backends.gpu_reading import GpuReading, KnowsBus
from edge_seg.backends.jetson_reading import Jetson
from edge_seg.backends.nvml_reading import Nvml
from edge_seg.backends.registry import AUTO, BACKEND_NAMES, create
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


Meters = Sequence[Callable[[], GpuMeter]]


def meters_of(backend: str, device: str) -> Meters:
    """Give the ways to ask the GPU that models run on, the best first.

    Args:
        backend: as the parameter says: a name, or 'auto'.
        device: as in ``CompileOptions``.
    """
    # A Jetson's NVML knows names only; sysfs has the rest.
    return (Jetson, lambda: Nvml(_bus_id(backend, device)))


def _bus_id(backend: str, device: str) -> str:
    """Give the place of the GPU on the PCI bus; '' where no backend tells."""
    name = BACKEND_NAMES[0] if backend == AUTO else backend  # 'auto' would take it
    found = create(name)
    if not isinstance(found, KnowsBus):
        return ''
    try:
        return found.bus_id(device)
    except BackendUnavailable as unknown:
        logger.debug('the first GPU is asked: %s', unknown)
        return ''


class GpuMetrics:
    """Asks the GPU of this machine at most once a second; any thread may call it.

    Args:
        meters: ways to ask, the first that works is taken.
        clock: gives seconds.
    """

    def __init__(
        self,
        meters: Meters,
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
