"""What a GPU says of itself at one moment."""

from dataclasses import dataclass


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
