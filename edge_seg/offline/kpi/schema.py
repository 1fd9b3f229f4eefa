"""The tables of the KPI database, and how an older one becomes a present one."""

from collections.abc import Sequence
from pathlib import Path
import sqlite3

from edge_seg.errors import KpiUnavailable

MIGRATIONS = (
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        model_sha256 TEXT NOT NULL,
        backend TEXT NOT NULL,
        device TEXT NOT NULL,
        "precision" TEXT NOT NULL,
        miou REAL,
        p50_ms REAL,
        p95_ms REAL,
        size_bytes INTEGER,
        energy_j REAL,
        version TEXT NOT NULL,
        "commit" TEXT NOT NULL,
        host TEXT NOT NULL,
        document TEXT NOT NULL
    )""",
    'CREATE INDEX runs_by_model ON runs (model, kind)',
)
"""One statement for each version of the schema; a statement that was released never changes."""


def migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS
) -> None:
    """Bring a database to the present schema; of several processes one does it.

    Args:
        connection: in autocommit mode.
        path: of the database, for messages.
        migrations: statements, one for each version.

    Raises:
        KpiUnavailable: it was written by a newer edge_seg.
        sqlite3.Error: it is no database, or cannot be written to.
    """
    if _version(connection) == len(migrations):
        return
    connection.execute('BEGIN IMMEDIATE')
    try:
        found = _version(connection)  # somebody else may have been first
        if found > len(migrations):
            raise KpiUnavailable(
                f'{path} has the schema version {found}',
                expected=f'at most {len(migrations)}',
                remedy='it was written by a newer edge_seg: update this one, or name another '
                'file with EDGE_SEG_KPI',
            )
        for statement in migrations[found:]:
            connection.execute(statement)
        connection.execute(f'PRAGMA user_version = {len(migrations):d}')
        connection.execute('COMMIT')
    except BaseException:
        connection.execute('ROLLBACK')
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute('PRAGMA user_version').fetchone()
    return int(version)
