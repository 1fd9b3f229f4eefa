"""The KPI database: every evaluation, optimisation and benchmark is a row that can be compared."""

from edge_seg.offline.kpi.recording import record
from edge_seg.offline.kpi.run import KpiRun

__all__ = ['KpiRun', 'record']
