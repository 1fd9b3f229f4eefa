"""Reads NVIDIA GPUs of desktops through NVML (nvidia-ml-py), imported on demand."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from edge_seg.backends.gpu_reading import GpuReading
from edge_seg.backends.sdk import sdk_import
from edge_seg.errors import BackendUnavailable

_HINT = 'pip install nvidia-ml-py'
_MIB = 1 << 20


class Nvml:
    """One GPU through NVML; it stays open until ``close``.

    Args:
        bus_id: of the GPU on the PCI bus, e.g. '0000:01:00.0'; '' = the first that NVML knows.

    Raises:
        BackendUnavailable: no NVML, no driver or no such GPU.
    """

    def __init__(self, bus_id: str = '') -> None:
        with sdk_import('pynvml', _HINT):
            self._nvml: Any = import_module('pynvml')
        self._failure: type[Exception] = self._nvml.NVMLError
        try:
            self._nvml.nvmlInit()
        except self._failure as error:
            raise BackendUnavailable(f'NVML does not start: {error}', remedy=_HINT) from error
        self._open = True
        try:
            self._gpu = self._found(bus_id)
        except self._failure as error:
            self.close()
            raise BackendUnavailable(f'NVML has no GPU {bus_id or 0}: {error}') from error

    def read(self) -> GpuReading:
        """Ask for everything; what this GPU does not tell is None."""
        nvml, gpu = self._nvml, self._gpu
        name = self._asked(lambda: nvml.nvmlDeviceGetName(gpu))
        memory = self._asked(lambda: nvml.nvmlDeviceGetMemoryInfo(gpu))
        rates = self._asked(lambda: nvml.nvmlDeviceGetUtilizationRates(gpu))
        clock = self._asked(lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))
        limit = self._asked(lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM))
        kind = nvml.NVML_TEMPERATURE_GPU
        heat = self._asked(lambda: nvml.nvmlDeviceGetTemperature(gpu, kind))
        power = self._asked(lambda: nvml.nvmlDeviceGetPowerUsage(gpu))
        return GpuReading(
            _text(name),
            None if memory is None else memory.used / _MIB,
            None if memory is None else memory.total / _MIB,
            None if rates is None else float(rates.gpu),
            None if clock is None else float(clock),
            None if limit is None else float(limit),
            None if heat is None else float(heat),
            None if power is None else power / 1000.0,  # milliwatts
        )

    def gpus(self) -> int | None:
        """Return how many GPUs NVML sees, those that CUDA is kept from seeing included."""
        count = self._asked(self._nvml.nvmlDeviceGetCount)
        return None if count is None else int(count)

    def energy_j(self) -> float | None:
        """Return the joules since the driver was loaded; None before Volta."""
        used = self._asked(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu))
        return None if used is None else used / 1000.0  # millijoules

    def close(self) -> None:
        """Let NVML go; twice is fine, and it never raises."""
        if self._open:
            self._open = False
            self._asked(self._nvml.nvmlShutdown)

    def _found(self, bus_id: str) -> Any:
        if not bus_id:
            return self._nvml.nvmlDeviceGetHandleByIndex(0)
        # As bytes: old versions of the module do not encode text.
        return self._nvml.nvmlDeviceGetHandleByPciBusId(bus_id.encode())

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._failure:  # not supported by this GPU, or lost: both are 'unknown'
            return None


def _text(name: object) -> str:
    """Read a name; old versions of the module give bytes."""
    return name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name or 'GPU')
