"""The KPI database: one SQLite file that several processes may write to at the same time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
import json
import math
from pathlib import Path
import sqlite3
from types import TracebackType
from typing import Any

from edge_seg.errors import KpiUnavailable
from edge_seg.offline.kpi.run import KpiRow, KpiRun
from edge_seg.offline.kpi.schema import migrate

BUSY_TIMEOUT_S = 30.0
COLUMNS = tuple(field.name for field in fields(KpiRun))
_NAMES = ', '.join(f'"{name}"' for name in COLUMNS)
_MARKS = ', '.join('?' for _ in COLUMNS)


class KpiDatabase:
    """An open database; made when it is not there yet. One thread uses it.

    Args:
        path: the file; the folders above it are made.

    Raises:
        KpiUnavailable: it cannot be opened, is no database, or is of a newer edge_seg.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        with self._reported():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
        try:
            with self._reported():
                self._set_up()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> 'KpiDatabase':
        """Give the database."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._connection.close()

    def add(self, run: KpiRun) -> int:
        """Add a run.

        Returns:
            Its number.

        Raises:
            KpiUnavailable: the database cannot be written to, or the document is no JSON.
        """
        values = [_stored(name, getattr(run, name)) for name in COLUMNS]
        with self._reported():
            cursor = self._connection.execute(
                f'INSERT INTO runs ({_NAMES}) VALUES ({_MARKS})', values
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def rows(self) -> tuple[KpiRow, ...]:
        """Return all runs, oldest first.

        Raises:
            KpiUnavailable: the database cannot be read.
        """
        with self._reported():
            found = self._connection.execute(
                f'SELECT number, {_NAMES} FROM runs ORDER BY number'
            ).fetchall()
        return tuple(self._row(number, values) for number, *values in found)

    def _row(self, number: int, values: list[Any]) -> KpiRow:
        named = dict(zip(COLUMNS, values, strict=True))
        try:
            named['document'] = json.loads(named['document'])
            if not isinstance(named['document'], dict):
                raise TypeError('it is no JSON object')
        except (TypeError, ValueError) as error:
            raise KpiUnavailable(
                f'the document of run {number} in {self._path} is damaged ({error})',
                remedy=f'delete the row: DELETE FROM runs WHERE number = {number}',
            ) from error
        return KpiRow(number, KpiRun(**named))

    def _set_up(self) -> None:
        try:
            self._connection.execute('PRAGMA journal_mode = WAL')
        except sqlite3.OperationalError as error:
            # Two that open a new file at once: SQLite does not wait here, and the other sets it
            # for both. A file system without shared memory keeps its old journal.
            if 'locked' not in str(error):
                raise
        migrate(self._connection, self._path)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise KpiUnavailable(
                f'the KPI database {self._path} cannot be used ({error})',
                remedy='name another file with EDGE_SEG_KPI, or EDGE_SEG_KPI=off to record '
                'nothing',
            ) from error


def _stored(name: str, value: object) -> object:
    if name == 'document':
        return json.dumps(_known(value), ensure_ascii=False, allow_nan=False, default=str)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _known(value: object) -> object:
    """Make null of what JSON has no number for."""
    if isinstance(value, Mapping):
        return {str(key): _known(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
