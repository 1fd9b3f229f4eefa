"""Heat: noticed at the trip point for throttling, over only well below it."""

from pathlib import Path

from edge_seg.runtime.health.thermal import ThermalZones
import pytest


class Zone:
    """One thermal zone as the kernel shows it."""

    def __init__(self, folder: Path, number: int, name: str, **trips: int) -> None:
        self._folder = folder / f'thermal_zone{number}'
        self._folder.mkdir(parents=True)
        (self._folder / 'type').write_text(f'{name}\n')
        for index, (kind, millidegrees) in enumerate(trips.items()):
            (self._folder / f'trip_point_{index}_type').write_text(f'{kind}\n')
            (self._folder / f'trip_point_{index}_temp').write_text(f'{millidegrees}\n')
        self.has('40000')

    def has(self, text: str) -> None:
        (self._folder / 'temp').write_text(text)

    def breaks(self) -> None:
        (self._folder / 'temp').unlink()


@pytest.fixture
def cpu(tmp_path: Path) -> Zone:
    return Zone(tmp_path, 0, 'cpu-thermal', active=60000, passive=95000, critical=105000)


def test_heat_begins_at_the_trip_point_and_ends_well_below(cpu: Zone, tmp_path: Path) -> None:
    zones = ThermalZones(tmp_path)
    seen = []
    for millidegrees in (94900, 95000, 91000, 90100, 89900, 94000):
        cpu.has(f'{millidegrees}\n')
        seen.append(zones.heat() is not None)
    assert seen == [False, True, True, True, False, False]


def test_the_worst_zone_is_named(cpu: Zone, tmp_path: Path) -> None:
    gpu = Zone(tmp_path, 1, 'gpu-thermal', passive=80000)
    Zone(tmp_path, 2, 'board', critical=50000).has('99000')
    zones = ThermalZones(tmp_path)
    cpu.has('96000')
    gpu.has('84600')
    assert str(zones.heat()) == 'gpu-thermal has 85 °C, throttles at 80 °C'
    gpu.breaks()
    assert str(zones.heat()) == 'cpu-thermal has 96 °C, throttles at 95 °C'
    cpu.has('no number')
    assert zones.heat() is None


def test_a_machine_without_zones_is_never_hot_and_says_so(tmp_path: Path) -> None:
    Zone(tmp_path, 0, 'board', critical=105000)
    Zone(tmp_path, 1, 'x86_pkg_temp', passive=0)  # a trip point that is not set
    for folder in (tmp_path, tmp_path / 'nothing'):
        zones = ThermalZones(folder)
        assert not zones.can_tell
        assert zones.heat() is None


def test_a_machine_with_a_trip_point_can_tell(cpu: Zone, tmp_path: Path) -> None:
    assert ThermalZones(tmp_path).can_tell
