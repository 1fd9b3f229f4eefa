"""Runs as CSV for spreadsheets and as JSON for programs."""

from collections.abc import Sequence
import csv
from dataclasses import fields
import io
from typing import Any

from edge_seg.offline.kpi.run import KpiRow, KpiRun

COLUMNS = ('number', *(field.name for field in fields(KpiRun) if field.name != 'document'))
# What a spreadsheet would run when it opens the file.
_FORMULAS = ('=', '+', '-', '@', '\t', '\r')


def run_document(row: KpiRow) -> dict[str, Any]:
    """Return a run as the mapping that becomes JSON, its document included."""
    run = row.run
    columns = {name: getattr(run, name) for name in COLUMNS[1:]}
    return {'number': row.number, **columns, 'document': dict(run.document)}


def as_csv(rows: Sequence[KpiRow]) -> str:
    """Return runs as CSV with headings; what is not known is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([row.number, *(_field(getattr(row.run, name)) for name in COLUMNS[1:])])
    return text.getvalue()


def _field(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value
