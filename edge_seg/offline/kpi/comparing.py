"""Choosing runs from the KPI database, and setting two of them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re

from edge_seg.errors import KpiUnavailable, ModelNotFound, SettingsInvalid
from edge_seg.offline.kpi.database import KpiDatabase
from edge_seg.offline.kpi.recording import default_database, OFF
from edge_seg.offline.kpi.run import KpiRow, KpiRun

FIGURES = ('miou', 'p50_ms', 'p95_ms', 'size_bytes', 'energy_j')
CONDITIONS = ('kind', 'backend', 'device', 'host')
OF_THE_DOCUMENT = ('data', 'frames', 'truth', 'benchmark')
"""These, too, have to be the same for two runs to be compared: the frames above all."""
_DIGEST = re.compile('[0-9a-f]{8,64}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs; '' takes all.

    Attributes:
        model: 'name', 'name@version', or the first 8 or more digits of the manifest's sha256.
        kind: 'evaluate', 'optimize', 'parity', 'profile' or 'bench'.
        backend: registry name.
        device: a part of the device's name; case does not count.
        precision: e.g. 'int8'.
    """

    model: str = ''
    kind: str = ''
    backend: str = ''
    device: str = ''
    precision: str = ''

    def takes(self, run: KpiRun) -> bool:
        """Say whether a run is among those that are wanted."""
        return (
            self._takes_model(run)
            and self.kind in ('', run.kind)
            and self.backend in ('', run.backend)
            and self.device.casefold() in run.device.casefold()
            and self.precision in ('', run.precision)
        )

    def _takes_model(self, run: KpiRun) -> bool:
        if self.model in ('', run.model, run.model.partition('@')[0]):
            return True
        return bool(_DIGEST.fullmatch(self.model)) and run.model_sha256.startswith(self.model)


@dataclass(frozen=True, slots=True)
class FigurePair:
    """One figure of two runs; None where it is not known.

    Attributes:
        name: a field of KpiRun.
        a: of the first.
        b: of the second.
        difference: b - a.
        ratio: b / a.
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a: the first.
        b: the second.
        figures: in the order of FIGURES.
        notes: conditions that differ, so that a difference of the figures says nothing.
    """

    a: KpiRow
    b: KpiRow
    figures: tuple[FigurePair, ...]
    notes: tuple[str, ...]


def read_runs(path: Path | None = None, wanted: Wanted | None = None) -> tuple[KpiRow, ...]:
    """Read runs, oldest first; none when the default database is not there yet.

    Args:
        path: the database; None = ``default_database()``.
        wanted: which; None = all.

    Raises:
        KpiUnavailable: it cannot be read, or ``path`` is not there.
        SettingsInvalid: $EDGE_SEG_KPI is 'off'.
    """
    target = database_to_read(path)
    if not target.exists():
        if path is not None:
            raise KpiUnavailable(f'there is no KPI database {path}')
        return ()
    with KpiDatabase(target) as database:
        rows = database.rows()
    return tuple(row for row in rows if wanted is None or wanted.takes(row.run))


def database_to_read(path: Path | None = None) -> Path:
    """Return the database that is meant.

    Raises:
        SettingsInvalid: $EDGE_SEG_KPI is 'off'.
    """
    target = path or default_database()
    if target is None:
        raise SettingsInvalid(
            f'EDGE_SEG_KPI is {OFF}', expected='a database', remedy='name one with --database'
        )
    return target


def find_run(rows: Sequence[KpiRow], which: str) -> KpiRow:
    """Find one run.

    Args:
        rows: oldest first.
        which: its number, or a model as in ``Wanted``, whose newest run is taken.

    Raises:
        ModelNotFound: there is none.
    """
    wanted = Wanted(model=which)
    for row in reversed(rows):
        if which == str(row.number) or (not which.isdecimal() and wanted.takes(row.run)):
            return row
    known = sorted({row.run.model for row in rows if row.run.model})
    raise ModelNotFound(
        f'no run of {which!r} is recorded',
        expected=f'a number of edge_seg kpi list, or one of {", ".join(known)}' if known else '',
        remedy='' if which.isdecimal() else f'run edge_seg model evaluate {which}',
    )


def compare_runs(a: KpiRow, b: KpiRow) -> Comparison:
    """Set two runs side by side."""
    notes = tuple(
        f'{name} differs: {first or "none"}, {second or "none"}'
        for name, (first, second) in differences(a.run, b.run).items()
    )
    return Comparison(a, b, tuple(_pair(name, a.run, b.run) for name in FIGURES), notes)


def differences(a: KpiRun, b: KpiRun) -> dict[str, tuple[object, object]]:
    """Return the conditions that two runs do not share, by name; none when they compare."""
    pairs: dict[str, tuple[object, object]] = {
        name: (getattr(a, name), getattr(b, name)) for name in CONDITIONS
    }
    pairs |= {name: (a.document.get(name), b.document.get(name)) for name in OF_THE_DOCUMENT}
    return {name: (first, second) for name, (first, second) in pairs.items() if first != second}


def _pair(name: str, a: KpiRun, b: KpiRun) -> FigurePair:
    first, second = getattr(a, name), getattr(b, name)
    if first is None or second is None:
        return FigurePair(name, first, second, None, None)
    return FigurePair(name, first, second, second - first, second / first if first else None)
