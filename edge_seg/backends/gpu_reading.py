"""What a GPU says of itself at one moment, and which GPU of several that is."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class GpuReading:
    """State of one GPU; None where it does not tell.

    Attributes:
        name: product name.
        memory_used_mib: of all processes; on Jetson of the whole machine, whose memory it shares.
        memory_total_mib: all there is.
        utilisation_percent: share of the last moments with work, 0 to 100.
        clock_mhz: present clock.
        clock_max_mhz: highest clock.
        temperature_c: in degrees Celsius.
        power_w: in watts; on Jetson of the rail that feeds the GPU, or the whole module.
    """

    name: str
    memory_used_mib: float | None = None
    memory_total_mib: float | None = None
    utilisation_percent: float | None = None
    clock_mhz: float | None = None
    clock_max_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


@runtime_checkable
class KnowsBus(Protocol):
    """The part of a Backend that can tell which GPU of the machine it uses."""

    def bus_id(self, device: str) -> str:
        """Give the place on the PCI bus of a GPU, e.g. '0000:01:00.0'.

        CUDA counts GPUs in another order than NVML, and may see fewer.

        Args:
            device: as in ``CompileOptions``.

        Raises:
            BackendUnavailable: no driver, or no such GPU.
        """
