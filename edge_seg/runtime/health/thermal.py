"""Notices that the processor grows so hot that the kernel slows it down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_seg.backends.sysfs import read_number, read_text

COOLER_C = 5.0
"""How far below its trip point a zone must come to count as cool again."""
_THROTTLES = 'passive'  # type of the trip points at which the kernel lowers clocks


@dataclass(frozen=True, slots=True)
class Heat:
    """A zone that is too hot.

    Attributes:
        zone: its name, such as 'cpu-thermal'.
        temperature_c: as read last.
        trip_c: where the kernel begins to slow the processor down.
    """

    zone: str
    temperature_c: float
    trip_c: float

    def __str__(self) -> str:
        return f'{self.zone} has {self.temperature_c:.0f} °C, throttles at {self.trip_c:.0f} °C'


@dataclass(frozen=True, slots=True)
class _Zone:
    name: str
    temperature: Path
    trip_c: float


class ThermalZones:
    """The thermal zones of this machine that have a trip point for throttling; for one thread.

    Args:
        folder: '/sys/class/thermal'; https://docs.kernel.org/driver-api/thermal/sysfs-api.html
    """

    def __init__(self, folder: Path) -> None:
        self._zones = tuple(_zones(folder))
        self._hot: dict[_Zone, Heat] = {}

    @property
    def can_tell(self) -> bool:
        """Whether any zone has a trip point for throttling; else this never finds heat."""
        return bool(self._zones)

    def heat(self) -> Heat | None:
        """Read them; gives the one furthest above its trip point, None while none is too hot.

        A zone is too hot from its trip point on, until it is ``COOLER_C`` below.
        """
        for zone in self._zones:
            read_c = _degrees(zone.temperature)
            limit_c = zone.trip_c - (COOLER_C if zone in self._hot else 0.0)
            if read_c is not None and read_c >= limit_c:
                self._hot[zone] = Heat(zone.name, read_c, zone.trip_c)
            else:
                self._hot.pop(zone, None)
        return max(
            self._hot.values(), key=lambda heat: heat.temperature_c - heat.trip_c, default=None
        )


def _zones(folder: Path) -> Iterator[_Zone]:
    for zone in sorted(folder.glob('thermal_zone*')):
        trips = [
            _degrees(kind.with_name(kind.name.replace('_type', '_temp')))
            for kind in sorted(zone.glob('trip_point_*_type'))
            if read_text(kind) == _THROTTLES
        ]
        known = [trip_c for trip_c in trips if trip_c is not None and trip_c > 0.0]
        if known:
            yield _Zone(read_text(zone / 'type') or zone.name, zone / 'temp', min(known))


def _degrees(path: Path) -> float | None:
    millidegrees = read_number(path)
    return None if millidegrees is None else millidegrees / 1000.0
