"""Recording a run: which database, and one row in it."""

import os
from pathlib import Path

from edge_seg.offline.kpi.database import KpiDatabase
from edge_seg.offline.kpi.run import KpiRun

OFF = 'off'
"""The value of $EDGE_SEG_KPI with which nothing is recorded."""


def default_database() -> Path | None:
    """Return $EDGE_SEG_KPI, else edge_seg/kpi.sqlite in the user's state folder (XDG).

    Returns:
        None when $EDGE_SEG_KPI is 'off'.
    """
    configured = os.environ.get('EDGE_SEG_KPI', '')
    if configured == OFF:
        return None
    if configured:
        return Path(configured).expanduser()
    state_home = os.environ.get('XDG_STATE_HOME', '')
    # The XDG specification: a path that is not absolute counts as unset.
    base = Path(state_home) if os.path.isabs(state_home) else Path.home() / '.local' / 'state'
    return base / 'edge_seg' / 'kpi.sqlite'


def record(run: KpiRun, *, path: Path | None = None) -> int | None:
    """Add a run to the KPI database; call it last, when the result has been shown.

    Args:
        run: what was run and what it came to.
        path: the database; None = ``default_database()``.

    Returns:
        The number of the row, or None when $EDGE_SEG_KPI is 'off'.

    Raises:
        KpiUnavailable: the database cannot be written to.
    """
    target = path or default_database()
    if target is None:
        return None
    with KpiDatabase(target) as database:
        return database.add(run)
